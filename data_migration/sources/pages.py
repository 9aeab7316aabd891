"""``Page``: rows that a remote system gives at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

#: For so many seconds pages are gathered before what has come is handled.
_PATIENCE = 1.0


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows as they came, and the keys of ``deleted`` ones, of which nothing else is known.

    ``cursor`` is a mark of the remote system for what it has told so far (a token, an ETag, a
    sequence number, a time by its clock): the last one of a pass that came to its end is where
    the next one begins. Without one that is the highest value of the mapping's ``changed``.
    With ``is_sorted`` every row changed no earlier than those before it, so that a pass that was
    broken off may go on where it was.
    """

    rows: Sequence[Mapping[str, Any]]
    cursor: Any = None
    deleted: Sequence[Any] = ()
    is_sorted: bool = False


def gathered(
    pages: Iterable[Page], size: int, clock: Callable[[], float] = monotonic
) -> Iterator[Page]:
    """The same rows in fewer pages of at most ``size`` rows, where those that come are small.

    What is handled together costs less. The first page comes by itself, then two, four and so on,
    so that who wants a few rows does not wait for many; of a slow system each page comes as soon
    as it is there. What had come before an error comes before it.
    """
    source, most = iter(pages), 1
    while True:
        parts: list[Page] = []
        rows, began = 0, clock()
        while not parts or (len(parts) < most and clock() - began < _PATIENCE):
            try:
                page = next(source)
            except StopIteration:
                if parts:
                    yield _joined(parts)
                return
            except Exception:
                if parts:
                    yield _joined(parts)
                raise
            if parts and rows + len(page.rows) > size:
                yield _joined(parts)
                parts, rows, began = [], 0, clock()
            parts.append(page)
            rows += len(page.rows)
        yield _joined(parts)
        most *= 2


def _joined(pages: Sequence[Page]) -> Page:
    if len(pages) == 1:
        return pages[0]
    return Page(
        [row for page in pages for row in page.rows],
        cursor=pages[-1].cursor,
        deleted=[key for page in pages for key in page.deleted],
        is_sorted=all(page.is_sorted for page in pages),
    )
