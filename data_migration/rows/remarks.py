"""``Remark``: a value that is not what the legacy database has, and why."""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple

from .drafts import Note


class Remark(NamedTuple):
    """Stands in a row where a driver cannot give a value, or gives one that says something else.

    ``value`` is what the row gets, ``text`` what the database has.
    """

    value: Any
    text: str
    cause: str

    def note(self, column: str) -> Note:
        """It as a person is told."""
        return Note(column, self.text, self.cause, is_settled=True)


class Unequal(Enum):
    """The cause of a remark: a warning, or a part of the failure where no field takes the value.

    The page "What may change a value on its way" has every one of them.
    """

    ZERO_DATE = "a zero date, which comes as NULL"
    IMPOSSIBLE_DATE = "no such day or time exists, so it comes as NULL"
    BEYOND_PYTHON = "Python has no such value, so it comes as the text that the database has"
    INFINITE = "infinity, which comes as the first or the last day that Python has"
    MONTHS = "months and years have no fixed length: they come as 30 and 365 days"
    END_OF_DAY = "the midnight that ends a day, which comes as the one that begins it"
    JSON_NULL = "the null of JSON, which comes as NULL"
    JSON_NUMBER = "a number in the JSON is rounded to what a floating-point number keeps"

    def __call__(self, value: Any, text: str) -> Remark:
        """``value`` in the place of what the database has as ``text``."""
        return Remark(value, text, self.value)
