"""Rows out of any cursor, as dicts. The hot path: every decision is made once per cursor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from ..exceptions import SourceError

Rows = list[Any]
Fetch = Callable[[int], Rows]
Convert = Callable[[Rows], list[dict[str, Any]]]


def fetcher(cursor: Any, label: str) -> Fetch:
    """A function that returns the next ``size`` rows, and an empty list at the end.

    A wrapper that overrides some of the fetch methods and forwards the rest to the driver means
    its own ones to be used, so the most derived method wins; among equals, the fastest.
    """
    known = {name: depth for name in _FETCHERS if (depth := _depth(cursor, name)) is not None}
    if not known:
        raise SourceError(
            f"{label}: the cursor ({type(cursor).__name__}) has none of {', '.join(_FETCHERS)}."
        )
    return _FETCHERS[min(known, key=lambda name: known[name])](cursor)


def converter(row: Any, columns: Sequence[str], label: str) -> Convert:
    """A function from rows like ``row`` to dicts: as they are, copied, or zipped with columns."""
    if isinstance(row, dict):
        return _as_they_are
    if isinstance(row, Mapping):
        return _copied
    if not isinstance(row, Iterable) and not hasattr(row, "__getitem__"):
        raise SourceError(
            f"{label}: the rows are {type(row).__name__} objects, neither mappings nor sequences."
        )
    if not columns:
        raise SourceError(f"{label}: the rows are no mappings and the cursor has no description.")
    return lambda rows: [dict(zip(columns, row)) for row in rows]  # noqa: B905 - one less check


def _as_they_are(rows: Rows) -> list[dict[str, Any]]:
    return rows


def _copied(rows: Rows) -> list[dict[str, Any]]:
    return [dict(row) for row in rows]


def _depth(cursor: Any, name: str) -> int | None:
    """How far up the class tree a method is defined; forwarded ones are farthest."""
    classes = type(cursor).__mro__
    for depth, owner in enumerate(classes):
        if name in vars(owner):
            return depth
    # Python looks for __iter__ on the class only, so it is never forwarded.
    return len(classes) if name != "__iter__" and hasattr(cursor, name) else None


def _many(cursor: Any) -> Fetch:
    def fetch(size: int) -> Rows:
        rows = cursor.fetchmany(size)
        return rows if isinstance(rows, list) else list(rows or ())

    return fetch


def _one_by_one(cursor: Any) -> Fetch:
    rows = iter(cursor.fetchone, None)
    return lambda size: list(islice(rows, size))


def _iterated(cursor: Any) -> Fetch:
    rows = iter(cursor)
    return lambda size: list(islice(rows, size))


def _all(cursor: Any) -> Fetch:
    rows: Any = None

    def fetch(size: int) -> Rows:
        nonlocal rows
        if rows is None:
            rows = iter(cursor.fetchall() or ())
        return list(islice(rows, size))

    return fetch


#: In order of preference.
_FETCHERS: dict[str, Callable[[Any], Fetch]] = {
    "fetchmany": _many,
    "fetchone": _one_by_one,
    "__iter__": _iterated,
    "fetchall": _all,
}
