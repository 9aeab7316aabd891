"""A value from the legacy driver -> a value of the target field: one :class:`Conversion` a column.

Made once per step. A value that already has the field's own Python type passes untouched, unless
the field or the database would cut it; everything else goes through ``field.to_python``, after the
few repairs that drivers make necessary (bytes for text, JSON as text, times as durations, naive
times). What a value loses is said by a :class:`~.losses.Changed` in place of the value.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import math
import re
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from ..exceptions import ConversionError
from ..utils.databases import database_of
from .json_text import JSONText, loses_digits
from .limits import limit_of
from .lookup import target_field_of
from .losses import Changed, Loss
from .stock import Kind, element_of, fitting_type_of, is_clock, kind_of

Values = list[Any]


class Conversion:
    """Makes the values of ``column`` fit ``field`` of a model that is kept in ``database``."""

    def __init__(self, field: models.Field[Any, Any], column: str, *, database: str) -> None:
        self._null = Loss.CLOCK(None) if is_clock(field) else None
        field = target_field_of(field)
        kind = kind_of(field)
        repair = _REPAIRS.get(kind)
        #: The type whose values fit as they are, but for those that would be cut.
        self.own_type = fitting_type_of(field)
        self._field = field
        self._column = column
        self._plain = {self.own_type} if self._null else {self.own_type, type(None)}
        self._is_whole = _WHOLE.get(kind, _are_whole)
        self._read: Callable[[Any], Any] = field.to_python
        if (element := element_of(field)) is not None:
            each = Conversion(element, column, database=database)
            self._read = lambda value: _array(field.to_python(value), each)
        elif repair is not None:
            self._read = lambda value: repair(value, field)
        self._limit = limit_of(field, database_of(database))

    def __call__(self, value: Any) -> Any:
        """The field's value, or :class:`Changed`. Keeps ``None``.

        Raises :exc:`ConversionError` for a value that the field cannot take.
        """
        if value is None:
            return self._null
        if type(value) is self.own_type and self._fit([value]):
            return value
        try:
            made = self._read(value)
            return made if self._limit is None else self._limit.kept(made)
        except ValidationError as error:
            cause = " ".join(error.messages)
        except (ValueError, TypeError, ArithmeticError, UnicodeError) as error:
            cause = f"{type(error).__name__}: {error}"
        raise ConversionError(cause, column=self._column, value=value)

    def of_all(self, values: Values) -> Values:
        """The same for the values of a batch; the very list where all of them fit as they are."""
        kinds = set(map(type, values))
        if self.own_type in kinds and kinds <= self._plain:
            there = values if len(kinds) == 1 else [v for v in values if v is not None]
            if self._fit(there):
                return values
        elif (quick := QUICK.get((self.own_type, *kinds))) is not None:
            with suppress(ValueError, ArithmeticError):
                return quick(values)
        return list(map(self, values))

    def _fit(self, values: Values) -> bool:
        """Whether values of the own type are kept as they are, all of them."""
        return self._is_whole(values, self._field) and (
            self._limit is None or self._limit.holds(values)
        )


def key_conversion(
    field: models.Field[Any, Any], column: str, *, database: str, is_exact: bool
) -> Callable[[Any], Any]:
    """:class:`Conversion` for values to search by; returns no :class:`Changed`.

    Raises :exc:`ConversionError` as well for what no statement can carry: one such value would
    bring down the lookup of a whole batch. If it ``is_exact``, also for a value that would lose
    something: it would find what nobody named.
    """
    convert = Conversion(field, column, database=database)
    lowest = highest = None
    if isinstance(field, models.IntegerField):
        lowest, highest = database_of(database).range_of(field)

    def convert_key(value: Any) -> Any:
        key = convert(value)
        if type(key) is Changed:
            if is_exact:
                raise ConversionError(key.cause, column=column, value=value)
            key = key.value
        if isinstance(key, str):
            if "\x00" in key:
                raise ConversionError("no database text holds a NUL", column=column, value=value)
        elif isinstance(key, int):
            if (lowest is not None and key < lowest) or (highest is not None and key > highest):
                raise ConversionError("the number is out of range", column=column, value=value)
        elif key.__hash__ is None:
            raise ConversionError("a single value is needed", column=column, value=value)
        return key

    return convert_key


#: What drivers return for bytes.
_BYTES = (bytes, bytearray, memoryview)


def _refuse(sentence: str) -> ValidationError:
    return ValidationError(sentence)


# ------------------------------------------------------------------ one value, by kind of field


def _array(values: Any, convert: Conversion) -> Any:
    """Django would hand the elements of a list to the database as they are."""
    if not isinstance(values, (list, tuple)):
        raise _refuse("a list is needed, or the JSON of one")
    made = list(map(convert, values))
    if not (causes := {each.cause for each in made if type(each) is Changed}):
        return made
    kept = [each.value if type(each) is Changed else each for each in made]
    return Changed(kept, "; ".join(sorted(causes)))


def _text(value: Any, field: models.Field[Any, Any]) -> Any:
    if isinstance(value, JSONText):
        value = str(value)
    elif isinstance(value, _BYTES):
        value = bytes(value).decode()
    elif isinstance(value, float) and value.is_integer():
        value = repr(value).removesuffix(".0")  # as the servers write it
    elif isinstance(value, Decimal):
        value = format(value, "f")  # not 0E-10
    elif isinstance(value, (dict, list, tuple)):  # jsonb and arrays of PostgreSQL
        value = json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False)
    elif isinstance(value, dt.timedelta):  # MySQL's TIME, in its own form
        seconds, fraction = divmod(abs(value), dt.timedelta(seconds=1))
        digits = f".{fraction.microseconds:06}" if fraction else ""
        sign = "-" if value < dt.timedelta(0) else ""
        value = f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{digits}"
    return field.to_python(value)


def _file(value: Any, field: models.Field[Any, Any]) -> Any:
    return bytes(value).decode() if isinstance(value, _BYTES) else value


def _whole_number(value: Any, field: models.Field[Any, Any]) -> Any:
    _is_number(value)
    # int() would cut 7.5 down to 7 without a word.
    if isinstance(value, (float, Decimal)) and value != int(value):
        raise ValueError("a whole number is needed")
    digits = _digits(value)
    number = field.to_python(digits)
    return number if digits is value or isinstance(value, str) else Loss.BYTES_AS_DIGITS(number)


def _real(value: Any, field: models.Field[Any, Any]) -> Any:
    _is_number(value)
    digits = _digits(value)
    number = field.to_python(digits)
    if isinstance(value, _BYTES):
        return Loss.BYTES_AS_DIGITS(number)
    if not isinstance(value, (float, bool)):
        exact = Decimal(digits)
        if math.isinf(number) and exact.is_finite():
            raise ValueError("the number is too large for a floating-point one")
        if math.isfinite(number) and exact != (number if type(value) is int else _shown(number)):
            return Loss.FLOAT_DIGITS(number)
    return number


def _shown(number: float) -> Decimal:
    """What a person sees of it: 0.1, not the binary fraction that is next to it."""
    return Decimal(repr(number))


def _decimal(value: Any, field: Any) -> Any:
    _is_number(value)
    if isinstance(value, float):
        value = _REAL.create_decimal_from_float(value)
    number = field.to_python(_digits(value))
    kept = number if (unit := _unit(field)) is None else number.quantize(unit, None, _WIDE)
    if kept != number:
        return Loss.DECIMAL_PLACES(kept, field.decimal_places)
    return Loss.BYTES_AS_DIGITS(number) if isinstance(value, _BYTES) else number


#: Digits beyond the 15th are noise of the binary fraction: 0.1 + 0.2 is 0.30000000000000004.
_REAL = Context(prec=15)
#: Servers round halves up. The default context refuses to round a number of more than 28 digits.
_WIDE = Context(prec=1000, rounding=ROUND_HALF_UP)


def _unit(field: Any) -> Decimal | None:
    places = field.decimal_places
    return None if places is None else Decimal(1).scaleb(-places)


def _is_number(value: Any) -> None:
    """Refuse what Python makes a number of although it is none: a UUID, a list of digits."""
    if not isinstance(value, (int, float, Decimal, str, *_BYTES)):
        raise _refuse(f"a {type(value).__name__} is no number")


def _digits(value: Any) -> Any:
    """A number, or a text that is one to everybody: Python would read 1_000 too."""
    if isinstance(value, _BYTES):
        value = bytes(value).decode("ascii")
    if isinstance(value, str) and "_" in value:
        raise _refuse("a number has no underscores")
    return value


def _boolean(value: Any, field: models.Field[Any, Any]) -> Any:
    # What MySQL's drivers make of BIT(1).
    if isinstance(value, _BYTES) and bytes(value) in _BITS:
        return _BITS[bytes(value)]
    if isinstance(value, (list, tuple, dict)):  # an empty one would be NULL
        raise _refuse("a list or an object is neither true nor false")
    try:
        return field.to_python(value)
    except ValidationError as error:
        raise _refuse(
            f"{' '.join(error.messages)} Say in the query what is true, such as"
            " CASE WHEN ... THEN 1 ELSE 0 END, or in hook_before_transformation."
        ) from error


_BITS = {b"\x00": False, b"\x01": True}


def _json(value: Any, field: models.Field[Any, Any]) -> Any:
    # Most legacy databases keep JSON in a text column.
    if isinstance(value, JSONText):
        return str(value)
    if isinstance(value, memoryview):
        value = bytes(value)
    if not isinstance(value, (str, bytes, bytearray)):
        return field.to_python(value)
    if (decoder := getattr(field, "decoder", None)) is not None:
        return json.loads(value, cls=decoder)
    lost: set[Loss] = set()

    def named(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            lost.add(Loss.JSON_NAMES)
        return made

    def number(digits: str) -> float:
        if loses_digits(digits):
            lost.add(Loss.JSON_DIGITS)
        return float(digits)

    made = json.loads(value, object_pairs_hook=named, parse_float=number)
    return Changed(made, "; ".join(sorted(loss.value for loss in lost))) if lost else made


def _binary(value: Any, field: models.Field[Any, Any]) -> Any:
    # to_python would read text as base64, which is meant for fixtures; bytes(3) is three zeros.
    if isinstance(value, str):
        return value.encode()
    if not isinstance(value, _BYTES):
        raise TypeError("bytes or text are needed")
    return bytes(value)


def _time(value: Any, field: models.Field[Any, Any]) -> Any:
    _no_number(value, "time of day", "such as SEC_TO_TIME(...) for seconds since midnight")
    # MySQL's TIME is a duration, and so the drivers return it.
    if isinstance(value, dt.timedelta):
        if not dt.timedelta(0) <= value < dt.timedelta(days=1):
            raise ValueError("a time of day lies between 00:00 and 24:00")
        return (dt.datetime.min + value).time()
    if isinstance(value, dt.date):
        if not isinstance(value, dt.datetime):
            raise _refuse("a date is no time of day")
        return Loss.DATE(value.time())
    if isinstance(value, str) and value.isdigit() and len(value) not in _LENGTHS_OF_TIMES:
        raise _refuse("digits are a time of day where they are four or six, such as 0830")
    made = field.to_python(value)
    if isinstance(value, str):
        if _OFFSET.search(value):
            return Loss.TIME_ZONE(made)
        return _second(value, made)
    return Loss.TIME_ZONE(made.replace(tzinfo=None)) if made.tzinfo is not None else made


_LENGTHS_OF_TIMES = (len("0830"), len("083000"))
_OFFSET = re.compile(r"([+-]\d[\d:]*|[zZ])$")


def _second(text: str, made: Any) -> Any:
    """``made`` of a text, whose digits Python drops beyond the sixth of a second."""
    found = _BEYOND_MICROSECONDS.search(text)
    return made if found is None or not found[1].strip("0") else Loss.SECOND_DIGITS(made)


_BEYOND_MICROSECONDS = re.compile(r":\d\d[.,]\d{6}(\d+)")


def _date(value: Any, field: models.Field[Any, Any]) -> Any:
    _no_number(value, "date")
    # SQLite keeps dates as text, and some as "1962-02-18 00:00:00".
    if isinstance(value, str):
        _no_unix_time(value)
        try:
            if len(value) == len("2000-01-31"):
                return dt.date.fromisoformat(value)  # what to_python comes to after some calls
        except ValueError:
            pass  # said by to_python, in Django's words
        else:
            value = parse_datetime(value) or value
    made = field.to_python(value)
    if isinstance(value, dt.datetime):
        if settings.USE_TZ and timezone.is_aware(value):
            value = timezone.make_naive(value, timezone.get_default_timezone())
        if value.time() != dt.time():
            return Loss.TIME_OF_DAY(made)
    return made


def _uuid(value: Any, field: models.Field[Any, Any]) -> Any:
    # MySQL has no such type: BINARY(16) is the usual stand-in.
    if isinstance(value, _BYTES):
        if len(bytes(value)) != _BYTES_OF_A_UUID:
            raise _refuse(f"a UUID has 16 bytes, and these are {len(bytes(value))}")
        return uuid.UUID(bytes=bytes(value))
    if isinstance(value, bool):
        raise _refuse("a boolean is no UUID")
    return field.to_python(value)


_BYTES_OF_A_UUID = 16


def _address(value: Any, field: models.Field[Any, Any]) -> Any:
    """An address, or its text; Django would take the text of anything."""
    if isinstance(value, _BYTES):
        with suppress(ValueError):
            value = bytes(value).decode("ascii")
            ipaddress.ip_address(value)
            return field.to_python(value)
        raise _refuse("bytes are no address. Say INET6_NTOA(...) in the query")
    _no_number(value, "address", "such as INET_NTOA(...)")
    if not isinstance(value, (str, *_ADDRESSES)):
        raise _refuse(f"a {type(value).__name__} is no address")
    return field.to_python(value)


_ADDRESSES = (
    *(ipaddress.IPv4Address, ipaddress.IPv6Address),
    *(ipaddress.IPv4Network, ipaddress.IPv6Network),
)


def _duration(value: Any, field: models.Field[Any, Any]) -> Any:
    _no_number(value, "duration", "or timedelta(seconds=...) in hook_before_transformation")
    if not isinstance(value, (str, dt.timedelta)):
        raise _refuse(f"a {type(value).__name__} is no duration")
    if value == "":
        raise _refuse("an empty text is no duration. Say NULL in its place")
    made = field.to_python(value)
    return _second(value, made) if isinstance(value, str) else made


def _date_time(value: Any, field: models.Field[Any, Any]) -> Any:
    """Read naive times in the default time zone, as Django does, but without its warning."""
    _no_number(value, "moment")
    text = value if isinstance(value, str) else ""
    if not isinstance(value, dt.datetime):
        if isinstance(value, dt.date):
            value = dt.datetime.combine(value, dt.time())
        else:
            _no_unix_time(text)
            value = field.to_python(value)
    zone, hour = timezone.get_default_timezone(), None
    if settings.USE_TZ and timezone.is_naive(value):
        value = timezone.make_aware(value, zone)
        hour = _odd_hour(value)
    elif not settings.USE_TZ and timezone.is_aware(value):
        value = value.astimezone(zone)
        hour = _odd_hour(value) and Loss.WHICH_HOUR
        value = value.replace(tzinfo=None, fold=0)
    made = _second(text, value)
    if hour is None:
        return made
    causes = [hour.value] if made is value else [made.cause, hour.value]
    return Changed(value, "; ".join(causes))


def _odd_hour(value: dt.datetime) -> Loss | None:
    """Whether clocks showed the time of ``value``, read in its zone, never or twice."""
    earlier, later = (value.replace(fold=fold).utcoffset() for fold in (0, 1))
    if earlier == later or earlier is None or later is None:
        return None
    return Loss.DOUBLE_HOUR if earlier > later else Loss.SKIPPED_HOUR


def _no_number(value: Any, what: str, how: str = "") -> None:
    """Refuse a number where nobody can know what it counts."""
    if isinstance(value, (int, float, Decimal)):
        raise _refuse(f"a number is no {what}. Say in the query what it counts, {how or _UNIX}")


_UNIX = (
    "such as FROM_UNIXTIME(...) or to_timestamp(...) for seconds since 1970, or"
    " CAST(... AS CHAR(8)) for 20140719"
)


def _no_unix_time(text: str) -> None:
    """Refuse digits that Python would read as some date with an hour: 1210010500123."""
    if text.isdigit() and len(text) != len("20140719"):
        _no_number(int(text), "date")


# ------------------------------------------------------------- all values of a column, by kind


def _are_whole(values: Values, field: Any) -> bool:
    return True


def _are_rounded(values: Values, field: Any) -> bool:
    unit = _unit(field)
    if unit is None or all(map(unit.same_quantum, values)):
        return True
    try:
        return [value.quantize(unit, None, _WIDE) for value in values] == values
    except ArithmeticError:
        return False


def _are_without_zone(values: Iterable[dt.time], field: Any) -> bool:
    return all(value.tzinfo is None for value in values)


#: Kind of field -> whether values of its own type lose nothing in it.
_WHOLE: dict[Kind | None, Callable[[Values, Any], bool]] = {
    models.DecimalField: _are_rounded,
    models.TimeField: _are_without_zone,
}


def _dates(values: list[str]) -> list[Any]:
    if set(map(len, values)) != {len("2000-01-31")}:
        raise ValueError("not all are plain dates")
    return list(map(dt.date.fromisoformat, values))


def _booleans(values: list[int]) -> list[Any]:
    if not {0, 1}.issuperset(values):
        raise ValueError("not all are 0 or 1")
    return list(map(bool, values))


def _reals(values: list[int]) -> list[Any]:
    made = list(map(float, values))
    if made != values:
        raise ValueError("not all have few enough digits")
    return made


#: (the type that a field wants, that of all values of a batch) -> the conversion of all of them.
#: Each does what ``to_python`` of the stock fields does, or raises for it to be asked.
QUICK: dict[tuple[Any, ...], Callable[[list[Any]], list[Any]]] = {
    (dt.date, str): _dates,
    (bool, int): _booleans,
    (float, int): _reals,
}

#: Kind of field -> what is done in place of its ``to_python``, for what drivers return.
_REPAIRS: dict[Kind | None, Callable[[Any, models.Field[Any, Any]], Any]] = {
    models.BooleanField: _boolean,
    models.DateTimeField: _date_time,
    models.CharField: _text,
    models.TextField: _text,
    models.FileField: _file,
    models.IntegerField: _whole_number,
    models.FloatField: _real,
    models.DecimalField: _decimal,
    models.JSONField: _json,
    models.BinaryField: _binary,
    models.TimeField: _time,
    models.DateField: _date,
    models.DurationField: _duration,
    models.UUIDField: _uuid,
    models.GenericIPAddressField: _address,
}
