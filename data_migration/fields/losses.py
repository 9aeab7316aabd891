"""What a value may lose on its way into a field: each loss is counted as a warning with its cause.

The page "What may change a value on its way" has every one of them, and what is taken for the
same value although it looks different.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple


class Changed(NamedTuple):
    """In place of a field's value that is no longer what came: what is kept, and why."""

    value: Any
    cause: str


class Loss(Enum):
    """The cause that a person is told; none shows a value, which may be one of a secret column."""

    DECIMAL_PLACES = "rounded to {} decimal places, which is what the field keeps"
    DECIMAL_DIGITS = "rounded to 15 digits, which is what SQLite keeps of a decimal"
    FLOAT_DIGITS = "rounded to what a floating-point number keeps, about 16 digits"
    SECOND_DIGITS = "cut to six decimal places of a second"
    TIME_OF_DAY = "the time of day is left out: the field keeps dates"
    DATE = "the date is left out: the field keeps times of day"
    TIME_ZONE = "the zone is left out: the field keeps times of day, which have none"
    TRAILING_BLANKS = "blanks at the end are left out: the column takes {} characters"
    JSON_DIGITS = "a number in the JSON is rounded to what a floating-point number keeps"
    JSON_NAMES = "a name stands twice in an object of the JSON: the last value is kept"
    BYTES_AS_DIGITS = (
        "bytes are read as the digits of a number: of a BIT column the query has to make a"
        " number (+ 0)"
    )
    SKIPPED_HOUR = (
        "no clock showed this time when summer time began: it is taken for an hour later"
    )
    DOUBLE_HOUR = "clocks showed this time twice when summer time ended: the first one is taken"
    WHICH_HOUR = "clocks showed this time twice when summer time ended: which one is left out"
    CLOCK = "NULL becomes the time of the import: the field is auto_now or auto_now_add"

    def __call__(self, kept: Any, *facts: Any) -> Changed:
        """``kept``, with the cause; ``facts`` fill its gaps."""
        return Changed(kept, self.value.format(*facts))
