"""Many values in lists that fit into one query."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from .databases import database_of

T = TypeVar("T")

#: Keys in one query, where the database would take more.
_KEYS = 1000


def chunks(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """The values in their order, in lists of at most ``size``."""
    iterator = iter(values)
    while chunk := list(islice(iterator, size)):
        yield chunk


def query_chunks(keys: Iterable[Any], database: str) -> Iterator[list[Any]]:
    """The keys, sorted, in lists that fit into one query."""
    yield from chunks(sorted(keys), database_of(database).values_in_query(at_most=_KEYS))
