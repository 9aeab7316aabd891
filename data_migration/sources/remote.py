"""``PageFeed``: the rows of a remote system. All of its pages are read in every pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import islice
from typing import Any, Self

from ..outcomes import NullMarks
from .pages import Page
from .rows import Rows


class PageFeed:
    """As :class:`~.feed.Feed` has it.

    ``pages`` gives the pages since a mark, None for all, ``one`` the row with a key, ``flatten``
    makes rows with the ``columns`` of theirs.
    """

    def __init__(
        self,
        label: str,
        *,
        columns: Sequence[str],
        key: str,
        pages: Callable[[Any, int], Iterator[Page]],
        one: Callable[[Any], Mapping[str, Any] | None] | None,
        flatten: Callable[[Sequence[Mapping[str, Any]]], Rows],
        changed: str | None,
        lag: timedelta | int | None,
        meanwhile: Callable[[], object],
    ) -> None:
        self.columns = columns
        self.duplicate_columns: Sequence[str] = ()
        self._pages, self._flatten = pages, flatten
        self._one = one
        self._keys: list[Any] | None = None

    def open(self) -> None: ...
    def look(self) -> None: ...
    def close(self) -> None: ...

    def rows(self, size: int, limit: int | None = None) -> Iterator[Rows]:
        documents = islice(self._documents(size), limit)
        while chunk := list(islice(documents, size)):
            yield self._flatten(chunk)

    def _documents(self, size: int) -> Iterator[Mapping[str, Any]]:
        if self._keys is None or self._one is None:
            for page in self._pages(None, size):
                yield from page.rows
            return
        for (key,) in self._keys:
            if (row := self._one(key)) is not None:
                yield row

    def count(self) -> int | None:
        return None

    def count_by(self, hook: Callable[[Any, Any], int | None]) -> int | None:
        return None

    def count_without(self, column: str) -> int | None:
        return None

    def highest(self, column: str) -> Any: ...

    def since(self, column: str, lowest: Any, nulls: NullMarks) -> Self:
        return self

    def with_keys(self, columns: Sequence[str], keys: Sequence[tuple[Any, ...]]) -> Self:
        self._keys = list(keys)
        return self

    def is_apart(self, target: Any) -> bool:
        return False
