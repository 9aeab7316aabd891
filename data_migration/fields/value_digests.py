"""Four bytes for the value of a field: equal where the database would give back the same value.

What a database keeps is not always what was written: PostgreSQL sorts the keys of JSON, SQLite
keeps 15 digits of a decimal, an empty address is NULL. So the digest is taken of what is kept.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Sequence
from decimal import Context, Decimal
from itertools import repeat
from struct import Struct
from typing import Any
from zlib import crc32

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connections
from django.db.models import fields
from django.utils import timezone

from ..utils.databases import database_of
from .lookup import target_field_of
from .stock import OWN_TYPES, Kind, is_converted_by_django, kind_of

#: A field whose digest is not known: its value was an expression, say. It equals every value.
UNKNOWN = 0
_NULL = 0x9E3779B9

#: The value of a field that was left to the database.
LEFT_OUT = object()

Digest = Callable[[Any], int]
Digests = Callable[[Sequence[Any]], Iterable[int]]

#: What a value raises that a hook left and the field cannot read.
UNREADABLE = (ValidationError, ValueError, TypeError, AttributeError, ArithmeticError)


def ways_to_digest(field: Any, database: str) -> tuple[Digests, Digest]:
    """How the values of a column are digested all together, and how any one value is.

    :data:`LEFT_OUT` and what the field cannot read are :data:`UNKNOWN`.
    """
    field = target_field_of(field)
    own, plain = _plain_digest(field, database)

    def digest(value: Any) -> int:
        if value is None:
            return _NULL
        if value is LEFT_OUT or hasattr(value, "resolve_expression"):
            return UNKNOWN
        try:
            if type(value) is not own:
                value = field.to_python(unwrapped(value))
            return _NULL if value is None else plain(value)
        except UNREADABLE:  # a hook left what the field cannot read: nothing can be said
            return UNKNOWN

    def digests(values: Sequence[Any]) -> Iterable[int]:
        if set(map(type, values)) == {own}:
            try:
                if plain is _text:
                    # One text in 2**32 is UNKNOWN here where digest() says 1: no harm in it.
                    return list(map(crc32, map(str.encode, values), repeat(_SEED)))
                return list(map(plain, values))
            except UNREADABLE:
                pass
        return map(digest, values)

    return digests, digest


def unwrapped(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value


def _plain_digest(field: Any, database: str) -> tuple[type | None, Digest]:
    """The type that most values have, and how they are digested: by what the database keeps."""
    kind = kind_of(field)
    if not is_converted_by_django(field):
        return None, _stored(field, database)
    if kind is None:
        return None, _any
    if kind is fields.DecimalField:
        return Decimal, _decimal(field, database)
    if kind is fields.json.JSONField:
        return None, _json(field.encoder)
    # An address is brought into one spelling first.
    own = None if kind is fields.GenericIPAddressField else OWN_TYPES[kind]
    return own, _DIGESTS.get(kind, _any)


def _stored(field: Any, database: str) -> Digest:
    """For a project's own field: its stored form, unless that differs each time (encryption)."""
    connection = connections[database]

    def digest(value: Any) -> int:
        stored = _any(unwrapped(field.get_db_prep_save(value, connection)))
        again = _any(unwrapped(field.get_db_prep_save(value, connection)))
        return stored if stored == again != UNKNOWN else _any(value)

    return digest


def _decimal(field: Any, database: str) -> Digest:
    kind = database_of(database)
    # The default context refuses to round a number of more than 28 digits.
    wide = Context(prec=1000, rounding=kind.decimal_rounding)
    unit = None if field.decimal_places is None else Decimal(1).scaleb(-field.decimal_places)

    def rounded(value: Decimal) -> Decimal:
        return value.normalize(wide) if unit is None else value.quantize(unit, None, wide)

    def digest(value: Decimal) -> int:
        kept = rounded(value)
        return crc32(str(kept).encode()) or 1 if kept else _ZERO  # no -0.00

    def digest_of_real(value: Decimal) -> int:
        return digest(_REAL.create_decimal_from_float(float(rounded(value))))

    # Django takes 15 digits of a floating-point number.
    is_real = kind.keeps_decimals_as_floats and (field.max_digits or 16) > 15
    return digest_of_real if is_real else digest


_REAL = Context(prec=15)
_ZERO = crc32(b"0")


def _whole_number(value: int) -> int:
    return value % 4294967291 + 1  # the largest prime of 32 bits; never UNKNOWN


def _real(value: float) -> int:
    # No -0.0; and SQLite keeps NULL for what is no number.
    return crc32(repr(value + 0.0).encode()) if value == value else _NULL


#: Without it the empty text would be UNKNOWN.
_SEED = 1


def _text(value: str) -> int:
    return crc32(value.encode(), _SEED) or 1


def _moment(value: dt.datetime) -> int:
    # As Django does: a naive time is one of the default zone, unless zones are not used.
    if not settings.USE_TZ:
        if value.tzinfo is not None:
            value = timezone.make_naive(value, timezone.get_default_timezone())
        value = value.replace(tzinfo=dt.UTC)
    elif value.tzinfo is None:
        value = timezone.make_aware(value, timezone.get_default_timezone())
    since = value - _EPOCH
    return crc32(_MOMENT(since.days, since.seconds, since.microseconds)) or 1


_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MOMENT = Struct("<3i").pack


def _json(encoder: type[json.JSONEncoder] | None) -> Digest:
    write = (encoder or json.JSONEncoder)().encode

    def digest(value: Any) -> int:
        # Twice, since PostgreSQL sorts the keys, and writes 1e+22 out as a whole number.
        return crc32(_SORTED.encode(_READER.decode(write(value))).encode()) or 1

    return digest


def _number(text: str) -> float | int:
    number = Decimal(text)  # a float has other digits than its text beyond the 16th
    return int(number) if number == number.to_integral_value() else float(text)


_READER = json.JSONDecoder(parse_float=_number)
_SORTED = json.JSONEncoder(sort_keys=True)


def _any(value: Any) -> int:
    if isinstance(value, dict):
        value = sorted(value.items())
    if type(value).__repr__ is object.__repr__:  # type: ignore[comparison-overlap]
        return UNKNOWN  # its text is an address
    return crc32(repr(value).encode("utf-8", "surrogatepass")) or 1


_DIGESTS: dict[Kind, Digest] = {
    fields.BooleanField: _whole_number,
    fields.IntegerField: _whole_number,
    fields.FloatField: _real,
    fields.DateTimeField: _moment,
    fields.DateField: dt.date.toordinal,
    fields.TimeField: lambda value: _text(value.isoformat()),  # without the fold
    fields.BinaryField: lambda value: crc32(value) or 1,
    fields.CharField: _text,
    fields.TextField: _text,
    # Django stores NULL for an empty one.
    fields.GenericIPAddressField: lambda value: _text(value) if value else _NULL,
    fields.files.FileField: lambda value: _text(str(value)),
}
