"""Which fields can be written without asking each of them for each of its values."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

from django.db.models import Field, fields

#: Stock field -> the type that its values have in Python. The first that fits: a datetime field
#: is a date field as well.
OWN_TYPES: dict[type[Field[Any, Any]], type] = {
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
}

_CONVERSIONS = (
    *("from_db_value", "get_db_prep_save", "get_db_prep_value", "get_prep_value", "to_python"),
    *("pre_save", "get_placeholder", "get_placeholder_sql"),
)


def target_of(field: Any) -> Any:
    """The field itself, or at the end of foreign keys the one whose values they hold."""
    while field.remote_field is not None and hasattr(field, "target_field"):
        field = field.target_field
    return field


def is_stock(field: Any) -> bool:
    """Whether Django's own methods bring the field's values into the database and back."""
    return all(
        getattr(method, "__module__", "").startswith("django.db.models.")
        for name in _CONVERSIONS
        if (method := getattr(type(field), name, None)) is not None
    )


def own_type_of(field: Any) -> type | None:
    """The type whose values the field writes as they are; None where it has to be asked."""
    for stock, own in OWN_TYPES.items():
        if isinstance(field, stock):
            return own if is_stock(field) else None
    return None


def is_json(field: Any) -> bool:
    return isinstance(field, fields.json.JSONField) and is_stock(field)


def copy_refusal(field: Any) -> str:
    """Why COPY cannot write the field, in one phrase; empty where it can."""
    field = target_of(field)
    if own_type_of(field) is None and not is_json(field):
        return f"{field.name} is a {type(field).__name__}, which has a form of its own"
    return ""
