"""Who a row is: its legacy key in three forms, and the checksum of the row as it came."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import compress
from typing import Any, NamedTuple


class Identity(NamedTuple):
    """The identity of one row.

    ``key`` is the value of its legacy key (a tuple for several columns, None without one),
    ``hash`` and ``text`` are two other forms of it (:mod:`data_migration.rows.keys`), empty for a
    row that cannot be identified. ``checksum`` is that of the row before any hook saw it.
    """

    key: Any = None
    hash: str = ""
    text: str = ""
    checksum: int = 0


NOBODY = Identity()


class Identities(NamedTuple):
    """The identities of the rows of a batch, column by column."""

    keys: Sequence[Any]
    hashes: Sequence[str]
    texts: Sequence[str]
    checksums: Sequence[int]

    def only(self, wanted: Sequence[bool]) -> Identities:
        """Those of the rows for which ``wanted`` is true."""
        return Identities(*(list(compress(column, wanted)) for column in self))

    def rows(self) -> Iterator[Identity]:
        """The identity of each row."""
        return map(Identity._make, zip(*self, strict=True))
