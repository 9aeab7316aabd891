"""``Feed``: where the rows of a migration come from, whatever that is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, Self

from ..outcomes import NullMarks
from .rows import Rows


class Feed(Protocol):
    """The rows of one migration, or some of them.

    A feed is opened once; a narrowed one (:meth:`since`, :meth:`with_keys`) is a feed by itself,
    of which one is open at a time. Everything raises
    :exc:`~data_migration.exceptions.SourceError`, which says what was tried.
    """

    @property
    def columns(self) -> Sequence[str]:
        """The names of what each row has, known after :meth:`open` or :meth:`look`."""

    @property
    def duplicate_columns(self) -> Sequence[str]:
        """Names that come more than once in a row: only the last value of each is kept."""

    #: Whether the mark is known when the rows were read (``reached``), or before (``highest``).
    marks_after: bool
    #: Whether :meth:`with_keys` asks for those rows alone, without reading the others.
    reads_keys: bool

    def open(self) -> None:
        """Begin to read."""

    def look(self) -> None:
        """Learn the columns without reading a row."""

    def rows(self, size: int, limit: int | None = None) -> Iterator[Rows]:
        """At most ``size`` rows at once and ``limit`` in all, after :meth:`open`."""

    def count(self) -> int | None:
        """The number of rows; None where it cannot be known beforehand."""

    def count_by(self, hook: Callable[[Any, Any], int | None]) -> int | None:
        """The number of rows as ``hook_row_count`` tells it, given connection and cursor."""

    def count_without(self, column: str) -> int | None:
        """The number of rows in which the column is NULL."""

    @property
    def reached(self) -> Any:
        """The mark of what was read so far; None where there is none. With ``marks_after``."""

    @property
    def deleted(self) -> Mapping[str, Any]:
        """The rows that were named as deleted and did not come again: hash of the key -> key."""

    @property
    def may_go_on(self) -> bool:
        """Whether a pass that is broken off now may go on at ``reached``."""

    @property
    def began_empty(self) -> bool:
        """Whether what came first was without rows, though others might have been expected."""

    def highest(self, column: str) -> Any:
        """The highest value of a column; None where no row has one."""

    def since(self, column: str, lowest: Any, nulls: NullMarks) -> Self:
        """The rows whose ``column`` is ``lowest`` or higher; those without a value as told."""

    def with_keys(self, columns: Sequence[str], keys: Sequence[tuple[Any, ...]]) -> Self:
        """The rows with these keys, as far as the source can tell: others may be among them."""

    def is_apart(self, target: Any) -> bool:
        """Whether reading surely leaves the connection ``target`` alone."""

    def close(self) -> None:
        """End reading; never raises."""
