"""``RowsFeed``: the rows that a generator of the spec yields, in place of a query."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Self

from ..exceptions import DataMigrationError, SourceError, SpecError
from ..outcomes import NullMarks
from ..utils.wording import printable_cause, words
from .marks import in_order
from .rows import RaggedRows, Rows

#: Rows of which the names are the columns; more are not read before the step wants any.
_FIRST = 100


class RowsFeed:
    """What ``make`` yields: mappings from column to value; a :class:`~.feed.Feed`.

    The ``columns`` are the names of the first hundred rows, in the order in which they come.
    ``high_water`` is the column of the mark, and ``nulls`` what becomes of rows without one; they
    are compared here, since a generator is always read whole. A narrowed feed calls ``make``
    again. ``key`` are the columns of the legacy key, where the spec names them. ``meanwhile`` is
    called now and then, and what it raises ends the reading.
    """

    marks_after = True
    reads_keys = may_go_on = began_empty = False
    duplicate_columns: Sequence[str] = ()

    def __init__(
        self,
        label: str,
        make: Callable[[], Iterable[Mapping[str, Any]]],
        *,
        high_water: str | None = None,
        nulls: NullMarks = NullMarks.INCLUDE,
        meanwhile: Callable[[], object] = bool,
        lowest: Any = None,
        key: Sequence[str] = (),
    ) -> None:
        #: One list of all narrowed feeds: whoever looks first tells the others.
        self.columns: list[str] = []
        self.reached: Any = None
        self._label, self._make, self._meanwhile = label, make, meanwhile
        self._high_water, self._nulls = high_water, nulls
        self._lowest, self._key = lowest, key
        self._rows: Iterator[Mapping[str, Any]] | None = None
        self._first: list[dict[str, Any]] = []
        self._number = 0

    @property
    def deleted(self) -> Mapping[str, Any]:
        return {}

    def look(self) -> None:
        """The rows that this takes are kept for :meth:`open`."""
        if self._rows is not None:
            return
        try:
            self._rows = iter(self._make())
        except DataMigrationError:
            raise
        except Exception as error:
            raise self._stopped(error) from printable_cause(error)
        self._first = self._take(_FIRST)
        found = dict.fromkeys(name for row in self._first for name in row)
        self.columns[:] = found or self._key  # of nothing at all the key is known still
        if self._high_water and self._first and self._high_water not in self.columns:
            raise SpecError(
                f"{self._label}: high_water = {self._high_water!r} is no column of what rows()"
                f" yields, which is {', '.join(self.columns)}."
            )

    def open(self) -> None:
        self.look()

    def rows(self, size: int, limit: int | None = None) -> Iterator[Rows]:
        left = limit
        while left is None or left > 0:
            wanted = size if left is None else min(size, left)
            chunk, self._first = self._first[:wanted], self._first[wanted:]
            chunk += self._take(wanted - len(chunk))
            if not chunk:
                return
            self._meanwhile()
            left = None if left is None else left - len(chunk)
            if self._high_water:
                chunk = [row for row in chunk if self._is_due(row)]
            if chunk:
                yield RaggedRows(chunk, self.columns)

    def _take(self, size: int) -> list[dict[str, Any]]:
        """The next rows, each a dict of its own: a generator may yield the same one again."""
        taken: list[dict[str, Any]] = []
        try:
            for row in islice(self._rows or (), size):
                self._number += 1
                if not isinstance(row, Mapping):
                    raise SourceError(
                        f"{self._label}: row {self._number:,} of rows() is a"
                        f" {type(row).__name__}. Yield a dict for each row, from the name of a"
                        " field to its value."
                    )
                if not all(type(name) is str for name in row):
                    raise SourceError(
                        f"{self._label}: row {self._number:,} of rows() has a column whose name"
                        " is no text. (csv.DictReader puts what is too much under None: that line"
                        " has more values than the file has columns.) Correct the file, or the"
                        " row in rows()."
                    )
                taken.append(dict(row))
        except DataMigrationError:
            raise
        except Exception as error:
            raise self._stopped(error) from printable_cause(error)
        return taken

    def _is_due(self, row: Mapping[str, Any]) -> bool:
        """Whether the row is at or above the mark; the highest mark is remembered."""
        mark = row.get(self._high_water or "")
        if mark is None:
            if self._nulls == NullMarks.RAISE:
                raise SpecError(
                    f"{self._label}: a row has no value in the high-water column"
                    f" {self._high_water!r}. Give it one in rows(), or set high_water_null ="
                    ' "include" (such rows are read every time) or "exclude".'
                )
            return self._nulls != NullMarks.EXCLUDE or self._lowest is None
        if self.reached is None or self._is_above(mark, self.reached):
            self.reached = mark
        return self._lowest is None or not self._is_above(self._lowest, mark)

    def _is_above(self, one: Any, other: Any) -> bool:
        try:
            (kind, first), (wanted, second) = in_order(one), in_order(other)
        except SourceError as error:
            raise SpecError(
                f"{self._label}: high_water = {self._high_water!r}: {error}."
            ) from None
        if kind != wanted:
            raise SourceError(
                f"{self._label}: the high-water column {self._high_water!r} has values of several"
                f" forms, a {kind} and a {wanted}, which have no order. Make them alike in rows()."
            )
        return bool(first > second)

    def count(self) -> int | None:
        return None

    def count_by(self, hook: Callable[[Any, Any], int | None]) -> int | None:
        """There is neither a connection nor a cursor."""
        return hook(None, None)

    def count_without(self, column: str) -> int | None:
        return None

    def highest(self, column: str) -> Any:
        return None

    def since(self, column: str, lowest: Any, nulls: NullMarks) -> Self:
        return self._again(high_water=column, nulls=nulls, lowest=lowest)

    def with_keys(self, columns: Sequence[str], keys: Sequence[tuple[Any, ...]]) -> Self:
        return self._again(high_water=None)

    def _again(self, **more: Any) -> Self:
        feed = type(self)(
            self._label, self._make, meanwhile=self._meanwhile, key=self._key, **more
        )
        feed.columns = self.columns
        return feed

    def is_apart(self, target: Any) -> bool:
        """Nobody knows what a generator does: it runs between the transactions."""
        return False

    def close(self) -> None:
        rows, self._rows = self._rows, None
        close = getattr(rows, "close", None)
        if close is not None:
            close()

    def _stopped(self, error: Exception) -> SourceError:
        return SourceError(
            f"{self._label}: rows() stopped after {self._number:,} rows with"
            f" {type(error).__name__}: {words(error)}. Correct it, then run the same command"
            " again."
        )
