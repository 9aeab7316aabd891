"""``QueryFeed``: the rows that a query returns, or those of a part of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self

from ..outcomes import NullMarks
from . import key_ranges, narrowing
from .key_ranges import KeyRange
from .narrowing import Params
from .reader import Reader
from .rows import Rows
from .streaming import is_apart


class QueryFeed:
    """The rows of one query, a :class:`~data_migration.sources.feed.Feed`.

    Narrowed feeds share the reader, and so the connection.
    """

    marks_after = False
    reads_keys = True
    reached: Any = None
    may_go_on = began_empty = False

    def __init__(self, reader: Reader, query: str, params: Params = ()) -> None:
        self._reader = reader
        self._query = query
        self._params = params

    @property
    def _whole(self) -> tuple[Any, str, Params]:
        return self._reader.connection, self._query, self._params

    @property
    def columns(self) -> Sequence[str]:
        return self._reader.columns

    @property
    def duplicate_columns(self) -> Sequence[str]:
        return self._reader.duplicate_columns

    @property
    def deleted(self) -> Mapping[str, Any]:
        return {}

    def open(self) -> None:
        self._reader.execute(self._query, self._params)

    def look(self) -> None:
        self._reader.execute(*narrowing.no_rows(*self._whole))

    def rows(self, size: int, limit: int | None = None) -> Iterator[Rows]:
        return self._reader.rows(size, limit)

    def count(self) -> int | None:
        return self._reader.count(self._query, self._params)

    def count_by(self, hook: Callable[[Any, Any], int | None]) -> int | None:
        """The number of rows as ``hook_row_count`` tells it, given connection and cursor."""
        return hook(self._reader.connection, self._reader.cursor(self._query))

    def count_without(self, column: str) -> int | None:
        return self._reader.count(*narrowing.without_value(*self._whole, column))

    def highest(self, column: str) -> Any:
        return self._reader.highest(self._query, self._params, column)

    def since(self, column: str, lowest: Any, nulls: NullMarks) -> Self:
        return self._narrowed(narrowing.at_or_above(*self._whole, column, lowest, nulls))

    def with_keys(self, columns: Sequence[str], keys: Sequence[tuple[Any, ...]]) -> Self:
        return self._narrowed(narrowing.with_keys(*self._whole, columns, keys))

    def in_range(self, part: KeyRange) -> Self:
        """The rows of a range of keys, in the order of its column."""
        return self._narrowed(key_ranges.in_range(*self._whole, part))

    def number_in_range(self, part: KeyRange) -> Self:
        """One row with one value: how many rows :meth:`in_range` has."""
        return self._narrowed(key_ranges.number_in_range(*self._whole, part))

    def extremes(self, column: str) -> Self:
        """One row: lowest and highest value of a column, number of rows, and of those with one."""
        return self._narrowed(key_ranges.extremes(*self._whole, column))

    def ordered(self, column: str, *, is_text: bool) -> Self | None:
        """Rows of one value, those of the column in order; None where the driver has none."""
        narrowed = key_ranges.ordered(*self._whole, column, is_text=is_text)
        return None if narrowed is None else self._narrowed(narrowed)

    def _narrowed(self, query: tuple[str, Params]) -> Self:
        return type(self)(self._reader, *query)

    def is_apart(self, target: Any) -> bool:
        return is_apart(self._reader.connection, target)

    def close(self) -> None:
        self._reader.close()
