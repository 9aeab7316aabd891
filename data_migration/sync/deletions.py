"""Rows over there whose objects are gone here: kept, told of, or deleted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from ..exceptions import Conflict, Gone, LedgerError, RemoteError, Transient, Uncertain
from ..fields.digests import unpacked
from ..fields.primary_keys import pk_from_text
from ..ledger import Link, LinkBook, Message, StepLedger
from ..ledger.outgoing import Intent, Known, OutgoingBook, RemoteStates
from ..models import MigrationState, RunStep
from ..outcomes import Action, MessageKind, Mode, Outcome, OutgoingState, Removed
from ..rows.keys import key_of_text
from ..utils.chunks import chunks
from .connector import Connector
from .definition import Definition
from .merge import Merge
from .options import SyncOptions
from .sending import ROW_ERRORS

_CHUNK = 1000


@dataclass(kw_only=True)
class Deletions:
    """Deletes the rows of one mapping over there, after every push of the run.

    An object is gone when its table has it no more; one that left the queryset is not.
    """

    definition: Definition
    connector: Connector
    ledger: StepLedger
    step: RunStep
    state: MigrationState
    options: SyncOptions
    merge: Merge

    def run(self) -> list[Link]:
        """Do what ``deleted`` says; returns the links of the rows that are, or would be, deleted.

        Raises :exc:`LedgerError` for more of them than ``deleted_limit`` allows.
        """
        policy = Removed(self.definition.mapping.deleted)
        if policy == Removed.KEEP:
            self._forget_intents()
            return []
        links = LinkBook(self.state, database=self.options.database)
        gone = list(self._gone(links))
        if policy == Removed.REPORT:
            with self._committing():
                for link in gone:
                    self._note(link, f"{self._what(link)}; it stays there")
            return []
        self._check_limit(len(gone), links.count())
        if self.options.mode == Mode.REHEARSAL:
            self.step.removed += len(gone)
            return gone
        for part in chunks(gone, self.definition.mapping.page_size):
            self._delete(part, links)
        return gone

    def _gone(self, links: LinkBook) -> Iterator[Link]:
        """The links of objects that are gone."""
        model: Any = self.definition.mapping.model
        from_text = pk_from_text(model)
        rows = model._base_manager.using(self.options.database)
        for chunk in chunks(links.all(object_pk__isnull=False), _CHUNK):
            pks = [from_text(link.object_pk) for link in chunk]
            there = set(rows.filter(pk__in=pks).values_list("pk", flat=True))
            yield from (link for link, pk in zip(chunk, pks, strict=True) if pk not in there)

    def _check_limit(self, gone: int, total: int) -> None:
        limit = self.definition.mapping.deleted_limit
        if self.options.force_removal or gone * 100 <= limit * total:
            return
        raise LedgerError(
            f"{self.definition.label}: {gone:,} of {total:,} objects ({100 * gone / total:.3g} %)"
            f" are gone, more than deleted_limit = {limit:g} allows. Nothing was deleted over"
            " there. If these objects are really to go there as well, say so with"
            " --force-removal."
        )

    def _delete(self, links: Sequence[Link], book: LinkBook) -> None:
        states = RemoteStates(self.state, database=self.options.database)
        outgoing = OutgoingBook(self.state, database=self.options.database)
        pks = [str(link.object_pk) for link in links]
        known = states.find(pks)
        with self._committing():
            outgoing.plan(
                [Intent(pk, Action.DELETE, 0, x.key) for pk, x in zip(pks, links, strict=True)],
                run=self.step.run_id,
                former=outgoing.find(pks),
            )
        answers: list[tuple[Link, Exception | None]] = []
        stop: BaseException | None = None
        try:
            for link in links:
                error = self._call(link, known.get(str(link.object_pk), Known()).version)
                if isinstance(error, Transient):
                    raise error
                answers.append((link, error))
        except BaseException as error:
            stop = error
        with self._committing():
            self._record(answers, book, states, outgoing)
            told = {str(link.object_pk) for link, _ in answers}
            left = [pk for pk in pks if pk not in told]
            # A call that was broken off is found by the next run, which deletes once more.
            outgoing.not_sent(left, "it was not deleted yet", next_try=None)
        if stop is not None:
            raise stop

    def _call(self, link: Link, version: str) -> Exception | None:
        """Delete one row; returns why it was not, None where it is gone."""
        objectname, key = self.definition.mapping.objectname, key_of_text(link.key)
        try:
            if not version and self.connector.can("get"):
                row = self.connector.get(objectname, key)
                if row is None:
                    return None
                ancestor = unpacked(link.written, self.state.layouts)
                if changed := self.merge.changed(ancestor, row):
                    return Conflict(f"{', '.join(changed)} changed there since both had the same")
                version = self.connector.version(objectname, row) or ""
            self.connector.delete(objectname, key, version=version or None)
        except Gone:
            return None
        except ROW_ERRORS as error:
            return error
        return None

    def _record(
        self,
        answers: Sequence[tuple[Link, Exception | None]],
        book: LinkBook,
        states: RemoteStates,
        outgoing: OutgoingBook,
    ) -> None:
        done = [link for link, error in answers if error is None]
        book.forget([link.key_hash for link in done])
        states.forget([str(link.object_pk) for link in done])
        outgoing.done([str(link.object_pk) for link in done])
        self.step.removed += len(done)
        for link, error in answers:
            pk = str(link.object_pk)
            if isinstance(error, Conflict):
                outgoing.done([pk])
                self._note(link, f"{self._what(link)}; it stays there: {error}", is_conflict=True)
            elif isinstance(error, RemoteError):
                if not isinstance(error, Uncertain):
                    outgoing.fail({pk: str(error)})
                self.step.count(Outcome.FAILED)
                self.ledger.note(
                    self.step,
                    Message(
                        MessageKind.FAILURE,
                        f"{self._what(link)}, and cannot be deleted there: {error}",
                        key=link.key,
                        key_hash=link.key_hash,
                    ),
                )

    def _what(self, link: Link) -> str:
        label = self.definition.mapping.model._meta.label
        return f"{label} {link.object_pk} of the row {link.key} over there is gone"

    def _note(self, link: Link, cause: str, *, is_conflict: bool = False) -> None:
        kind = MessageKind.CONFLICT if is_conflict else MessageKind.REMOVED
        self.ledger.note(self.step, Message(kind, cause, key=link.key, key_hash=link.key_hash))

    def _forget_intents(self) -> None:
        """Nothing is to be deleted any more, whatever an earlier run wrote down."""
        if self.options.mode == Mode.REHEARSAL:
            return
        outgoing = OutgoingBook(self.state, database=self.options.database)
        for page in outgoing.all(*OutgoingState, actions=[Action.DELETE]):
            with self._committing():
                outgoing.done([row.object_pk for row in page])

    def _committing(self) -> AbstractContextManager[None]:
        if self.options.mode == Mode.REHEARSAL:
            return nullcontext()
        return self.ledger.committing(self.step)
