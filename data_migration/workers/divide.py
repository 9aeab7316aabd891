"""Where the ranges of a query begin and end, so that each row is in exactly one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import groupby, pairwise
from typing import Any

from ..exceptions import SourceError
from ..sources.key_ranges import KeyRange
from ..sources.query import QueryFeed
from ..sources.rows import Rows
from ..step.batch import Group
from .unsplit import BATCHES, NotSplit

#: Ranges for each worker, so that one with heavy rows does not keep the others waiting.
PER_WORKER = 4
#: Whole numbers that leave no more gaps than values are divided by calculation.
SPREAD = 2
_PAGE = 10_000

Key = int | Decimal | str


@dataclass(frozen=True, slots=True)
class Part:
    """A range and how many rows it has."""

    range: KeyRange
    rows: int


def divide(feed: QueryFeed, key: Sequence[str], *, workers: int, batch: int) -> list[Part]:
    """The ranges of a query by the first column of its key; together they have every row.

    The first range is open below and the last one above. Rows without a value have one of their
    own. Raises :exc:`NotSplit` when there are too few rows, or no order to go by.
    """
    column = key[0]
    lowest, highest, rows, keyed = first_row(feed.extremes(column))
    if rows < BATCHES * batch:
        raise NotSplit(f"it has {rows:,} rows, fewer than {BATCHES} batches")
    _refuse_kind(column, lowest, highest, is_alone=len(key) == 1)
    wanted = max(2, min(PER_WORKER * workers, keyed // batch))
    is_dense = type(lowest) is type(highest) is int and highest - lowest < SPREAD * keyed
    if is_dense and len(key) == 1:
        parts = _equal_widths(feed, column, (lowest, highest), wanted)
    else:
        in_order = feed.ordered(column, is_text=isinstance(lowest, str))
        if in_order is None:
            raise NotSplit("this driver does not compare texts by their bytes")
        parts = _quantiles(column, _values(in_order, column), keyed, wanted)
    if len(parts) < 2:
        raise NotSplit(f"column {column!r} has too few different values")
    if rows > keyed:
        parts.append(Part(KeyRange(column=column, is_null=True), rows - keyed))
    return parts


def first_row(feed: QueryFeed) -> list[Any]:
    """The first row; :exc:`NotSplit` when the query cannot be read so."""
    try:
        feed.open()
        rows = next(feed.rows(1))
        feed.close()
    except SourceError as error:
        raise NotSplit("its query cannot be read in ranges") from error
    return list(rows.tuples()[0])


def _refuse_kind(column: str, lowest: Any, highest: Any, *, is_alone: bool) -> None:
    """Raise :exc:`NotSplit` for values whose order is not known to be the database's."""
    ends = (lowest, highest)
    if all(_is_number(each) for each in ends):
        return
    if not all(isinstance(each, str) for each in ends):
        raise NotSplit(f"column {column!r} of its key is neither a whole number nor text")
    if not is_alone:
        raise NotSplit(f"the first column of its key, {column!r}, is no number")


def _is_number(value: Any) -> bool:
    if isinstance(value, Decimal):
        return value.is_finite()
    return isinstance(value, int) and not isinstance(value, bool)


def _equal_widths(feed: QueryFeed, column: str, ends: tuple[int, int], wanted: int) -> list[Part]:
    lowest, highest = ends
    width = highest - lowest + 1
    bounds = sorted({lowest + width * number // wanted for number in range(1, wanted)} - {lowest})
    return [
        Part(part, first_row(feed.number_in_range(part))[0]) for part in between(column, bounds)
    ]


def _quantiles(
    column: str, values: Iterator[tuple[Key, int]], count: int, wanted: int
) -> list[Part]:
    """Begin a range when the one before is full."""
    is_full = max(1, count // wanted)
    bounds: list[Key] = []
    rows = [0]
    for value, number in values:
        if rows[-1] >= is_full and len(rows) < wanted:
            bounds.append(value)
            rows.append(0)
        rows[-1] += number
    return [Part(part, n) for part, n in zip(between(column, bounds), rows, strict=True)]


def _values(feed: QueryFeed, column: str) -> Iterator[tuple[Key, int]]:
    """Each value and how many rows have it. :exc:`NotSplit` unless they come in our order too."""
    former: Any = None
    for value, group in groupby(_cells(feed)):
        # CHAR columns of PostgreSQL are filled up with blanks, which do not count there.
        is_key = _is_number(value) or (isinstance(value, str) and not value.endswith(" "))
        if not is_key or (former is not None and not _is_below(former, value)):
            raise NotSplit(f"the database does not order column {column!r} as its values are")
        yield value, sum(1 for _ in group)
        former = value


def _cells(feed: QueryFeed) -> Iterator[Any]:
    try:
        feed.open()
        for rows in feed.rows(_PAGE):
            yield from (value for (value,) in rows.tuples())
    except SourceError as error:
        raise NotSplit("its query cannot be read in ranges") from error


def _is_below(one: Any, other: Any) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return _bytes(one) < _bytes(other)
    return _is_number(one) and _is_number(other) and bool(one < other)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def between(column: str, bounds: Sequence[Key]) -> list[KeyRange]:
    """The ranges that the bounds divide every possible value into."""
    whole = KeyRange(column=column)
    edges = [None, *bounds, None]
    return [replace(whole, lower=lower, upper=upper) for lower, upper in pairwise(edges)]


def whole_groups(batches: Iterable[Rows], column: str) -> Iterator[Group]:
    """Groups of rows in the order of ``column``, cut where its value changes.

    Until all rows with one value have come nothing may be committed, since who goes on begins
    behind the value.
    """
    held = Rows([])
    last: Any = None
    for batch in batches:
        rows = held + batch
        keys = rows.values([column])
        last = keys[-1]
        cut = len(keys)
        while cut and keys[cut - 1] == last:
            cut -= 1
        if cut:
            held = rows.between(cut, len(rows))
            yield Group(rows.between(0, cut), keys[cut - 1])
        else:
            held = Rows([])
            yield Group(rows, last, is_whole=False)
    yield Group(held, last)
