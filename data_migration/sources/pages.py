"""``Page``: rows that a remote system gives at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


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
