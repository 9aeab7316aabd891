"""INSERT statements that fit: MySQL closes the connection on one above ``max_allowed_packet``."""

from __future__ import annotations

from collections.abc import Iterator

from ..rows.drafts import Draft
from ..utils.databases import database_of

#: Bytes of a statement for one character: UTF-8 takes up to four, an escape takes two.
_BYTES = 4


class Portions:
    """Splits a batch so that the statement of each portion is one that ``database`` takes."""

    def __init__(self, database: str) -> None:
        longest = database_of(database).longest_statement
        self._characters = None if longest is None else longest // _BYTES

    def __call__(self, drafts: list[Draft]) -> Iterator[list[Draft]]:
        """The drafts in their order, in as few portions as it takes."""
        if self._characters is None:
            yield drafts
            return
        portion: list[Draft] = []
        size = 0
        for draft in drafts:
            # About how many characters the row has; numbers and dates count as 16.
            values = vars(draft.instance).values()
            weight = sum(len(each) if isinstance(each, (str, bytes)) else 16 for each in values)
            if portion and size + weight > self._characters:
                yield portion
                portion, size = [], 0
            portion.append(draft)
            size += weight
        if portion:
            yield portion
