"""Many values in lists that fit into one query."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from django.db import connections

#: Keys in one query, where the database would take more.
_KEYS = 1000


def chunks(values: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """The values in lists of at most ``size``."""
    iterator = iter(values)
    while chunk := list(islice(iterator, size)):
        yield chunk


def query_chunks(keys: Iterable[Any], database: str) -> Iterator[list[Any]]:
    """The keys in order, in lists that fit into one query."""
    size = min(connections[database].features.max_query_params or _KEYS, _KEYS)
    yield from chunks(sorted(keys), size)
