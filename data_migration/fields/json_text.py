"""JSON as drivers return it: read already, or as the text that it is."""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal


class JSONText(str):
    """What a driver made of a text inside of JSON, such as ``"123"``.

    Most legacy databases keep JSON in text columns, so a text is read as JSON where a field wants
    that; this one was.
    """


def loses_digits(number: str) -> bool:
    """Whether a number with a point or an exponent has more digits than a float keeps."""
    read = float(number)
    return math.isinf(read) or Decimal(repr(read)) != Decimal(number)


def has_long_number(text: str) -> bool:
    """Whether one of the numbers in the JSON :func:`loses_digits`."""
    if not _MAY_HAVE_ONE.search(text):
        return False
    found: list[str] = []

    def number(digits: str) -> float:
        if loses_digits(digits):
            found.append(digits)
        return 0.0

    json.loads(text, parse_float=number)
    return bool(found)


_MAY_HAVE_ONE = re.compile(r"\d[.eE]")
