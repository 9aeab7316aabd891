"""A value from the legacy driver -> a value of the target field: one function per column.

Each function is made once per step. A value that already has the field's own Python type passes
untouched; everything else goes through ``field.to_python``, after the few repairs that drivers
make necessary (bytes for text, JSON as text, times as durations, naive times).
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from ..exceptions import ConversionError
from ..utils.databases import database_of
from .stock import Kind, fitting_type_of, kind_of

Converter = Callable[[Any], Any]


def converter(field: models.Field[Any, Any], column: str) -> Converter:
    """Return the function that makes ``column``'s values fit ``field``.

    It keeps ``None`` and raises :exc:`ConversionError` for a value that the field cannot take.
    """
    own, repair = fitting_type_of(field), _REPAIRS.get(kind_of(field))
    to_python = field.to_python if repair is None else lambda value: repair(value, field)

    def convert(value: Any) -> Any:
        if value is None or type(value) is own:
            return value
        try:
            return to_python(value)
        except ValidationError as error:
            cause = " ".join(error.messages)
        except (ValueError, TypeError, ArithmeticError, UnicodeError) as error:
            cause = f"{type(error).__name__}: {error}"
        raise ConversionError(cause, column=column, value=value)

    return convert


def key_converter(field: models.Field[Any, Any], column: str, *, database: str) -> Converter:
    """:func:`converter` for values to search by.

    Raises :exc:`ConversionError` as well for what no statement can carry: one such value would
    bring down the lookup of a whole batch.
    """
    convert = converter(field, column)
    lowest = highest = None
    if isinstance(field, models.IntegerField):
        lowest, highest = database_of(database).range_of(field)

    def convert_key(value: Any) -> Any:
        key = convert(value)
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


def _text(value: Any, field: models.Field[Any, Any]) -> Any:
    if isinstance(value, (bytes, bytearray, memoryview)):
        value = bytes(value).decode()
    return field.to_python(value)


def _whole_number(value: Any, field: models.Field[Any, Any]) -> Any:
    # int() would cut 7.5 down to 7 without a word.
    if isinstance(value, (float, Decimal)) and value != int(value):
        raise ValueError("a whole number is needed")
    return field.to_python(value)


def _json(value: Any, field: models.Field[Any, Any]) -> Any:
    # Most legacy databases keep JSON in a text column.
    if isinstance(value, (str, bytes, bytearray)):
        return json.loads(value, cls=getattr(field, "decoder", None))
    return field.to_python(value)


def _binary(value: Any, field: models.Field[Any, Any]) -> Any:
    # to_python would read text as base64, which is meant for fixtures; bytes(3) is three zeros.
    if isinstance(value, str):
        return value.encode()
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError("bytes or text are needed")
    return bytes(value)


def _time(value: Any, field: models.Field[Any, Any]) -> Any:
    # MySQL's TIME is a duration, and so the drivers return it.
    if isinstance(value, dt.timedelta):
        if not dt.timedelta(0) <= value < dt.timedelta(days=1):
            raise ValueError("a time of day lies between 00:00 and 24:00")
        value = (dt.datetime.min + value).time()
    return field.to_python(value)


def _date(value: Any, field: models.Field[Any, Any]) -> Any:
    # SQLite keeps dates as text, and some as "1962-02-18 00:00:00".
    if isinstance(value, str):
        try:
            if len(value) == len("2000-01-31"):
                return dt.date.fromisoformat(value)  # what to_python comes to after some calls
        except ValueError:
            pass  # said by to_python, in Django's words
        else:
            value = parse_datetime(value) or value
    return field.to_python(value)


def _uuid(value: Any, field: models.Field[Any, Any]) -> Any:
    # MySQL has no such type: BINARY(16) is the usual stand-in.
    if isinstance(value, (bytes, bytearray)) and len(value) == 16:
        return uuid.UUID(bytes=bytes(value))
    return field.to_python(value)


def _date_time(value: Any, field: models.Field[Any, Any]) -> Any:
    """Read naive times in the default time zone, as Django does, but without its warning."""
    if not isinstance(value, dt.datetime):
        if isinstance(value, dt.date):
            value = dt.datetime.combine(value, dt.time())
        else:
            value = field.to_python(value)
    if settings.USE_TZ and timezone.is_naive(value):
        return timezone.make_aware(value, timezone.get_default_timezone())
    if not settings.USE_TZ and timezone.is_aware(value):
        return timezone.make_naive(value, timezone.get_default_timezone())
    return value


def _dates(values: list[str]) -> list[Any]:
    if set(map(len, values)) != {len("2000-01-31")}:
        raise ValueError("not all are plain dates")
    return list(map(dt.date.fromisoformat, values))


def _booleans(values: list[int]) -> list[Any]:
    if not {0, 1}.issuperset(values):
        raise ValueError("not all are 0 or 1")
    return list(map(bool, values))


#: (the type that a field wants, that of all values of a batch) -> the conversion of all of them.
#: Each does what ``to_python`` of the stock fields does, or raises for it to be asked.
QUICK: dict[tuple[Any, ...], Callable[[list[Any]], list[Any]]] = {
    (dt.date, str): _dates,
    (bool, int): _booleans,
    (float, int): lambda values: list(map(float, values)),
}

#: Kind of field -> what is done in place of its ``to_python``, for what drivers return.
_REPAIRS: dict[Kind | None, Callable[[Any, models.Field[Any, Any]], Any]] = {
    models.DateTimeField: _date_time,
    models.CharField: _text,
    models.TextField: _text,
    models.IntegerField: _whole_number,
    models.JSONField: _json,
    models.BinaryField: _binary,
    models.TimeField: _time,
    models.DateField: _date,
    models.UUIDField: _uuid,
}
