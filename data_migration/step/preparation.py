"""Rows -> a batch: what needs no target database, so that it may be done :mod:`.ahead`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..exceptions import RowFailure
from ..rows.checksum import RowChecksum
from ..rows.identity import Identities
from ..rows.keys import identify, identify_many, is_whole
from ..sources.rows import Rows
from ..transform.values import Transform
from .batch import Batch, Group


class Identification:
    """Finds out who rows are: by the columns of the ``key``, of all the ``columns`` they have.

    ``seed`` is the fingerprint of the spec, so that a changed spec makes every row count as
    changed.
    """

    def __init__(self, key: Sequence[str], columns: Iterable[str], seed: str) -> None:
        self._key = tuple(key)
        self._checksum = RowChecksum(columns, seed)

    def __call__(
        self, numbers: Sequence[int], rows: Rows
    ) -> tuple[Identities, Mapping[int, Exception]]:
        """The identities of the rows, and by number why some of them have none."""
        keys, faults = rows.values(self._key), {}
        found = identify_many(keys)
        if found is None:  # keys of many kinds: one by one
            pairs = [("", "")] * len(keys)
            for place, (number, key) in enumerate(zip(numbers, keys, strict=True)):
                try:
                    pairs[place] = self._identified(key)
                except RowFailure as fault:
                    faults[number] = fault
            hashes, texts = zip(*pairs, strict=True)
            found = list(hashes), list(texts)
        return Identities(keys, *found, self._checksum(rows.tuples())), faults

    def _identified(self, key: Any) -> tuple[str, str]:
        if not is_whole(key):
            raise RowFailure(
                f"the legacy key ({', '.join(self._key)}) is NULL, so the row could not be found"
                " again. Leave such rows out of the query, or name other columns in legacy_key"
            )
        try:
            return identify(key)
        except TypeError as error:
            raise RowFailure(f"the legacy key is unusable: {error}") from error


class Preparation:
    """Numbers the rows of one step, and identifies and transforms them where it can.

    Without an ``identification`` rows have no key. They are transformed here where a ``transform``
    is given: every row of the step is then, and no hook may touch the database for it.
    """

    def __init__(self, identification: Identification | None, transform: Transform | None) -> None:
        self._identification = identification
        self._transform = transform
        self._number = 1

    def __call__(self, group: Group) -> Batch:
        numbers = range(self._number, self._number + len(group.rows))
        self._number += len(group.rows)
        if self._identification is None or not numbers:
            batch = Batch(numbers, group)
        else:
            batch = Batch(numbers, group, *self._identification(numbers, group.rows))
        if self._transform is not None:
            self._transform([draft for draft in batch.drafts if draft.outcome is None])
        return batch
