"""The next batch is made ready while the database takes the one before.

No thread is needed for that, in which Python would only take turns with itself: the server takes
what COPY or an INSERT sends on a core of its own. Until it has done so, this process may as well
work.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


#: Seconds. What takes longer is not begun while a transaction is open, which would last as long.
_LONG = 0.5


class Ahead(Generic[T]):
    """Iterates over ``items``, of which :meth:`fetch` may take the next one early.

    At most one is held.
    """

    def __init__(self, items: Iterable[T]) -> None:
        self._items = iter(items)
        self._held: list[T] = []
        self._error: BaseException | None = None
        self._is_over = False
        self._seconds = 0.0

    def fetch_if_quick(self) -> None:
        """Make the next item now, unless the last one took long: a slow source stays slow."""
        if self._seconds < _LONG:
            self.fetch()

    def fetch(self) -> None:
        """Make the next item now; raises nothing: what it raises comes in its turn."""
        if self._held or self._is_over or self._error is not None:
            return
        begun = time.monotonic()
        try:
            self._held.append(next(self._items))
        except StopIteration:
            self._is_over = True
        except BaseException as error:
            self._error = error
        self._seconds = time.monotonic() - begun

    def __iter__(self) -> Iterator[T]:
        while True:
            self.fetch()
            if self._error is not None:
                error, self._error, self._is_over = self._error, None, True
                raise error
            if not self._held:
                return
            yield self._held.pop()
