"""Values and texts as messages quote them: short, with the place that matters."""

from __future__ import annotations

import re
from typing import Any

#: The most characters of a value, and of a text that may quote one.
VALUE = 500
TEXT = 2000

#: What hardly anybody means to have in a text, and databases refuse: control characters, halves of
#: characters, and what stands for a character that could not be read.
_ODD = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffd-\uffff]")


def shown(value: Any, most: int = VALUE) -> str:
    """A value as people read it in a message, in at most ``most`` characters.

    Of a longer text its beginning or, where something in it is odd, what stands around that.
    """
    if value is None:
        return "NULL"
    text = repr(value) if isinstance(value, (str, bytes)) else str(value)
    if len(text) <= most:
        return text
    odd = _ODD.search(value) if isinstance(value, str) else None
    if odd is None:
        end = f"… ({len(value):,} characters)" if isinstance(value, str) else "…"
        return text[: most - len(end)] + end
    end = f"… (character {odd.start() + 1:,} of {len(value):,})"
    start = max(odd.start() - (most - len(end)) // 2, 0)
    text = f"{'…' if start else ''}{repr(value[start : start + most])[1:-1]}"
    return text[: most - len(end)] + end


def shortened(text: str, most: int = TEXT) -> str:
    """The text, of a longer one its beginning and its end."""
    if len(text) <= most:
        return text
    gap = f"… ({len(text):,} characters) …"
    head = (most - len(gap)) * 2 // 3
    return f"{text[:head]}{gap}{text[head + len(gap) - most :]}"


def one_line(text: str) -> str:
    """The text without ends of lines, for lists in which each line is a thing of its own."""
    return " ".join(text.split())


def with_short(text: str, value: Any, most: int = VALUE) -> str:
    """The text, in which a long value is quoted as :func:`shown` does."""
    if isinstance(value, str) and len(value) > most:
        short = shown(value, most)
        text = text.replace(repr(value), short).replace(value, short.strip("'\""))
    return shortened(text)
