"""Outcomes -> counts and messages of a step; a failed row is data until it is one too many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

from django.db import transaction

from .. import signals
from ..exceptions import MissingTarget, StepFailed, TooManyErrors
from ..ledger import Message, StepLedger
from ..ledger.messages import value_text
from ..ledger.patterns import UNREAD
from ..models import RowError, Run, RunStep
from ..outcomes import MessageKind, OnError, Outcome
from ..progress import Progress
from ..rows.drafts import Draft, Note
from ..spec.fingerprint import ERROR_HOOK, error_hook_checksum
from ..utils.masking import MASK, hidden_columns, is_hidden, masked_text
from ..utils.wording import hook_of, number_of, words
from ..writers import describe
from .context import StepContext
from .earlier import Earlier

#: So many failed rows of a step are told as they come, by the default hook; then they are counted.
TOLD = 3
#: What an earlier run may have counted without a link that tells it.
_UNTRACED = frozenset({Outcome.UNCHANGED, Outcome.SKIPPED})


class Recorder:
    """Receives every draft of one step once, when its outcome is final.

    ``steps`` are all steps of the run, whose failures ``--max-errors`` counts together.
    ``earlier`` tells what earlier runs of the pass have counted, ``elsewhere`` how many rows of
    this step have failed in other processes.
    """

    def __init__(
        self,
        context: StepContext,
        ledger: StepLedger,
        *,
        steps: Sequence[RunStep],
        progress: Progress,
        earlier: Earlier,
        elsewhere: Callable[[], int] = int,
    ) -> None:
        self._earlier = earlier
        self._elsewhere = elsewhere
        self._step = context.step
        self._migration = context.migration
        self._options = context.options
        self._ledger = ledger
        self._steps = steps
        self._progress = progress
        self._merges = bool(context.migration._terms.two_way)
        #: The names of fields by those that values may have.
        self._fields = {
            name: field.name
            for field in context.migration.model._meta.concrete_fields
            for name in (field.name, field.attname)
        }
        #: Rows that were written, and of which something went wrong afterwards.
        self.unfinished = 0
        self._has_own_error_hook = ERROR_HOOK in context.hooks
        self._hook_checksum = error_hook_checksum(type(context.migration))

    def __call__(self, drafts: list[Draft]) -> None:
        """Count the drafts and keep their messages.

        Raises :exc:`StepFailed` for a failed row that ends the step.
        """
        failed = self._ledger.messages_for(self._step).failed_before
        outcomes = Counter(draft.outcome for draft in drafts if draft.error is None)
        for outcome, rows in outcomes.items():
            assert outcome is not None, "every row ends in an outcome"
            if outcome in _UNTRACED:
                found = [draft for draft in drafts if draft.outcome == outcome]
                first = [draft.number for draft in found if draft.identity.hash not in failed]
                self.count(outcome, first)
                rows -= len(first)
            self._step.count(outcome, rows)
        self._ledger.messages_for(self._step).handled(draft.identity.hash for draft in drafts)
        for draft in drafts:
            if draft.error is not None:
                self._record_failure(draft, draft.error)
                continue
            for note in draft.notes if draft.outcome != Outcome.SKIPPED else ():
                self._note(MessageKind.WARNING, draft, note)
            for note in draft.conflicts:
                self._note(MessageKind.CONFLICT, draft, note)
            if self._merges:
                self._record_undecided(draft)
            for note in draft.unfinished:
                self._note(MessageKind.FAILURE, draft, note)
            self.unfinished += bool(draft.unfinished)

    def _record_undecided(self, draft: Draft) -> None:
        """Keep the conflicts that wait for a person, and close those that are none any more."""
        messages = self._ledger.messages_for(self._step)
        before = messages.undecided_before.get(draft.identity.hash, {})
        names = {note.column for note in draft.undecided}
        given = (self._fields.get(name, name) for name in draft.values)
        compared = {*draft.m2m, *draft.agreed, *given}
        messages.decided(draft.identity.hash, (before.keys() & compared) - names)
        for note in draft.undecided:
            if before.get(note.column) == value_text(note.value):
                continue  # known, and waiting since then
            if note.column in before:
                messages.decided(draft.identity.hash, {note.column})
            self._note(MessageKind.CONFLICT, draft, note, is_undecided=True)

    def count(self, outcome: Outcome, numbers: Sequence[int]) -> None:
        """Count the rows with these numbers, which are unchanged or skipped."""
        before = self._earlier.take(numbers)
        self._step.passed += before
        self._step.count(outcome, len(numbers) - before)

    def _note(self, kind: MessageKind, draft: Draft, note: Note, **more: Any) -> RowError:
        """Keep a message, with ``more`` of its parts, without the values of sensitive columns."""
        if sensitive := self._migration.sensitive_columns:
            hidden = hidden_columns(draft.row, sensitive)
            hides = is_hidden(note.column, self._migration.column_description, hidden)
            parts = [note.value] if hides else []
            cause = masked_text(note.cause, draft.row, sensitive, parts=parts)
            note = Note(note.column, MASK if hides else note.value, cause)
        message = message_of(draft, kind, note)
        return self._ledger.note(self._step, message._replace(**more))

    def _record_failure(self, draft: Draft, error: Exception) -> None:
        self._step.count(Outcome.FAILED)
        note = describe(draft, database=self._options.database)
        pattern = error.pattern if isinstance(error, MissingTarget) else ""
        signals.row_failed.send(
            Run, run=self._step.run, step=self._step, row=draft.row, exception=error
        )
        handled = draft.identity.checksum ^ self._hook_checksum
        raised: Exception | None = error
        try:
            raised = None if self._was_handled(draft, handled) else self._call_hook(draft, error)
        finally:  # Ctrl-C in the hook leaves the failure to be recorded
            if raised is not None and raised is not error:
                fault = f"{type(raised).__name__}: {words(raised)}"
                where = hook_of(raised) or f"{ERROR_HOOK}: "
                note = note._replace(cause=f"{note.cause.rstrip('.')}; {where}{fault}")
            done = handled if raised is None else None
            message = self._note(MessageKind.FAILURE, draft, note, pattern=pattern, handled=done)
        # Nothing is wrong with a row whose target a rehearsal of a few rows did not read.
        is_cut = self._step.run.is_dry and pattern.startswith(UNREAD)
        if raised is not None and self._options.on_error == OnError.STOP and not is_cut:
            raise StepFailed(self._row_failed(message)) from raised
        self.check_max_errors(self._step.total)

    def _was_handled(self, draft: Draft, handled: int) -> bool:
        """Whether a hook of the spec's own returned for the same row in an earlier run.

        What it made of the row then is there, and would be made again.
        """
        messages = self._ledger.messages_for(self._step)
        return self._has_own_error_hook and messages.was_handled(draft.identity.hash, handled)

    def _call_hook(self, draft: Draft, error: Exception) -> Exception | None:
        """What the hook raises: the error itself, one of its own, or nothing."""
        own = self._has_own_error_hook
        failed = self._step.failed + self._elsewhere()
        if not own and failed > TOLD:  # all that the default does is to tell
            if failed == TOLD + 1:
                self._progress.give_way()
                self._options.warn(
                    f"{self._step.migration}: further failed rows are told by cause at the end."
                )
            return error
        self._progress.give_way()
        # A hook may write (a log table, say); what it writes before it raises must not stay.
        try:
            with transaction.atomic(using=self._options.database) if own else nullcontext():
                self._migration.hook_error_creating_instance(error, draft.row)
        except Exception as raised:
            return raised
        return None

    def check_max_errors(self, rows: int | None) -> None:
        """Raise :exc:`TooManyErrors` when more rows failed than ``--max-errors`` allows."""
        limit = self._options.max_errors
        if limit is None:
            return
        elsewhere = self._elsewhere()
        failed = sum(step.failed for step in self._steps) + elsewhere
        failed_in_step = self._step.failed + elsewhere
        if limit.is_exceeded(failed=failed, failed_in_step=failed_in_step, rows=rows):
            raise TooManyErrors(
                f"{self._step.migration}: {number_of(failed, 'row')} failed, more than"
                f" --max-errors {limit} allows. {what_is_kept(self._step)}"
                " The messages say why: manage.py show_legacy --messages"
            )

    def _row_failed(self, message: RowError) -> str:
        where = f"row {message.row_number}" + (f", key {message.key}" if message.key else "")
        what = f"column {message.column}, value {message.value}: " if message.column else ""
        return (
            f"{self._step.migration}: {where}: {what}{message.cause.rstrip('.')}."
            f" {what_is_kept(self._step)}"
            " Mend the row or the spec, or go on past failed rows with --on-error continue."
        )


def message_of(draft: Draft, kind: MessageKind, note: Note) -> Message:
    """A note on a draft as the ledger keeps it."""
    return Message(
        kind=kind,
        cause=note.cause,
        row_number=draft.number,
        key=draft.identity.text,
        key_hash=draft.identity.hash,
        column=note.column,
        value=note.value,
    )


def what_is_kept(step: RunStep) -> str:
    """What stays of a step that is broken off."""
    if step.commits_batches:
        return "What was committed before is kept; the same command goes on there."
    return f"Nothing of {step.label} is kept."
