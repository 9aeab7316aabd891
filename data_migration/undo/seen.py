"""The keys that a pass over a query has read, in bounded memory, and the links that it missed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

from django.db.models import Model

from ..ledger import Link, LinkBook
from ..models import RunStep
from ..outcomes import Removed
from ..spec.migration import Migration

_CHUNK = 500
_IN_MEMORY = 200_000
_OBJECTS = 1000


class Seen:
    """A set of key hashes, of which the greater part lies in a private temporary database.

    A million keys take about 40 MB of disk, in no file that outlives the process, and 30 MB of
    memory at most, however many there are.
    """

    def __init__(self) -> None:
        self._new: set[bytes] = set()
        self._stored = sqlite3.connect("", isolation_level=None)
        self._stored.execute("PRAGMA journal_mode = OFF")
        self._stored.execute("PRAGMA cache_size = -8192")
        self._stored.execute("CREATE TABLE seen (hash BLOB PRIMARY KEY) WITHOUT ROWID")

    def add(self, hashes: Iterable[str]) -> None:
        """Remember keys by their hashes of 32 hexadecimal digits; an empty one is no key."""
        self._new.update(bytes.fromhex(each) for each in hashes if each)
        if len(self._new) > _IN_MEMORY:
            self._store()

    def _store(self) -> None:
        self._stored.execute("BEGIN")  # or every key would be a transaction of its own
        in_order = ((each,) for each in sorted(self._new))
        self._stored.executemany("INSERT OR IGNORE INTO seen VALUES (?)", in_order)
        self._stored.execute("COMMIT")
        self._new.clear()

    def __contains__(self, key_hash: str) -> bool:
        return not self._unknown([bytes.fromhex(key_hash)])

    def missing(self, links: Iterable[Link]) -> Iterator[Link]:
        """The links whose keys were not added, in their order."""
        links = iter(links)
        while chunk := list(islice(links, _CHUNK)):
            by_hash = {bytes.fromhex(link.key_hash): link for link in chunk}
            unknown = self._unknown(by_hash)
            if unknown:
                yield from (link for each, link in by_hash.items() if each in unknown)

    def _unknown(self, hashes: Iterable[bytes]) -> set[bytes]:
        unknown = set(hashes) - self._new
        if unknown:
            marks = ", ".join("?" * len(unknown))
            sql = f"SELECT hash FROM seen WHERE hash IN ({marks})"
            unknown.difference_update(each for (each,) in self._stored.execute(sql, [*unknown]))
        return unknown

    def close(self) -> None:
        """Give the memory and the disk space back; may be repeated."""
        self._new.clear()
        self._stored.close()


@dataclass
class Watched:
    """One migration whose keys are noted while its query is read."""

    step: RunStep
    migration: Migration
    book: LinkBook
    policy: Removed
    is_read: bool = False

    def __post_init__(self) -> None:
        self.seen = Seen()
        self.model: Any = self.migration.model._meta.concrete_model

    @cached_property
    def gone(self) -> list[str]:
        """The keys of rows that are gone; those that were skipped left no object to speak of."""
        links = self.book.all(object_pk__isnull=False)
        return [link.key_hash for link in self.seen.missing(links)]

    def gone_objects(self) -> Iterator[list[tuple[Link, Model | None]]]:
        """Their links with the objects, in batches; None for an object that is gone as well."""
        to_python = self.model._meta.pk.to_python
        rows = self.model._base_manager.using(self.book.database)
        for start in range(0, len(self.gone), _OBJECTS):
            links = list(self.book.find(self.gone[start : start + _OBJECTS]).values())
            pks = [to_python(link.object_pk) for link in links]
            stored = rows.in_bulk(set(pks))
            yield [(link, stored.get(pk)) for link, pk in zip(links, pks, strict=True)]
