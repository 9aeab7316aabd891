"""What a target database would cut from a field's value, or turn into NULL, without a word."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence
from decimal import Context, Decimal
from typing import Any, NamedTuple

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import fields

from ..utils.databases import Database
from .losses import Changed, Loss
from .stock import Kind, kind_of


class Limit(NamedTuple):
    """``holds`` tells of values of the field's own type whether all are kept as they are.

    ``keep`` returns what is kept of one value, or :class:`Changed`; it raises
    :exc:`ValidationError` for a value that would be lost.
    """

    holds: Callable[[Sequence[Any]], bool]
    keep: Callable[[Any], Any]

    def kept(self, made: Any) -> Any:
        """What is kept of a value that may have lost something already."""
        if type(made) is not Changed:
            return self.keep(made)
        kept = self.keep(made.value)
        if type(kept) is not Changed:
            return Changed(kept, made.cause)
        return Changed(kept.value, f"{made.cause}; {kept.cause}")


def limit_of(field: Any, database: Database) -> Limit | None:
    """The limit of ``field``'s column; None where the database keeps all or refuses aloud."""
    way = _WAYS.get(kind_of(field))
    return None if way is None else way(field, database)


def _of_text(field: Any, database: Database) -> Limit | None:
    """SQL has blanks beyond the length of a column cut, where it has all else refused."""
    longest = field.max_length
    if longest is None or not database.cuts_blanks:
        return None

    def holds(values: Sequence[str]) -> bool:
        return bool(max(map(len, values)) <= longest)

    def keep(value: Any) -> Any:
        if not isinstance(value, str) or len(value) <= longest or value[longest:].strip(" "):
            return value
        return Loss.TRAILING_BLANKS(value[:longest], longest)

    return Limit(holds, keep)


def _of_real(field: Any, database: Database) -> Limit | None:
    """What is no number becomes NULL in SQLite, and MySQL's driver cannot write it."""
    if database.keeps_nan and database.keeps_infinity:
        return None

    def holds(values: Sequence[float]) -> bool:
        return math.isfinite(sum(values))

    def keep(value: float) -> float:
        if math.isnan(value) and not database.keeps_nan:
            raise ValidationError(f"{database.name} keeps no NaN. Say NULL in its place")
        if math.isinf(value) and not database.keeps_infinity:
            raise ValidationError(f"{database.name} keeps no infinite number")
        return value

    return Limit(holds, keep)


def _of_decimal(field: Any, database: Database) -> Limit | None:
    """SQLite takes decimals of any length, of which Django cannot read the longer ones."""
    if not database.keeps_decimals_as_floats or field.max_digits is None:
        return None
    digits = field.max_digits - field.decimal_places
    bound = Decimal(10) ** digits
    is_long = field.max_digits > _REAL.prec

    def holds(values: Sequence[Decimal]) -> bool:
        return -bound < min(values) and max(values) < bound and not is_long

    def keep(value: Decimal) -> Any:
        if not -bound < value < bound:
            raise ValidationError(f"the field keeps {digits} digits before the decimal point")
        kept = _REAL.create_decimal_from_float(float(value))
        return Loss.DECIMAL_DIGITS(kept) if is_long and kept != value else value

    return Limit(holds, keep)


#: Django takes 15 digits of a floating-point number.
_REAL = Context(prec=15)


def _of_moment(field: Any, database: Database) -> Limit | None:
    """A moment is kept in one zone and read in another; in both it has to be a moment."""
    zones = {dt.UTC, database.connection.timezone} if settings.USE_TZ else {None}

    def keep(value: dt.datetime) -> dt.datetime:
        if value.year in _EDGES:
            try:
                for zone in zones - {None}:
                    value.astimezone(zone)
            except OverflowError:
                raise ValidationError(
                    f"in UTC, in which {database.name} keeps it, the moment lies outside of the"
                    " years 1 to 9999, and nobody could read it again. If it stands for none, say"
                    " NULL in its place"
                ) from None
        return value

    return Limit(lambda values: False, keep)


_EDGES = frozenset({dt.MINYEAR, dt.MAXYEAR})

_WAYS: dict[Kind | None, Callable[[Any, Database], Limit | None]] = {
    fields.CharField: _of_text,
    fields.files.FileField: _of_text,
    fields.FloatField: _of_real,
    fields.DecimalField: _of_decimal,
    fields.DateTimeField: _of_moment,
}
