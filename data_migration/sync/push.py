"""One push: the objects of a mapping that differ are sent, and what was sent is remembered."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import connections
from django.utils import timezone

from .. import signals
from ..exceptions import (
    Interrupted,
    RemoteError,
    RowFailure,
    StepFailed,
    TooManyErrors,
    Transient,
    Uncertain,
)
from ..fields.digests import packed_by_name
from ..ledger import Link, LinkBook, Message, StepLedger
from ..ledger.messages import open_conflicts
from ..ledger.outgoing import Accounts, Intent, Known, OutgoingBook, RemoteStates
from ..ledger.run_words import time_of
from ..ledger.states import state_of
from ..models import Outgoing, Run, RunStep
from ..outcomes import (
    Action,
    LinkKind,
    MessageKind,
    Mode,
    OnConflict,
    OnError,
    Outcome,
    OutgoingState,
    RunStatus,
)
from ..progress import Progress
from ..rows.keys import hash_of_text, identify, key_of_text, key_text
from ..step.exits import exits_fail
from ..step.recording import what_is_kept
from ..tables.walk import Walk, Words, key_of
from ..transform.savepoints import HookSavepoints
from ..utils.chunks import chunks
from ..utils.masking import MASK
from ..utils.wording import number_of, words
from .connector import Connector
from .definition import Definition
from .deletions import Deletions
from .discovery import Syncs
from .fields import RemoteField
from .flattening import list_column
from .mapping import Mapping as Spec
from .merge import Merge
from .options import SyncOptions
from .payload import NOT_THERE, Change, Compared, Payload, flat, take
from .sending import Exchange, Result

__all__ = ["PushDiff", "PushStep"]

#: How many objects are compared at once; those that differ are sent ``page_size`` at a time.
COMPARED_AT_ONCE = 1000
#: After so many calls in a row that a system could not take, it is left alone.
IN_VAIN = 3

_WORDS = Words("the queryset", "sync", "page_size")


@dataclass(frozen=True, kw_only=True, slots=True)
class PushDiff:
    """What a push would do to one row over there.

    ``label`` is that of the mapping, ``object_pk`` the object's primary key as text.
    ``changes`` are by remote name: what the row has there, as far as that can be read, and what it
    would have.
    """

    label: str
    object_pk: str
    action: Action
    key: str = ""
    changes: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)


class PushStep:
    """Sends the objects of one mapping through one connector.

    ``step`` was started, in a run that holds the lock of the connector's lane. Objects are
    compared a page at a time, outside of any transaction. What is to be sent is written down and
    committed, then sent, then what became of it is committed: whatever ends the process, the next
    run finds out. In a rehearsal nothing is sent and nothing written down.

    ``recovered`` are the objects that :meth:`recover` has dealt with before, in the same step.
    """

    def __init__(
        self,
        definition: Definition,
        connector: Connector,
        ledger: StepLedger,
        step: RunStep,
        options: SyncOptions,
        syncs: Syncs,
        progress: Progress | None = None,
        recovered: Collection[str] = (),
    ) -> None:
        self._definition = definition
        self._mapping = definition.mapping
        self._connector = connector
        self._ledger = ledger
        self._step = step
        self._options = options
        self._progress = progress or Progress()
        self._database = options.database
        self._messages = ledger.messages_for(step)
        step.has_key = True
        self._state = state_of(definition.label, database=self._database)
        self._links = LinkBook(self._state, database=self._database)
        self._states = RemoteStates(self._state, database=self._database)
        self._outgoing = OutgoingBook(self._state, database=self._database)
        queryset: Any = self._mapping.queryset
        rows = self._mapping.model._default_manager.all() if queryset is None else queryset
        self._walk = Walk(
            rows() if callable(rows) else rows,
            database=self._database,
            wants_objects=True,
            words=_WORDS,
        )
        self._payload = Payload(
            definition, syncs, self._state, self._walk, database=self._database
        )
        self._merge = Merge(
            self._payload,
            definition,
            syncs,
            database=self._database,
            keeps=self._mapping.on_conflict == OnConflict.KEEP,
        )
        self._exchange = Exchange(
            connector=connector,
            mapping=self._payload.mapping,
            merge=self._merge,
            owner_of=self._owner_of,
        )
        self._diffs: list[PushDiff] = []
        #: Changes that may still be sent, where that is limited.
        self._left = options.limit
        #: Objects that this run has come to an end with before the walk.
        self._settled: set[str] = set(recovered)
        #: Objects that are to be looked at again when all others were.
        self._again: list[Any] = []
        #: Objects that were counted already.
        self._counted: set[str] = set(recovered)
        self._is_last_round = False
        self._in_vain = 0
        self._number = 0

    # ------------------------------------------------------------------ the step

    def recover(self) -> set[str]:
        """Find out what became of rows that were created and of which no answer came; returns the
        primary keys of their objects, as text.

        Before anything is pulled: such a row has no link yet, and would become a second object.
        """
        with exits_fail(self._step, self._options.should_stop):
            self._recover()
        return self._settled

    def run(self) -> list[PushDiff]:
        """Send what differs; returns what a rehearsal would have sent, ``options.diff`` of it.

        Ends the step as done or partial, which is saved. Raises what ends it early: what was sent
        by then is remembered.
        """
        with exits_fail(self._step, self._options.should_stop):
            try:
                self._run()
            except Transient as error:
                self._wait(error)
        return self._diffs

    def delete_gone(self) -> list[PushDiff]:
        """Delete the rows over there whose objects are gone, as ``deleted`` says.

        For when all pushes of the run were made, in reverse order: rows may refer to each other.
        """
        options = self._options
        is_whole = not (options.keys or options.retry_failed or options.limit)
        if not is_whole or self._step.status not in (RunStatus.DONE, RunStatus.PARTIAL):
            return []
        deletions = Deletions(
            definition=self._definition,
            connector=self._connector,
            ledger=self._ledger,
            step=self._step,
            state=self._state,
            options=options,
            merge=self._merge,
        )
        try:
            gone = deletions.run()
        except Transient as error:
            self._wait(error)
            return []
        left = max(0, options.diff - len(self._diffs))
        return [
            PushDiff(
                label=self._definition.label,
                object_pk=str(link.object_pk),
                action=Action.DELETE,
                key=link.key,
            )
            for link in gone[: left if options.mode == Mode.REHEARSAL else 0]
        ]

    def _run(self) -> None:
        chosen = self._chosen()
        upper = self._walk.upper() if chosen is None else None
        if chosen is None:
            self._step.total = self._walk.total(None, upper)
        else:
            self._step.total = len(chosen)
        steps = len(self._ledger.steps)
        self._progress.start(
            self._step.label, self._step.position, steps, self._step.total, noun="object"
        )
        try:
            self._recover()
            is_whole = self._walk_through(upper) if chosen is None else self._only(chosen)
            is_whole = self._rounds() and is_whole
        finally:
            self._progress.finish()
        with self._committing():
            if is_whole and chosen is None:
                self._tidy_up()
            self.check_max_errors(self._step.read)
            is_partial = self._step.failed or not is_whole or self._messages.not_met
            status = RunStatus.PARTIAL if is_partial else RunStatus.DONE
            self._ledger.finish_step(self._step, status)

    def _chosen(self) -> list[str] | None:
        """The keys, as text, of the objects that are asked for; None for all of them."""
        if self._options.retry_failed:
            failed = map(key_of_text, self._messages.failed_before.values())
            return [pk if isinstance(pk, str) else self._walk.to_text(pk) for pk in failed]
        if not self._options.keys:
            return None
        keys = [text for key in self._options.keys for text in (key, key_text(key))]
        links = self._links.find([hash_of_text(key) for key in keys])
        held = self._outgoing.find(self._options.keys)
        return list(
            dict.fromkeys([link.object_pk for link in links.values() if link.object_pk] + [*held])
        )

    def _walk_through(self, upper: Any) -> bool:
        """Compare every object; whether the end was reached."""
        after = None
        while self._left is None or self._left > 0:
            compared = self._payload.page(after, upper, COMPARED_AT_ONCE)
            if not len(compared.pks):
                return True
            after = compared.pks[-1]
            self._handle(compared)
            self._between(len(compared.pks))
        return False

    def _only(self, texts: Sequence[str]) -> bool:
        for chunk in chunks(texts, COMPARED_AT_ONCE):
            compared = self._payload.only([self._walk.from_text(text) for text in chunk])
            self._handle(compared)
            there = {self._walk.to_text(pk) for pk in compared.pks}
            # What is not pushed any more does not wait to be.
            self._messages.handled(
                [_hash(self._walk.from_text(t)) for t in chunk if t not in there]
            )
            self._between(len(chunk))
        return True

    def _rounds(self) -> bool:
        """The objects that waited for others of their own kind, until none gets further."""
        while self._again and (self._left is None or self._left > 0):
            waiting, self._again = self._again, []
            self._only([self._walk.to_text(pk) for pk in waiting])
            if self._is_last_round:
                break
            self._is_last_round = len(self._again) >= len(waiting)
        return not self._again

    def _between(self, rows: int) -> None:
        self._progress.advance(rows, self._step.failed)
        if self._options.should_stop():
            raise Interrupted(f"{self._step.label} was stopped. {what_is_kept(self._step)}")

    # ------------------------------------------------------------------ a page

    def _handle(self, compared: Compared) -> None:
        """Count what is unchanged, and send what is not."""
        unchanged = [text for text in compared.unchanged if text not in self._settled]
        self._count(Outcome.UNCHANGED, unchanged)
        if self._messages.failed_before:
            pks = set(compared.unchanged)
            self._messages.handled(
                _hash(pk) for pk in compared.pks if self._walk.to_text(pk) in pks
            )
        due = [change for change in compared.due if change.object_pk not in self._settled]
        if not due:
            if self._ledger.is_silent:
                with self._committing():
                    pass
            return
        self._leave_out_conflicts(due)
        former = self._outgoing.find([change.object_pk for change in due])
        failed: list[Result] = []
        ready: list[Change] = []
        for change in due:
            held = former.get(change.object_pk)
            if change.is_skipped:
                failed.append(Result(change=change, outcome=Outcome.SKIPPED))
            elif change.error is not None:
                if not self._is_put_off(change):
                    failed.append(_failure(change, change.error))
            elif held is not None and held.state == OutgoingState.HELD and not self._options.keys:
                failed.append(_failure(change, RowFailure(held.cause)))
            elif change.fields or change.link is None:
                ready.append(change)
            else:
                failed.append(Result(change=change, outcome=Outcome.SKIPPED))
        if self._left is not None:
            ready = ready[: self._left]
            self._left -= len(ready)
        if failed:
            with self._committing():
                self._record(failed, {})
            self._raise_if_stopped(failed)
        for part in self._parts(ready):
            self._send(part, former)

    def _parts(self, ready: Sequence[Change]) -> Iterator[list[Change]]:
        """What is sent, and remembered, together."""
        if self._exchange.can_be_asked:
            yield from chunks(ready, self._mapping.page_size)
            return
        # Of a batch that is broken off nobody could tell which were created.
        for change in ready:
            if change.link is None:
                yield [change]
        yield from chunks(
            [each for each in ready if each.link is not None], self._mapping.page_size
        )

    def _is_put_off(self, change: Change) -> bool:
        """Whether it waits for an object of its own mapping, which may be sent in this run."""
        labels = getattr(change.error, "labels", ())
        if self._is_last_round or self._definition.label not in labels:
            return False
        self._again.append(change.pk)
        return True

    def _leave_out_conflicts(self, due: Sequence[Change]) -> None:
        """A field that waits for a person is neither pulled nor pushed."""
        hashes = [change.link.key_hash for change in due if change.link is not None]
        waiting = open_conflicts(self._state, database=self._database, hashes=hashes)
        for change in due if waiting else ():
            if change.link is None or change.link.key_hash not in waiting:
                continue
            names = waiting[change.link.key_hash]
            change.fields = tuple(each for each in change.fields if _name_here(each) not in names)
            heads = {each.path[0] for each in change.fields}
            change.values = {n: value for n, value in change.values.items() if n in heads}

    # ------------------------------------------------------------------ three steps

    def _send(self, changes: Sequence[Change], former: Mapping[str, Outgoing]) -> None:
        """Write down what is about to be sent; send it; remember what became of it."""
        if self._options.mode == Mode.REHEARSAL:
            self._rehearse(changes)
            return
        pks = {change.object_pk for change in changes}
        with self._committing():
            intents = self._outgoing.plan(
                [_intent(change) for change in changes],
                run=self._step.run_id,
                former={pk: row for pk, row in former.items() if pk in pks},
            )
        self._complete(changes, intents, self._exchange.send(changes, intents))

    def _complete(
        self,
        changes: Sequence[Change],
        intents: Mapping[str, Outgoing],
        answers: Iterable[Result],
    ) -> None:
        """Take the answers, and remember them, also those before one that ends the step."""
        results: list[Result] = []
        self._exchange.called.clear()
        stop: BaseException | None = None
        try:
            for result in answers:
                self._look_at(result)
                results.append(result)
        except BaseException as error:
            stop = error
        with self._committing():
            self._record(results, intents)
            answered = {result.change.object_pk for result in results}
            left = [each.object_pk for each in changes if each.object_pk not in answered]
            if not_called := [pk for pk in left if pk not in self._exchange.called]:
                self._outgoing.not_sent(not_called, _cause(stop), next_try=None)
        if stop is not None:
            raise stop
        self._call_post_process(results)
        self._raise_if_stopped(results)

    def _look_at(self, result: Result) -> None:
        """Raise :exc:`Transient` where the system is to be left alone for now."""
        if not isinstance(result.error, Transient):
            self._in_vain = 0
            return
        self._in_vain += 1
        if result.error.retry_after is not None or self._in_vain >= IN_VAIN:
            self._exchange.called.discard(result.change.object_pk)  # it did nothing
            raise result.error

    def _wait(self, error: Transient) -> None:
        """End the step until the remote system may be called again."""
        until = ""
        with self._committing():
            if error.retry_after:
                moment = timezone.now() + timedelta(seconds=error.retry_after)
                Accounts(self._database).wait(self._definition.connector, moment, str(error))
                until = f" It may go on at {time_of(moment)}."
            why = (
                f"{self._step.label} was broken off: {str(error).rstrip('.')}.{until}"
                " What was sent is remembered; the same command does the rest."
            )
            self._ledger.finish_step(self._step, RunStatus.PARTIAL, why)

    # ------------------------------------------------------------------ what became of it

    def _record(self, results: Sequence[Result], intents: Mapping[str, Outgoing]) -> None:
        """Links, states, intents, counts and messages, in the transaction that commits them."""
        added: list[Link] = []
        replaced: list[Link] = []
        known: dict[str, Known] = {}
        done: list[str] = []
        failed: dict[str, str] = {}
        held: dict[str, str] = {}
        waiting: list[str] = []
        self._refuse_taken(results)
        for result in results:
            change = result.change
            pk = change.object_pk
            if result.is_again:
                self._again.append(change.pk)
                self._settled.discard(pk)
            if result.outcome is None:  # its row is gone: it is created anew
                self._links.forget([change.link.key_hash] if change.link else [])
                self._states.forget([pk])
                done.append(pk)
                continue
            if result.error is not None:
                self._fail(result)
                if result.is_held:
                    held[pk] = str(result.error)
                elif isinstance(result.error, Transient):
                    waiting.append(pk)
                elif isinstance(result.error, RemoteError) and not isinstance(
                    result.error, Uncertain
                ):
                    failed[pk] = str(result.error)
                continue
            done.append(pk)
            if not result.is_again:  # it is counted when it was looked at again
                self._count(result.outcome, [pk])
            self._messages.handled([_hash(change.pk)])
            for each, theirs in result.conflicts:
                self._note_conflict(result, each.remote, theirs)
            if result.key is None:
                continue
            link = self._link(result)
            (added if change.link is None else replaced).append(link)
            if (state := self._known(result)) != Known():
                known[pk] = state
        if added:
            self._links.add(added)
        if replaced:
            self._links.replace(replaced)
        self._states.remember(known)
        if intents:
            self._outgoing.done([pk for pk in done if pk in intents])
            self._outgoing.fail({pk: why for pk, why in failed.items() if pk in intents})
            self._outgoing.hold({pk: why for pk, why in held.items() if pk in intents})
            self._outgoing.not_sent(waiting, "the remote system could not take it", next_try=None)

    def _refuse_taken(self, results: Sequence[Result]) -> None:
        """Hold what was created under a key that another object is linked with."""
        created = {
            identify(result.key)[0]: result
            for result in results
            if result.change.link is None and result.key is not None and result.error is None
        }
        owners = {h: link.object_pk for h, link in self._links.find(list(created)).items()}
        for result in results:
            if result.change.link is not None or result.key is None or result.error is not None:
                continue
            key_hash = identify(result.key)[0]
            owner = owners.setdefault(key_hash, result.change.object_pk)
            if owner != result.change.object_pk:
                result.outcome, result.is_held = Outcome.FAILED, True
                result.error = self._exchange.taken(result.key, owner)

    def _link(self, result: Result) -> Link:
        change = result.change
        names = {each.name for each in result.recorded}
        new = {name: digest for name, digest in change.local.items() if name in names}
        layout, packed = packed_by_name({**change.ancestor, **new})
        self._links.know_layout(layout, [*{**change.ancestor, **new}])
        if change.link is not None:
            return change.link._replace(written=packed)
        key_hash, text = identify(result.key)
        return Link(
            key_hash=key_hash,
            key=text,
            object_pk=change.object_pk,
            checksum=0,
            written=packed,
            run=self._step.run_id,
            # The object was here before: no rollback deletes it.
            kind=LinkKind.ADOPTED,
        )

    def _known(self, result: Result) -> Known:
        change = result.change
        names = {each.remote for each in result.recorded}
        is_all = change.link is None and not result.is_again
        sent = {
            **change.known,
            **{
                name: digest
                for name, digest in change.sent.items()
                if name in names or (name in result.change.values and (is_all or result.recorded))
            },
        }
        packed = b""
        if sent:
            layout, packed = packed_by_name(sent)
            self._links.know_layout(layout, [*sent])
        return Known(packed, result.version or "")

    def _count(self, outcome: Outcome, pks: Sequence[str]) -> None:
        """Count these objects, each once in a run whatever is done with it."""
        new = [pk for pk in pks if pk not in self._counted] if self._counted else pks
        self._step.count(outcome, len(new))
        if self._again:
            again = {self._walk.to_text(pk) for pk in self._again}
            self._counted.update(pk for pk in new if pk in again)

    def _fail(self, result: Result) -> None:
        change, error = result.change, result.error
        assert error is not None
        self._count(Outcome.FAILED, [change.object_pk])
        signals.row_failed.send(
            Run, run=self._step.run, step=self._step, row=change.values, exception=error
        )
        column = getattr(error, "column", "") or getattr(error, "field", "")
        value = getattr(error, "value", None)
        if column and value is None:
            found = take(change.values, column.split("."))
            value = None if found is NOT_THERE else found
        self._note(change, MessageKind.FAILURE, _what_is_wrong(error), column, value)

    def _note_conflict(self, result: Result, column: str, theirs: Any) -> None:
        ours = take(result.change.values, column.split("."))
        shown = MASK if column in self._mapping.sensitive else repr(ours)
        cause = (
            f"was changed to {shown} here and to something else over there since both had the"
            " same; it is left to the next pull, which decides by on_conflict"
        )
        self._note(result.change, MessageKind.CONFLICT, cause, column, theirs)

    def _note(
        self, change: Change, kind: MessageKind, cause: str, column: str = "", value: Any = None
    ) -> None:
        key_hash, text = identify(key_of(change.pk))
        if column in self._mapping.sensitive:
            value = MASK
        self._ledger.note(
            self._step,
            Message(
                kind,
                cause,
                row_number=self._step.read,
                key=text,
                key_hash=key_hash,
                column=column,
                value=value,
            ),
        )

    def _raise_if_stopped(self, results: Sequence[Result]) -> None:
        """Raise :exc:`StepFailed` where a failed row ends the step."""
        failed = [result for result in results if result.error is not None]
        if failed and self._options.on_error == OnError.STOP:
            first = failed[0]
            assert first.error is not None
            raise StepFailed(
                f"{self._step.label}: {self._mapping.model._meta.label}"
                f" {first.change.object_pk}: {_what_is_wrong(first.error).rstrip('.')}."
                f" {what_is_kept(self._step)} Mend the object or the mapping, or go on past failed"
                " ones with --on-error continue."
            ) from first.error
        if failed:
            self.check_max_errors(self._step.total)

    def check_max_errors(self, rows: int | None) -> None:
        """Raise :exc:`TooManyErrors` when more objects failed than ``--max-errors`` allows."""
        limit = self._options.max_errors
        failed = sum(step.failed for step in self._ledger.steps)
        if limit is not None and limit.is_exceeded(
            failed=failed, failed_in_step=self._step.failed, rows=rows
        ):
            raise TooManyErrors(
                f"{self._step.label}: {number_of(failed, 'object')} failed, more than"
                f" --max-errors {limit} allows. {what_is_kept(self._step)}"
            )

    def _call_post_process(self, results: Sequence[Result]) -> None:
        """The project's own word on what was sent, each in a savepoint."""
        if self._mapping.post_process is Spec.post_process:
            return
        sent = [each for each in results if each.outcome in (Outcome.CREATED, Outcome.UPDATED)]
        if not sent:
            return
        objects = self._mapping.model._base_manager.using(self._database).in_bulk(
            [result.change.pk for result in sent]
        )
        savepoints = HookSavepoints(self._database)
        with self._committing(), savepoints.watching():
            for result in sent:
                if (local := objects.get(result.change.pk)) is None:
                    continue
                remote = result.row if result.row is not None else result.change.values
                is_new = result.outcome == Outcome.CREATED
                try:
                    savepoints.run(_Called(self._payload.mapping, local, remote, is_new))
                except Exception as error:
                    cause = f"post_process failed, the row was sent: {_what_is_wrong(error)}"
                    self._note(result.change, MessageKind.WARNING, cause)

    # ------------------------------------------------------------------ after a crash

    def _recover(self) -> None:
        """Find out what became of rows that were to be created and of which no answer came."""
        if self._options.mode == Mode.REHEARSAL:
            return
        for page in self._outgoing.all(OutgoingState.SENT, actions=[Action.CREATE]):
            # One that this run could not settle either is written down anew, and not met again.
            intents = {row.object_pk: row for row in page if row.run != self._step.run_id}
            compared = self._payload.only([self._walk.from_text(pk) for pk in intents])
            changes = {
                change.object_pk: change
                for change in compared.due
                if change.link is None and change.error is None and not change.is_skipped
            }
            there = {self._walk.to_text(pk) for pk in compared.pks}
            linked = there - {c.object_pk for c in compared.due if c.link is None}
            gone = {pk: _ORPHAN for pk in intents if pk not in there}
            if gone or linked:
                with self._committing():
                    self._outgoing.hold(gone)
                    self._outgoing.done([pk for pk in intents if pk in linked])
            for part in chunks(changes.values(), self._mapping.page_size):
                with self._committing():
                    own = {c.object_pk: intents[c.object_pk] for c in part}
                    again = self._outgoing.plan(
                        [
                            _intent(c)._replace(
                                idempotency_key=own[c.object_pk].idempotency_key,
                                digest=own[c.object_pk].digest,
                            )
                            for c in part
                        ],
                        run=self._step.run_id,
                        former=own,
                    )
                for pk, row in own.items():
                    again[pk].sent_at = row.sent_at
                self._settled.update(c.object_pk for c in part)
                self._complete(part, again, (self._recovered(c, again) for c in part))
            self._between(0)

    def _recovered(self, change: Change, intents: Mapping[str, Outgoing]) -> Result:
        self._exchange.called.add(change.object_pk)  # by the run before
        return self._exchange.recover(change, intents[change.object_pk])

    def _tidy_up(self) -> None:
        """Every object was met: nothing waits of those that are not pushed any more."""
        self._messages.handled(self._messages.not_met)
        if self._options.mode == Mode.REHEARSAL:
            return
        for page in self._outgoing.all(
            OutgoingState.PLANNED,
            OutgoingState.FAILED,
            OutgoingState.SENT,
            actions=[Action.CREATE, Action.UPDATE],
        ):
            self._outgoing.done([row.object_pk for row in page if row.run < self._step.run_id])

    # ------------------------------------------------------------------ a rehearsal

    def _rehearse(self, changes: Sequence[Change]) -> None:
        """Count what would be sent.

        What would be created is linked until all is rolled back: other objects may refer to it.
        """
        results = [
            Result(change=change, key=f"new {change.object_pk}", recorded=change.fields)
            for change in changes
            if change.link is None
        ]
        if connections[self._database].in_atomic_block:
            self._links.add([self._link(result) for result in results])
        for change in changes:
            is_new = change.link is None
            self._count(Outcome.CREATED if is_new else Outcome.UPDATED, [change.object_pk])
            self._messages.handled([_hash(change.pk)])
            if len(self._diffs) >= self._options.diff:
                continue
            row: Mapping[str, Any] = {}
            if not is_new and self._connector.can("get"):
                row = self._connector.get(self._mapping.objectname, change.key) or {}
            sensitive = self._mapping.sensitive
            self._diffs.append(
                PushDiff(
                    label=self._definition.label,
                    object_pk=change.object_pk,
                    action=Action.CREATE if is_new else Action.UPDATE,
                    key="" if change.link is None else change.link.key,
                    changes={
                        name: (MASK, MASK) if name in sensitive else (_before(row, name), value)
                        for name, value in flat(change.values, self._payload.fields)
                    },
                )
            )

    # ------------------------------------------------------------------ the ledger

    def _committing(self) -> AbstractContextManager[None]:
        if self._options.mode == Mode.REHEARSAL:
            return nullcontext()
        return self._ledger.committing(self._step)

    def _owner_of(self, key: Any) -> str | None:
        key_hash, _ = identify(key)
        link = self._links.find([key_hash]).get(key_hash)
        return link.object_pk if link is not None else None


