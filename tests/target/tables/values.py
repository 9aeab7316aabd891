"""Values for fields: their own, and whatever else a row, a default or a hook may hold."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import F, Value
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy
from hypothesis import strategies as st

ZONES = (dt.UTC, ZoneInfo("Europe/Berlin"), dt.timezone(dt.timedelta(hours=-11, minutes=-30)))


class Level(enum.IntEnum):
    """A number that is written like a word."""

    HIGH = 3


class Colour(enum.StrEnum):
    """A text with methods of its own."""

    RED = "red"


#: What COPY, an array, or a literal gives a meaning of its own.
_MARKS = ("\\", "\t", "\n", "\r", '"', "'", "{", "}", ",", "%", "%s", "\\N", "NULL", "\\.", "é😀")
#: With lone surrogates and NUL, which no database takes as they are.
texts = st.one_of(
    st.text(st.characters(), max_size=20),
    st.lists(st.sampled_from((*_MARKS, "a", " ")), max_size=8).map("".join),
    st.sampled_from(("", " ", "x" * 99 + "é", "x" * 101, "x" * 100 + "  ", "\x00")),
)
_wholes = st.one_of(
    st.integers(-3, 3),
    st.integers(),
    st.sampled_from(
        [
            sign * 2**power + more
            for sign in (1, -1)
            for power in (15, 16, 31, 32, 63)
            for more in (-1, 0)
        ]
    ),
)
_decimals = st.one_of(
    st.decimals(-(10**9) + 1, 10**9 - 1, places=3),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.sampled_from([Decimal(text) for text in ("NaN", "Infinity", "-0", "1E+8", "0.0005")]),
)
_moments = st.one_of(
    st.datetimes(
        dt.datetime(1000, 1, 2), dt.datetime(9999, 12, 30), timezones=st.sampled_from(ZONES)
    ),
    st.datetimes(dt.datetime(1000, 1, 2), dt.datetime(9999, 12, 30)),
    st.just(dt.datetime(2024, 3, 31, 2, 30)),
)
_times = st.one_of(st.times(), st.times(timezones=st.sampled_from(ZONES)))
_json = st.recursive(
    st.none() | st.booleans() | _wholes | st.floats() | texts,
    lambda each: st.lists(each, max_size=3) | st.dictionaries(texts, each, max_size=3),
    max_leaves=5,
)
_addresses = st.ip_addresses().map(str) | st.sampled_from(["", "::ffff:1.2.3.4", "nowhere"])

#: Field of ``Everything`` -> values that have its own type.
OWN: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("text", "long_text", "slug", "email", "url", "file"), texts),
    **dict.fromkeys(("integer", "small", "big"), _wholes),
    **dict.fromkeys(("positive", "positive_small", "positive_big"), _wholes),
    "real": st.floats(),
    "decimal": _decimals,
    "boolean": st.booleans(),
    "date": st.dates(),
    "date_time": _moments,
    "time": _times,
    "duration": st.timedeltas(dt.timedelta(-(10**6)), dt.timedelta(10**6)) | st.timedeltas(),
    "uuid": st.uuids(),
    "binary": st.binary(max_size=20),
    "json": _json,
    "address": _addresses,
}

_ODD = st.one_of(
    st.none(),
    *{id(each): each for each in OWN.values()}.values(),
    st.sampled_from(
        [
            *(Level.HIGH, Colour.RED, mark_safe("<b>\t"), gettext_lazy("Name")),
            *(bytearray(b"ab"), memoryview(b"\x00\xff"), "12", "1.5", "2024-02-30", "true"),
            *(dt.datetime.min, dt.datetime.max, dt.date.min),
            *(F("integer"), Value("x"), Value(None), object(), uuid.UUID(int=1).hex, {1}, 1 + 2j),
        ]
    ),
)


def columns(name: str) -> st.SearchStrategy[list[Any]]:
    """Columns of the field ``name``: most are of its own type, some have NULLs or worse."""
    own = OWN[name]
    usual = st.lists(own, min_size=1, max_size=5) | st.lists(
        own | st.none(), min_size=1, max_size=5
    )
    if name == "file":  # it is written after the object has saved it, which takes but a name
        return usual
    # Of a whole number Python makes so many bytes, which is more than there is memory.
    odd = _ODD.filter(lambda value: not (_is_large(value) and name == "binary"))
    return usual | st.lists(own | odd, min_size=1, max_size=3)


def _is_large(value: Any) -> bool:
    return isinstance(value, int) and value > 1000
