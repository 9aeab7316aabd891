"""Django's own fields: the types of their values, and who else has a say in them."""

from __future__ import annotations

import datetime as dt
import sys
import uuid
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from django.db.models import Field, fields

from .lookup import target_field_of

Kind = type["Field[Any, Any]"]

#: Stock field -> the type that its values have in Python; None where they may have any. The first
#: that fits a field counts: a datetime field is a date field as well.
OWN_TYPES: dict[Kind, type | None] = {
    fields.BooleanField: bool,
    fields.IntegerField: int,
    fields.FloatField: float,
    fields.DecimalField: Decimal,
    fields.DateTimeField: dt.datetime,
    fields.DateField: dt.date,
    fields.TimeField: dt.time,
    fields.DurationField: dt.timedelta,
    fields.UUIDField: uuid.UUID,
    fields.BinaryField: bytes,
    fields.GenericIPAddressField: str,
    fields.files.FileField: str,
    fields.CharField: str,
    fields.TextField: str,
    fields.json.JSONField: None,
}

#: Of these, a value of the own type may have to take another form: a moment another zone, an
#: address another spelling, a file its name.
_CONVERTED = frozenset(
    {fields.DateTimeField, fields.GenericIPAddressField, fields.files.FileField}
)

_CONVERSIONS = (
    *("from_db_value", "get_db_prep_save", "get_db_prep_value", "get_prep_value", "to_python"),
)
_WRITING = ("pre_save", "get_placeholder", "get_placeholder_sql")


def is_clock(field: Any) -> bool:
    """Whether saving an object overwrites the field with a time: Django's way or a package's."""
    if getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False):
        return True
    return isinstance(field, fields.DateField) and not _are_djangos(field, ("pre_save",))


def kind_of(field: Any) -> Kind | None:
    """The stock field that the field is or inherits from; None for any other."""
    return next((stock for stock in OWN_TYPES if isinstance(field, stock)), None)


def element_of(field: Any) -> Field[Any, Any] | None:
    """The field of an array's elements; None for any field but PostgreSQL's arrays."""
    # Who has such a field has imported it, with a driver that others need not have.
    arrays = sys.modules.get("django.contrib.postgres.fields.array")
    is_array = arrays is not None and isinstance(field, arrays.ArrayField)
    return field.base_field if is_array else None


def fitting_type_of(field: Any) -> type | None:
    """The type of which every value fits the field as it is; None where each is converted."""
    kind = kind_of(field)
    if kind is None or kind in _CONVERTED:
        return None
    is_own = field.to_python.__func__ is kind.to_python
    return OWN_TYPES[kind] if is_own else None


def written_type_of(field: Any) -> type | None:
    """The type whose values the field writes as they are; None where it has to be asked."""
    kind = kind_of(field)
    return OWN_TYPES[kind] if kind is not None and is_stock(field) else None


def is_converted_by_django(field: Any) -> bool:
    """Whether Django's own methods bring the field's values into the database and back."""
    return _are_djangos(field, _CONVERSIONS)


def is_foretold(field: Any) -> bool:
    """Whether the value that is written tells what the database gives back.

    Not of an array, whose elements nobody rounded, or of a range, whose bounds take one form; nor
    of what an object tells otherwise than it keeps it.
    """
    if not is_plain(field):
        return False
    field = target_field_of(field)
    return kind_of(field) is not None and is_converted_by_django(field)


def is_stock(field: Any) -> bool:
    """Whether Django's own methods alone decide what is written for the field."""
    return is_converted_by_django(field) and _are_djangos(field, _WRITING)


def is_plain(field: Any) -> bool:
    """Whether an object gives the field's value as it keeps it, without a word of its own.

    django-modeltranslation, say, gives that of another field, by the language.
    """
    attribute = getattr(field.model, field.attname, None)
    return type(attribute).__module__.startswith("django.db.models.")


def _are_djangos(field: Any, names: Iterable[str]) -> bool:
    return all(
        getattr(method, "__module__", "").startswith("django.db.models.")
        for name in names
        if (method := getattr(type(field), name, None)) is not None
    )


def is_json(field: Any) -> bool:
    return kind_of(field) is fields.json.JSONField and is_stock(field)


def copy_refusal(field: Any) -> str:
    """Why COPY cannot write the field, in one phrase; empty where it can."""
    field = target_field_of(field)
    if written_type_of(field) is None and not is_json(field):
        return f"{field.name} is a {type(field).__name__}, which has a form of its own"
    return ""
