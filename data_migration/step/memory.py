"""What the ledger knows of the rows of a step, and what it is to remember of them.

One lookup per batch. A row that needs nothing ends before any transformation, most of them before
a draft is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import compress
from typing import Any, NamedTuple, Protocol

from django.db.models import Model

from ..exceptions import RowFailure
from ..fields.primary_keys import pk_from_text, pk_to_text
from ..ledger import Link, LinkBook
from ..outcomes import LinkKind, Outcome
from ..rows.drafts import Draft, Note
from ..spec.terms import Finish
from ..tables import Meanwhile
from ..undo.keys_read import KeysRead
from ..utils.databases import database_of
from ..writers import Conflicts
from .batch import Batch
from .bloom import BloomFilter
from .delta import Rerun, Verdict, judge
from .presence import Presence
from .remember import Keeper

_WRITTEN = frozenset({Outcome.CREATED, Outcome.UPDATED, Outcome.UNCHANGED})


class Recognised(NamedTuple):
    """Drafts that need work; others that end here; and those that wait for one with their key.

    What an earlier run has done is in none of them.
    """

    open: list[Draft]
    ended: list[Draft]
    repeated: list[Draft]


class Memory(Protocol):
    """What a pipeline asks, and tells, of rows that come again."""

    def done_with(self, batch: Batch) -> Sequence[bool]:
        """Which rows need nothing, as far as one lookup tells; empty where it would tell nothing.

        Needs no transaction.
        """

    def recognise(self, drafts: list[Draft], batch: Batch | None = None) -> Recognised:
        """What is to be done with the drafts: of them all, or of those put off before."""

    def refuse_taken(self, drafts: Iterable[Draft]) -> None:
        """Drafts whose object was found fail where another row is it already."""

    def finish(self, drafts: list[Draft], finish: Finish) -> None:
        """Go on with drafts that were written, before they are kept."""

    def reserve(self, drafts: Iterable[Draft]) -> None:
        """These drafts wait to be written: no other row may take their keys meanwhile."""

    def while_written(self, drafts: Iterable[Draft]) -> None:
        """Called while the database takes the new objects of these drafts."""

    def keep(self, drafts: list[Draft]) -> None:
        """Remember what was written; a failed draft leaves no trace."""

    def keep_conflicts(self, drafts: Iterable[Draft]) -> None:
        """Remember drafts that ended without being written, where a person has changed much."""

    def complete(self, drafts: list[Draft]) -> None:
        """Remember what was added to drafts after :meth:`keep`; forget objects that had to go."""


class NoMemory:
    """Of rows without a key nothing is known and nothing is remembered.

    ``fetch_ahead`` makes the next batch ready.
    """

    def __init__(self, fetch_ahead: Meanwhile) -> None:
        self._fetch_ahead = fetch_ahead

    def done_with(self, batch: Batch) -> Sequence[bool]:
        return ()

    def recognise(self, drafts: list[Draft], batch: Batch | None = None) -> Recognised:
        return Recognised(drafts, [], [])

    def refuse_taken(self, drafts: Iterable[Draft]) -> None: ...

    def finish(self, drafts: list[Draft], finish: Finish) -> None: ...

    def reserve(self, drafts: Iterable[Draft]) -> None: ...

    def while_written(self, drafts: Iterable[Draft]) -> None:
        self._fetch_ahead()

    def keep(self, drafts: list[Draft]) -> None: ...

    def keep_conflicts(self, drafts: Iterable[Draft]) -> None: ...

    def complete(self, drafts: list[Draft]) -> None: ...


class LinkMemory:
    """The links of one keyed step in ``book``.

    ``keeper`` writes them, ``conflicts`` decides about objects that somebody deleted, and
    ``keys_read`` takes note of every key where somebody asks for the rows that are gone.
    """

    def __init__(
        self,
        model: type[Model],
        book: LinkBook,
        rerun: Rerun,
        *,
        keeper: Keeper,
        conflicts: Conflicts,
        keys_read: KeysRead | None,
        is_empty: bool,
    ) -> None:
        self._book = book
        self._rerun = rerun
        self._keeper = keeper
        self._conflicts = conflicts
        self._keys_read = keys_read
        self._pk_of = pk_from_text(model)
        self._pk_text = pk_to_text(model)
        self._objects = model._base_manager.using(book.database)
        self._presence = Presence(model, database=book.database)
        #: Keys of the drafts that are recognised together, of which none may be written twice.
        self._together: set[str] = set()
        #: Keys of drafts that wait to be written.
        self._reserved: set[str] = set()
        #: Keys with an open failure that this run has met. Other repeated keys were told when
        #: they were first read.
        self._retried: set[str] = set()
        #: Where there was no link before this run: the keys that it has met, and the highest of
        #: their hashes.
        self._met = BloomFilter() if is_empty else None
        self._highest = ""

    def done_with(self, batch: Batch) -> Sequence[bool]:
        """As :class:`Memory` has it. For :meth:`recognise` is left what may have changed.

        So are batches in which a key is repeated, and all of a step that had no link before.
        """
        identities, rerun = batch.identities, self._rerun
        if identities is None:
            return ()
        hashes = identities.hashes
        if self._keys_read is not None:
            self._keys_read.add(hashes)
        if self._met is not None or rerun.full or rerun.calls_hook:
            return ()
        if len(set(hashes)) < len(hashes):
            return ()
        settled = self._book.settled(
            list(filter(None, hashes)),
            before=rerun.pass_run if rerun.updates else rerun.run,
            skipped=not rerun.updates,
        )
        done = [
            checksum in settled and key not in rerun.failed and key not in self._reserved
            for checksum, key in zip(identities.checksums, hashes, strict=True)
        ]
        if faults := batch.group.rows.faults:
            done = [each and fault is None for each, fault in zip(done, faults, strict=True)]
        if rerun.updates:
            of_rows = [settled.get(checksum) for checksum in identities.checksums]
            if gone := self._presence.gone(compress(of_rows, done)):
                done = [each and pk not in gone for each, pk in zip(done, of_rows, strict=True)]
        return done

    def recognise(self, drafts: list[Draft], batch: Batch | None = None) -> Recognised:
        if batch is not None and self._is_new(batch):
            return Recognised(drafts, [], [])
        self._together.clear()
        repeated = [draft for draft in drafts if self._has_to_wait(draft)]
        if repeated:
            put_off = set(repeated)
            drafts = [draft for draft in drafts if draft not in put_off]
        links = self._find([each.identity.hash for each in drafts if each.error is None])
        if links:
            drafts = [d for d in drafts if d.outcome is not None or not self._is_passed(d, links)]
            if self._rerun.updates:
                self._look_for([d for d in drafts if d.outcome == Outcome.UNCHANGED])
            self._fetch([d for d in drafts if d.link is not None and d.outcome is None])
        open_ = [draft for draft in drafts if draft.outcome is None]
        ended = [draft for draft in drafts if draft.outcome is not None]
        return Recognised(open_, ended, repeated)

    def _is_new(self, batch: Batch) -> bool:
        """Whether no key of the batch was met before: in it, in the run, or by an earlier one.

        Nothing is found out where there were links before.
        """
        identities = batch.identities
        if self._met is None or identities is None or self._retried:
            return False
        if batch.faults or batch.group.rows.faults:
            return False
        hashes = set(identities.hashes)
        if len(hashes) < len(batch) or not self._reserved.isdisjoint(hashes):
            return False
        return not self._find(identities.hashes)

    def _has_to_wait(self, draft: Draft) -> bool:
        """Whether a draft before this one has its key; where it may not wait for that, it fails.

        Only an update may meet an object twice.
        """
        key = draft.identity.hash
        if draft.error is not None:
            return False
        if key in self._reserved or key in self._retried:
            draft.fail(_repeated())
        elif key not in self._together:
            self._together.add(key)
        elif self._rerun.updates:
            return True
        else:
            draft.fail(_repeated())
        return False

    def _find(self, hashes: Sequence[str]) -> dict[str, Link]:
        """The links of a batch, asking only for those that may be there.

        In a first run that is a key which the query returns twice. Hashes are in the order of
        numbers and of the beginning of texts, and most queries return their rows in that of a key.
        """
        asked = hashes
        if self._met is not None:
            maybe = self._met.add(hashes)
            asked = [key_hash for key_hash in maybe if key_hash <= self._highest]
            self._highest = max(self._highest, *hashes) if hashes else self._highest
        return self._book.find(asked) if asked else {}

    def _is_passed(self, draft: Draft, links: dict[str, Link]) -> bool:
        """Whether an earlier run has done the row; else carry out the verdict about it."""
        identity, rerun = draft.identity, self._rerun
        draft.link = link = links.get(identity.hash)
        verdict = judge(link, identity, rerun)
        if link is not None and not rerun.updates and identity.hash in rerun.failed:
            self._retried.add(identity.hash)
        match verdict:
            case Verdict.CLASH:
                draft.fail(_clash(links[identity.hash]))
            case Verdict.REPEATED:
                draft.fail(_repeated())
            case Verdict.REPLACES if not rerun.calls_hook:
                draft.notes += (Note("", None, _REPLACES),)
            case Verdict.RESUMED:
                is_new = rerun.is_first and links[identity.hash].kind == LinkKind.CREATED
                draft.resumes = Outcome.CREATED if is_new else Outcome.UPDATED
            case Verdict.SKIPPED:
                draft.outcome = Outcome.SKIPPED
            case Verdict.UNCHANGED:
                draft.outcome = Outcome.UNCHANGED
        return verdict is Verdict.PASSED

    def _look_for(self, unchanged: Sequence[Draft]) -> None:
        """What was deleted since is not unchanged although its row is."""
        gone = self._presence.gone(draft.link.object_pk for draft in unchanged)
        for draft in unchanged if gone else ():
            if draft.link.object_pk in gone:
                draft.outcome = None

    def _fetch(self, drafts: Sequence[Draft]) -> None:
        """Load and lock the objects of linked drafts, one query; settle those that are gone."""
        linked = [draft for draft in drafts if draft.link.object_pk is not None]
        keys = {draft: self._pk_of(draft.link.object_pk) for draft in linked}
        # What is compared now is written later: nobody may change it in between.
        objects = database_of(self._book.database).locking(self._objects)
        stored: dict[Any, Model] = objects.in_bulk(set(keys.values())) if keys else {}
        for draft, key in keys.items():
            draft.existing = stored.get(key)
            if draft.existing is None:
                try:
                    is_made_again = self._conflicts.gone(draft)
                except RowFailure as error:
                    draft.fail(error)
                    continue
                if is_made_again:
                    draft.resumes = None
                else:
                    draft.outcome = Outcome.SKIPPED

    def refuse_taken(self, drafts: Iterable[Draft]) -> None:
        found = {self._pk_text(d.existing.pk): d for d in drafts if d.existing is not None}
        for pk, (link, *_) in self._book.of_objects(found).items():
            found[pk].fail(
                RowFailure(
                    f"it has the values of the object {pk}, which another row is already, the one"
                    f" with the key {link.key}: two rows cannot be one object. Mend one of them,"
                    " or compare more of their values in match"
                )
            )

    def finish(self, drafts: list[Draft], finish: Finish) -> None:
        written = [d for d in drafts if d.error is None and d.resumes is None]
        written = [draft for draft in written if draft.outcome in _WRITTEN]
        finish(
            written,
            failed=self._rerun.failed,
            is_theirs=self._conflicts.is_theirs,
            database=self._book.database,
        )

    def reserve(self, drafts: Iterable[Draft]) -> None:
        self._reserved.update(draft.identity.hash for draft in drafts)

    def while_written(self, drafts: Iterable[Draft]) -> None:
        self._keeper.digest(drafts)

    def keep(self, drafts: list[Draft]) -> None:
        self._keeper.keep(drafts)

    def keep_conflicts(self, drafts: Iterable[Draft]) -> None:
        self._keeper.keep([draft for draft in drafts if draft.conflicts])

    def complete(self, drafts: list[Draft]) -> None:
        self._keeper.forget([draft for draft in drafts if draft.error is not None])
        self._keeper.keep(drafts)


def _clash(link: Link) -> RowFailure:
    return RowFailure(
        f"the legacy key has the same hash as {link.key}, by a chance of one in millions of"
        " millions. Add a further column to legacy_key, which makes other hashes"
    )


_REPLACES = (
    "another row of the query has the same legacy key; this one replaces its values, in every"
    " rerun again"
)


def _repeated() -> RowFailure:
    return RowFailure(
        "another row of the query has the same legacy key. Each row needs a key of its own: name"
        " further columns in legacy_key, or leave the repetition out of the query"
    )
