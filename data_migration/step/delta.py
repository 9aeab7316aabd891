"""What the ledger knows of the rows of a keyed step: done, unchanged, changed or new.

One lookup per batch. A row that needs nothing ends here, before any transformation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Model

from ..exceptions import RowFailure
from ..ledger import Link, LinkBook
from ..outcomes import LinkKind, Outcome, Unsettled
from ..rows.checksum import RowChecksum
from ..rows.drafts import Draft, Note
from ..rows.keys import identify, identify_many, is_whole
from ..spec.fingerprint import fingerprint
from ..spec.migration import Migration
from ..writers import Conflicts
from .batch import Batch, Identity
from .bloom import BloomFilter


@dataclass(frozen=True, kw_only=True, slots=True)
class Rerun:
    """How a run treats rows that it meets again.

    ``run`` is its number, ``pass_run`` that of the run which began the pass over the query.
    With ``updates`` rows that changed are updated, else every linked row is passed over; with
    ``full`` unchanged rows are compared with their objects as well. ``calls_hook``: every
    existing object goes to ``hook_update_existing``. ``failed`` are the keys of rows that failed
    before: they are tried again in any case. ``is_first``: the query was never read to its end.
    """

    run: int
    pass_run: int
    updates: bool = False
    full: bool = False
    calls_hook: bool = False
    failed: Collection[str] = frozenset()
    is_first: bool = True


class Delta:
    """Compares the rows of one step with their links.

    ``key`` are the columns that identify a row, ``columns`` all of the query's.
    """

    def __init__(
        self,
        migration: Migration,
        book: LinkBook,
        rerun: Rerun,
        conflicts: Conflicts,
        *,
        key: Sequence[str],
        columns: Sequence[str],
    ) -> None:
        self._book = book
        self._rerun = rerun
        self._conflicts = conflicts
        self._key = tuple(key)
        self._checksum = RowChecksum(columns, fingerprint(type(migration)))
        self._pk = migration.model._meta.pk
        self._rows = migration.model._base_manager.using(book.database)
        #: Keys of the batch, of which none may be written twice at once.
        self._seen: set[str] = set()
        #: Keys of drafts that wait to be written.
        self._reserved: set[str] = set()
        #: Keys with an open failure that this run has met. Other repeated keys were told when
        #: they were first read.
        self._met: set[str] = set()
        #: Whether there was no link before this run.
        self.is_first = book.is_empty()
        #: In a first run: the keys that it has met, and the highest hash of them.
        self._known = BloomFilter() if self.is_first else None
        self._highest = ""
        #: Drafts whose key an earlier draft of the batch has.
        self.repeated: list[Draft] = []

    def identify(self, batch: Batch) -> None:
        """Find out the key and the checksum of each row."""
        keys = batch.rows.values(self._key)
        hashes, texts = identify_many(keys) or self._identify(batch, keys)
        batch.identity = Identity(keys, hashes, texts, self._checksum(batch.rows.tuples()))

    def _identify(self, batch: Batch, keys: Sequence[Any]) -> tuple[list[str], list[str]]:
        """The hashes and texts of keys of any kind; a row that cannot be identified has none."""
        pairs, faults = [("", "")] * len(keys), {}
        for place, (number, key) in enumerate(zip(batch.numbers, keys, strict=True)):
            try:
                pairs[place] = self._identified(key)
            except RowFailure as fault:
                faults[number] = fault
        batch.faults = faults
        hashes, texts = zip(*pairs, strict=True)
        return list(hashes), list(texts)

    def _identified(self, key: Any) -> tuple[str, str]:
        if not is_whole(key):
            raise self._no_key()
        try:
            return identify(key)
        except TypeError as error:
            raise RowFailure(f"the legacy key is unusable: {error}") from error

    def is_new(self, batch: Batch) -> bool:
        """Whether no key of the batch was met before: in it, in the run, or by an earlier one.

        Nothing is found out where there were links before.
        """
        identity = batch.identity
        if not self.is_first or identity is None or batch.faults or self._met:
            return False
        hashes = set(identity.hashes)
        if len(hashes) < len(batch) or not self._reserved.isdisjoint(hashes):
            return False
        return not self._find(identity.hashes)

    def unchanged(self, identity: Identity) -> Sequence[bool]:
        """Which rows need nothing, as far as one lookup tells; empty where it would tell nothing.

        Rows that differ from what is remembered of them, or may differ, are for
        :meth:`recognise`. So are batches in which a key is repeated.
        """
        rerun, reserved, hashes = self._rerun, self._reserved, identity.hashes
        if self.is_first or rerun.full or rerun.calls_hook or len(set(hashes)) < len(hashes):
            return ()
        settled = self._book.settled(
            list(filter(None, hashes)),
            before=rerun.pass_run if rerun.updates else rerun.run,
            skipped=not rerun.updates,
        )
        return [
            checksum in settled and key not in rerun.failed and key not in reserved
            for checksum, key in zip(identity.checksums, hashes, strict=True)
        ]

    def _no_key(self) -> RowFailure:
        named = ", ".join(self._key)
        return RowFailure(
            f"the legacy key ({named}) is NULL, so the row could not be found again. Leave such"
            " rows out of the query, or name other columns in legacy_key"
        )

    def recognise(self, drafts: list[Draft]) -> Iterator[Draft]:
        """Yield the drafts that this run counts; those that end here have their outcome.

        The others of them go on: as new rows, or with the ``existing`` object to update. What
        an earlier run has done is not among them, nor what is left in :attr:`repeated`.
        """
        drafts = [draft for draft in drafts if not self._is_put_off(draft)]
        links = self._find([draft.key_hash for draft in drafts if draft.error is None])
        if not links:
            yield from drafts
            return
        known: list[Draft] = []
        for draft in drafts:
            draft.link = link = links.get(draft.key_hash) if draft.error is None else None
            if link is not None:
                if link.key != draft.key_text:
                    draft.fail(_clash(link))
                elif self._is_done(draft, link):
                    continue
                elif draft.outcome is None:
                    known.append(draft)
            yield draft
        self._fetch(known)

    def _find(self, hashes: Sequence[str]) -> dict[str, Link]:
        """The links of a batch, asking only for those that may be there.

        In a first run that is a key which the query returns twice. Hashes are in the order of
        numbers and of the beginning of texts, and most queries return their rows in that of a key.
        """
        asked = hashes
        if self._known is not None:
            maybe = self._known.add(hashes)
            asked = [key_hash for key_hash in maybe if key_hash <= self._highest]
            self._highest = max(self._highest, *hashes) if hashes else self._highest
        return self._book.find(asked) if asked else {}

    def _is_put_off(self, draft: Draft) -> bool:
        """Whether the draft has to wait for another one with its key; where it may not, it fails.

        Only an update may meet an object twice.
        """
        key = draft.key_hash
        if draft.error is not None:
            return False
        if key in self._reserved or key in self._met:
            draft.fail(_repeated())
        elif key not in self._seen:
            self._seen.add(key)
        elif self._rerun.updates:
            self.repeated.append(draft)
            return True
        else:
            draft.fail(_repeated())
        return False

    def take_repeated(self) -> list[Draft]:
        """The drafts that were put off, now that those before them are written."""
        repeated, self.repeated = self.repeated, []
        self._seen.clear()
        return repeated

    def reserve(self, drafts: Iterable[Draft]) -> None:
        """These drafts wait to be written: no other row may take their keys meanwhile."""
        self._reserved.update(draft.key_hash for draft in drafts)

    def _is_done(self, draft: Draft, link: Link) -> bool:
        """Whether an earlier run has done the row; else judge it by what is known of it."""
        rerun = self._rerun
        if link.unsettled == Unsettled.RELATIONS and link.run != rerun.run:
            draft.is_resumed = True
            draft.is_new = rerun.is_first and link.kind == LinkKind.CREATED
            return False
        if link.run == rerun.run:
            self._judge_repeated(draft)
            return False
        is_same = link.checksum == draft.checksum
        if draft.key_hash in rerun.failed:
            if not rerun.updates:
                self._met.add(draft.key_hash)
                if is_same:  # as it was imported: nothing is left to be mended
                    self._end_unchanged(draft, link)
            return False
        if not rerun.updates or (is_same and link.run >= rerun.pass_run):
            return True
        if is_same and not link.unsettled and not rerun.full:
            self._end_unchanged(draft, link)
        return False

    def _judge_repeated(self, draft: Draft) -> None:
        if not self._rerun.updates:
            draft.fail(_repeated())
        elif not self._rerun.calls_hook:
            draft.notes += (Note("", None, _REPLACES),)

    def _end_unchanged(self, draft: Draft, link: Link) -> None:
        if link.kind == LinkKind.SKIPPED:
            draft.outcome = Outcome.SKIPPED
        elif not self._rerun.calls_hook:
            draft.outcome = Outcome.UNCHANGED

    def _fetch(self, drafts: list[Draft]) -> None:
        """Load the objects of linked drafts, one query; settle those that are gone."""
        linked = [draft for draft in drafts if draft.link.object_pk is not None]
        keys = {draft: self._pk.to_python(draft.link.object_pk) for draft in linked}
        stored: dict[Any, Model] = self._rows.in_bulk(set(keys.values())) if keys else {}
        for draft, key in keys.items():
            draft.existing = stored.get(key)
            if draft.existing is None:
                self._settle_gone(draft)

    def _settle_gone(self, draft: Draft) -> None:
        try:
            made_again = self._conflicts.gone(draft)
        except RowFailure as error:
            draft.fail(error)
            return
        if not made_again:
            draft.outcome = Outcome.SKIPPED


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
