"""``Batch``: the rows that are handled together, and who they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import compress
from typing import Any, NamedTuple

from ..rows.drafts import Draft
from ..sources.rows import Rows


class Identity(NamedTuple):
    """Legacy keys and checksums of the rows of a batch, column by column.

    ``keys``, ``hashes`` and ``texts`` are three forms of each key
    (:mod:`data_migration.rows.keys`); the last two are empty for a row that cannot be identified.
    """

    keys: Sequence[Any]
    hashes: Sequence[str]
    texts: Sequence[str]
    checksums: Sequence[int]

    def only(self, wanted: Sequence[bool]) -> Identity:
        return Identity(*(list(compress(column, wanted)) for column in self))


class Batch:
    """Rows with their numbers in the query's result, of which the first is ``number``.

    Most rows of a rerun are done with before a draft is made of them.
    """

    def __init__(self, number: int, rows: Rows) -> None:
        self.numbers: Sequence[int] = range(number, number + len(rows))
        self.rows = rows
        self.identity: Identity | None = None
        #: Whether it is known that no row has a link.
        self.is_new = False
        #: Why rows cannot be identified, by their numbers.
        self.faults: Mapping[int, Exception] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def keep(self, wanted: Sequence[bool]) -> None:
        """Go on with the rows for which ``wanted`` is true."""
        self.numbers = list(compress(self.numbers, wanted))
        self.rows = self.rows.only(wanted)
        if self.identity is not None:
            self.identity = self.identity.only(wanted)

    @cached_property
    def drafts(self) -> list[Draft]:
        """A draft for each row. A row that cannot be identified has failed."""
        drafts = list(map(Draft, self.numbers, self.rows.dicts()))
        if self.identity is not None:
            for draft, *identity in zip(drafts, *self.identity, strict=True):
                draft.key, draft.key_hash, draft.key_text, draft.checksum = identity
        for draft in drafts if self.faults else ():
            if fault := self.faults.get(draft.number):
                draft.fail(fault)
        return drafts