class _Called:
    """``post_process`` of one row, with its arguments, under its name."""

    __name__ = "post_process"

    def __init__(self, mapping: Spec, local: Any, remote: Mapping[str, Any], is_new: bool) -> None:
        self._call: Callable[[], None] = lambda: mapping.post_process(
            local=local, remote=remote, created=is_new
        )

    def __call__(self) -> None:
        self._call()


_ORPHAN = (
    "it was sent, no answer came, and the object is not pushed any more: look over there whether"
    " its row was created"
)


def _intent(change: Change) -> Intent:
    if change.link is None:
        return Intent(change.object_pk, Action.CREATE, change.digest)
    return Intent(change.object_pk, Action.UPDATE, change.digest, change.link.key)


def _failure(change: Change, error: Exception) -> Result:
    return Result(change=change, outcome=Outcome.FAILED, error=error)


def _name_here(field: RemoteField) -> str:
    """What a field is called where its conflicts are told."""
    return list_column(field) if field.nested is not None else field.name


def _hash(pk: Any) -> str:
    return identify(key_of(pk))[0]


def _before(row: Mapping[str, Any], name: str) -> Any:
    found = take(row, name.split("."))
    return None if found is NOT_THERE else found


def _cause(stop: BaseException | None) -> str:
    return words(stop) if isinstance(stop, Exception) else "the run was stopped"


def _what_is_wrong(error: Exception) -> str:
    if isinstance(error, RowFailure):
        return error.cause
    if isinstance(error, RemoteError):
        return str(error)
    name, said = type(error).__name__, words(error)
    return f"{name}: {said}" if said != name else name
