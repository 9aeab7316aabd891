"""The keys that a pass over a query has read, in bounded memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

from ..ledger import Link
from ..utils.chunks import chunks

_CHUNK = 500
_IN_MEMORY = 200_000


class KeysRead:
    """A set of key hashes, of which the greater part lies in a private temporary database.

    A million keys take about 40 MB of disk, in no file that outlives the process, and 30 MB of
    memory at most, however many there are.
    """

    def __init__(self) -> None:
        self._new: set[bytes] = set()
        self._stored = sqlite3.connect("", isolation_level=None)
        self._stored.execute("PRAGMA journal_mode = OFF")
        self._stored.execute("PRAGMA cache_size = -8192")
        self._stored.execute("CREATE TABLE keys (hash BLOB PRIMARY KEY) WITHOUT ROWID")

    def add(self, hashes: Iterable[str]) -> None:
        """Remember keys by their hashes of 32 hexadecimal digits; an empty one is no key."""
        self._new.update(bytes.fromhex(each) for each in hashes if each)
        if len(self._new) > _IN_MEMORY:
            self._stored.execute("BEGIN")  # or every key would be a transaction of its own
            in_order = ((each,) for each in sorted(self._new))
            self._stored.executemany("INSERT OR IGNORE INTO keys VALUES (?)", in_order)
            self._stored.execute("COMMIT")
            self._new.clear()

    def __contains__(self, key_hash: str) -> bool:
        return not self._unknown([bytes.fromhex(key_hash)])

    def missing(self, links: Iterable[Link]) -> Iterator[Link]:
        """The links whose keys were not added, in their order."""
        for chunk in chunks(links, _CHUNK):
            by_hash = {bytes.fromhex(link.key_hash): link for link in chunk}
            unknown = self._unknown(by_hash)
            if unknown:
                yield from (link for each, link in by_hash.items() if each in unknown)

    def _unknown(self, hashes: Iterable[bytes]) -> set[bytes]:
        unknown = set(hashes) - self._new
        if unknown:
            marks = ", ".join("?" * len(unknown))
            sql = f"SELECT hash FROM keys WHERE hash IN ({marks})"
            unknown.difference_update(each for (each,) in self._stored.execute(sql, [*unknown]))
        return unknown

    def close(self) -> None:
        """Give the memory and the disk space back; may be repeated."""
        self._new.clear()
        self._stored.close()
