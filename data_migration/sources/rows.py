"""Rows out of any cursor. The hot path: every decision is made once per cursor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress, islice
from operator import itemgetter
from typing import Any

from ..exceptions import SourceError
from ..rows.drafts import Note
from ..rows.remarks import Remark

Fetched = list[Any]
Fetch = Callable[[int], Fetched]
Make = Callable[[Fetched], "Rows"]
Notes = tuple[Note, ...]
Fault = Exception | None


class Rows:
    """Rows as a cursor that makes dicts returned them.

    A row that nobody needs by the names of its columns is never made a dict. ``notes`` are those
    on each row, and ``faults`` why it cannot be used, None for one that can; both are empty where
    no row has any.
    """

    def __init__(
        self, fetched: Fetched, notes: Sequence[Notes] = (), faults: Sequence[Fault] = ()
    ) -> None:
        self._fetched = fetched
        self.notes = notes
        self.faults = faults

    def __len__(self) -> int:
        return len(self._fetched)

    def __add__(self, other: Rows) -> Rows:
        """These rows and the others, as dicts."""
        return Rows(self.dicts() + other.dicts(), *_joined(self, other))

    def between(self, start: int, end: int) -> Rows:
        """The rows from place ``start`` to the one before ``end``."""
        return self.only(start <= place < end for place in range(len(self)))

    def dicts(self) -> list[dict[str, Any]]:
        """A mutable dict for each row."""
        return self._fetched

    def tuples(self) -> list[tuple[Any, ...]]:
        """The values of each row, in the order of the columns."""
        return [tuple(row.values()) for row in self._fetched]

    def values(self, columns: Sequence[str]) -> list[Any]:
        """The value of one column in each row, or of several as a tuple."""
        return list(map(itemgetter(*columns), self._fetched))

    def only(self, wanted: Iterable[bool]) -> Rows:
        """The rows for which ``wanted`` is true."""
        wanted = list(wanted)
        return self._like(
            list(compress(self._fetched, wanted)),
            list(compress(self.notes, wanted)),
            list(compress(self.faults, wanted)),
        )

    def settled(self) -> Rows:
        """The rows with a value wherever a remark stands in one's place."""
        rows = self.dicts()
        notes = [_notes(row.items()) for row in rows]
        for row in rows:
            row.update((name, v.value) for name, v in row.items() if type(v) is Remark)
        return Rows(rows, notes)

    def _like(self, fetched: Fetched, notes: Sequence[Notes], faults: Sequence[Fault]) -> Rows:
        return type(self)(fetched, notes, faults)


class MappingRows(Rows):
    """Rows that are some other mapping."""

    def dicts(self) -> list[dict[str, Any]]:
        return [dict(row) for row in self._fetched]


class TupleRows(Rows):
    """Rows that are sequences of values; of a name that comes twice, the last one counts."""

    def __init__(
        self,
        fetched: Fetched,
        names: Sequence[str],
        notes: Sequence[Notes] = (),
        faults: Sequence[Fault] = (),
    ) -> None:
        super().__init__(fetched, notes, faults)
        self._names = names

    def dicts(self) -> list[dict[str, Any]]:
        names = self._names
        return [dict(zip(names, row)) for row in self._fetched]  # noqa: B905 - one less check

    def tuples(self) -> list[tuple[Any, ...]]:
        return [row if type(row) is tuple else tuple(row) for row in self._fetched]

    def values(self, columns: Sequence[str]) -> list[Any]:
        places = {name: place for place, name in enumerate(self._names)}
        return list(map(itemgetter(*(places[name] for name in columns)), self._fetched))

    def settled(self) -> Rows:
        notes = [_notes(zip(self._names, row, strict=True)) for row in self._fetched]
        plain = [tuple(v.value if type(v) is Remark else v for v in row) for row in self._fetched]
        return TupleRows(plain, self._names, notes)

    def _like(self, fetched: Fetched, notes: Sequence[Notes], faults: Sequence[Fault]) -> Rows:
        return TupleRows(fetched, self._names, notes, faults)


class RaggedRows(Rows):
    """Rows that are dicts of which each may have other names; ``columns`` are those of most."""

    def __init__(
        self,
        fetched: Fetched,
        columns: Sequence[str],
        notes: Sequence[Notes] = (),
        faults: Sequence[Fault] = (),
    ) -> None:
        super().__init__(fetched, notes, faults)
        self._columns = columns

    def tuples(self) -> list[tuple[Any, ...]]:
        """The values of each row in the order of the columns; of one with others, the names too.

        The dots keep the two apart: no source has such a value.
        """
        columns, known = self._columns, set(self._columns)
        return [
            tuple([row[name] for name in columns])
            if row.keys() == known
            else (..., *sorted(row.items(), key=itemgetter(0)))
            for row in self._fetched
        ]

    def values(self, columns: Sequence[str]) -> list[Any]:
        """What is absent is None, as NULL is: it identifies no row either."""
        if len(columns) == 1:
            return [row.get(columns[0]) for row in self._fetched]
        return [tuple([row.get(name) for name in columns]) for row in self._fetched]

    def _like(self, fetched: Fetched, notes: Sequence[Notes], faults: Sequence[Fault]) -> Rows:
        return RaggedRows(fetched, self._columns, notes, faults)


def _notes(cells: Iterable[tuple[str, Any]]) -> Notes:
    return tuple(value.note(name) for name, value in cells if type(value) is Remark)


def _joined(*parts: Rows) -> tuple[Sequence[Notes], Sequence[Fault]]:
    """The notes and the faults of rows that become one."""
    notes: list[Notes] = []
    faults: list[Fault] = []
    for part in parts:
        notes += part.notes or [()] * len(part)
        faults += part.faults or [None] * len(part)
    return notes if any(notes) else (), faults if any(faults) else ()


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


def maker(row: Any, columns: Sequence[str], label: str) -> Make:
    """A function from fetched rows like ``row`` to :class:`Rows`."""
    if isinstance(row, dict):
        return Rows
    if isinstance(row, Mapping):
        return MappingRows
    if not isinstance(row, Iterable) and not hasattr(row, "__getitem__"):
        raise SourceError(
            f"{label}: the rows are {type(row).__name__} objects, neither mappings nor sequences."
        )
    if not columns:
        raise SourceError(f"{label}: the rows are no mappings and the cursor has no description.")
    return lambda rows: TupleRows(rows, columns)


def _depth(cursor: Any, name: str) -> int | None:
    """How far up the class tree a method is defined; forwarded ones are farthest."""
    classes = type(cursor).__mro__
    for depth, owner in enumerate(classes):
        if name in vars(owner):
            return depth
    # Python looks for __iter__ on the class only, so it is never forwarded.
    return len(classes) if name != "__iter__" and hasattr(cursor, name) else None


def _many(cursor: Any) -> Fetch:
    def fetch(size: int) -> Fetched:
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

    def fetch(size: int) -> Fetched:
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
