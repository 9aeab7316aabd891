"""Many values in lists that fit into one query."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from .databases import database_of

T = TypeVar("T")

#: Keys in one query, where the database would take more.
_KEYS = 1000
#: Of those of several columns: Django makes a condition of each where a database has no tuples,
#: and SQLite nests no more than a thousand.
_COMPOSITE_KEYS = 200


def chunks(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """The values in their order, in lists of at most ``size``."""
    iterator = iter(values)
    while chunk := list(islice(iterator, size)):
        yield chunk


def query_chunks(keys: Iterable[Any], database: str) -> Iterator[list[Any]]:
    """The keys, sorted, in lists that fit into one query."""
    ordered = sorted(keys)
    several = bool(ordered) and isinstance(ordered[0], tuple)
    at_most = _COMPOSITE_KEYS if several else _KEYS
    yield from chunks(ordered, database_of(database).values_in_query(at_most=at_most))
