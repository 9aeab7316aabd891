"""The high-water mark: how it is stored, and how far below it a rerun begins.

A mark is the highest value of a column as the driver returned it. SQLite returns timestamps as
text, so text that is an ISO timestamp counts as a time.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable
from contextlib import suppress
from decimal import ROUND_FLOOR, Decimal, localcontext
from fractions import Fraction
from typing import Any

from ..exceptions import SourceError, SpecError
from ..rows.keys import key_of_text, key_text

_DAY = dt.timedelta(days=1)
_MICROSECOND = dt.timedelta(microseconds=1)

_TIMESTAMP = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)"
    r"(?:(?P<separator>[ Tt])(?P<time>\d\d:\d\d(?P<seconds>:\d\d)?)"
    r"(?:(?P<point>[.,])(?P<fraction>\d+))?"
    r"(?P<zone> ?(?:[Zz]|[+-]\d\d(?::?\d\d)?))?)?",
    re.ASCII,
)


def mark_text(mark: Any) -> str:
    """The mark with its type, as :func:`value_of_mark` reads it.

    Raises :exc:`SpecError` for a value that has no order to go by.
    """
    try:
        return key_text(mark)
    except TypeError:
        raise SpecError(
            f"high_water: a value of the type {type(mark).__name__} is no mark. Name a column"
            " of numbers, times or text."
        ) from None


def value_of_mark(text: str) -> Any:
    """The mark that :func:`mark_text` wrote; whole numbers come back as ``int``."""
    return key_of_text(text)


def lowered(mark: Any, lag: Any) -> Any:
    """The mark less ``lag``, never higher than it; in the form of the mark, so of its type.

    ``lag`` is a ``timedelta`` for a time or a date, a number for a number, None for none. Raises
    :exc:`SpecError` for one that does not fit.
    """
    if lag is None or mark is None:
        return mark
    for kind, (wanted, subtract) in _KINDS.items():
        if isinstance(mark, kind) and not isinstance(mark, bool):
            if not isinstance(lag, wanted) or isinstance(lag, bool):
                raise _misfit(mark, lag)
            if not _is_distance(lag):
                raise SpecError(f"high_water_lag = {lag!r} has to be zero or more.")
            return _subtracted(subtract, mark, lag)
    raise _misfit(mark, lag)


def in_order(value: Any) -> tuple[str, Any]:
    """The kind of a mark, and what is compared with others of its kind: ``(kind, value)``.

    Times that are text are compared as times, and digits as numbers, whatever their lengths.
    Raises :exc:`SourceError` for a value that has no order.
    """
    if isinstance(value, dt.datetime):
        return _moment_in_order(value, "")
    if isinstance(value, dt.date):
        return "date", value
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        if math.isfinite(value):
            return "number", Fraction(value)
    elif isinstance(value, str):
        if value.isascii() and value.isdecimal():
            return "digits", int(value)
        if found := _TIMESTAMP.fullmatch(value):
            with suppress(ValueError):  # the 30th of February
                if found["time"] is None:
                    return "date", dt.date.fromisoformat(value)
                zone = (found["zone"] or "").strip().upper()
                clock = dt.datetime.fromisoformat(f"{found['date']} {found['time']}{zone}")
                return _moment_in_order(clock, found["fraction"] or "")
        return "text", value
    raise SourceError(f"a value of the type {type(value).__name__} has no order to go by")


def _moment_in_order(clock: dt.datetime, fraction: str) -> tuple[str, Any]:
    digits = (fraction or f"{clock.microsecond:06}").rstrip("0")
    if clock.tzinfo is None:
        return "time without a zone", (clock.replace(microsecond=0), digits)
    return "time", (clock.astimezone(dt.UTC).replace(microsecond=0), digits)


def _is_distance(lag: Any) -> bool:
    return bool(lag >= type(lag)(0))  # not NaN either


def _subtracted(subtract: Callable[[Any, Any], Any], mark: Any, lag: Any) -> Any:
    try:
        return subtract(mark, lag)
    except OverflowError:
        raise SpecError(
            f"high_water_lag = {lag!r} goes too far back from the mark {mark!r}."
        ) from None


def _misfit(mark: Any, lag: Any) -> SpecError:
    if isinstance(mark, str) and not _TIMESTAMP.fullmatch(mark):
        advice = "Nothing can be subtracted from such text; leave high_water_lag out."
    elif isinstance(mark, (str, dt.date)):
        advice = "Use a timedelta, such as timedelta(minutes=5)."
    elif isinstance(mark, (int, float, Decimal)) and not isinstance(mark, bool):
        advice = "Use a number, such as 100."
    else:
        advice = "Nothing can be subtracted from it; leave high_water_lag out."
    return SpecError(
        f"high_water_lag = {lag!r} does not fit the mark {mark!r} of the high_water column. "
        f"{advice}"
    )


def _moment(mark: dt.datetime, lag: dt.timedelta) -> dt.datetime:
    if mark.tzinfo is None:
        return mark - lag
    # In UTC, since the clock of a zone jumps.
    return (mark.astimezone(dt.UTC) - lag).astimezone(mark.tzinfo)


def _date(mark: dt.date, lag: dt.timedelta) -> dt.date:
    return mark - _DAY * -(-lag // _DAY)  # begun days count, or a lag of hours would do nothing


def _whole(mark: int, lag: float | Decimal) -> int:
    return math.floor(mark - Fraction(lag))


def _decimal(mark: Decimal, lag: float | Decimal) -> Decimal:
    with localcontext(prec=200, rounding=ROUND_FLOOR):
        return mark - Decimal(str(lag))


def _float(mark: float, lag: float | Decimal) -> float:
    return mark - float(lag)


def _text(mark: str, lag: dt.timedelta) -> str:
    """A timestamp with the separator, the precision and the offset that it had.

    Zeros that close a fraction are left out: many writers leave them out, and to a database that
    compares text the shorter form is the lower one. Not so before a Z.
    """
    found = _TIMESTAMP.fullmatch(mark)
    if found is None:
        raise _misfit(mark, lag)
    try:
        if found["time"] is None:
            return _date(dt.date.fromisoformat(mark), lag).isoformat()
        clock = dt.datetime.fromisoformat(f"{found['date']} {found['time']}")
    except ValueError:  # the 30th of February
        raise _misfit(mark, lag) from None
    digits = found["fraction"] or ""
    clock += int(digits[:6].ljust(6, "0")) * _MICROSECOND
    clock -= lag
    precision = "seconds" if found["seconds"] else "minutes"
    text = clock.replace(microsecond=0, tzinfo=None).isoformat(found["separator"], precision)
    zone = found["zone"] or ""
    fraction = f"{clock.microsecond:06}"[: len(digits)] + digits[6:]
    if zone.strip() not in ("Z", "z"):
        fraction = fraction.rstrip("0")
    return f"{text}{found['point']}{fraction}{zone}" if fraction else f"{text}{zone}"


_NUMBER = (int, float, Decimal)

#: Type of the mark -> types of the lag, how it is subtracted; a datetime is a date as well.
_KINDS: dict[type, tuple[type | tuple[type, ...], Callable[[Any, Any], Any]]] = {
    dt.datetime: (dt.timedelta, _moment),
    dt.date: (dt.timedelta, _date),
    str: (dt.timedelta, _text),
    int: (_NUMBER, _whole),
    Decimal: (_NUMBER, _decimal),
    float: (_NUMBER, _float),
}
