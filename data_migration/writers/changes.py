"""Which fields of an existing object differ from its row."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from functools import cache
from typing import Any

from django.db.models import DecimalField, Field

from ..fields.lookup import stored_values
from ..rows.drafts import Draft

_ROUNDINGS = (ROUND_HALF_UP, ROUND_HALF_EVEN)


def apply_to_existing(draft: Draft) -> None:
    """Put the draft's values on its existing object; the key of the object stays.

    In the order of the fields, as ``Model(...)`` does it: a field may look at one before it, as
    an amount of django-money does at its currency.
    """
    model: Any = type(draft.existing)
    own, places = _key_names(model), _places(model)
    for name in sorted(draft.values, key=lambda name: places.get(name, len(places))):
        if name not in own:
            setattr(draft.existing, name, draft.values[name])


@cache
def _key_names(model: Any) -> frozenset[str]:
    """The names under which a row may give the key, or a part of it."""
    fields = (model._meta.pk, *model._meta.pk_fields)
    return frozenset({"pk", *(name for field in fields for name in (field.name, field.attname))})


@cache
def _places(model: Any) -> dict[str, int]:
    """The place of each field by the names under which a row may give it."""
    fields = enumerate(model._meta.fields)
    return {name: place for place, field in fields for name in (field.name, field.attname)}


def changed_fields(instance: Any, before: dict[str, Any]) -> tuple[str, ...]:
    """The names of the fields whose value is no longer that of ``before``."""
    model: Any = type(instance)
    after, own = stored_values(instance), _key_names(model)
    return tuple(
        field.name
        for field in instance._meta.concrete_fields
        if not field.primary_key
        and field.attname not in own
        and field.attname in before
        and not _is_same(field, before[field.attname], after[field.attname])
    )


def named_values(instance: Any, values: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Of ``values`` by attribute name those of the fields in ``names``, by field name."""
    fields = {name: instance._meta.get_field(name) for name in names}
    return {name: values[field.attname] for name, field in fields.items()}


def _is_same(field: Field[Any, Any], before: Any, after: Any) -> bool:
    if isinstance(before, memoryview):
        before = bytes(before)  # psycopg2's, which equals no bytes as it is
    if before == after or _is_same_moment(before, after):
        return True
    if isinstance(field, DecimalField) and isinstance(after, Decimal) and before is not None:
        # What is stored was rounded, so the row is compared rounded: servers round halves up,
        # for SQLite Django rounds them to even.
        return before in [after.quantize(before, rounding=each) for each in _ROUNDINGS]
    return False


def _is_same_moment(before: Any, after: Any) -> bool:
    """In the hour that a zone goes through twice, Python finds moments of two zones unequal."""
    moments = [each for each in (before, after) if isinstance(each, dt.datetime) and each.tzinfo]
    if len(moments) < 2:
        return False
    return moments[0].astimezone(dt.UTC) == moments[1].astimezone(dt.UTC)
