"""The keys under which rows of one query find the objects of each other, once those are stored."""

from __future__ import annotations

from typing import Any

from django.db.models import ForeignKey, Model

from ..fields.paths import AttributePath
from ..rows.drafts import Draft
from ..spec.columns import Column


def own_attrs(description: Column) -> list[tuple[str, str]]:
    """(name of the attribute of an instance, the other name that values may have for it)."""
    assert description.klass is not None
    names = [(_own_name(description.klass, attr), attr) for attr in description.search_attrs]
    return names if all(name for name, _ in names) else []


def _own_name(klass: type[Model], attr: str) -> str:
    """The attribute itself, empty for one of another object or with a lookup."""
    path = AttributePath.follow(klass, attr)
    if path is None or path.field is None or "__" in attr:
        return ""
    (field,) = path.fields
    is_reference = isinstance(field, ForeignKey) and not field.primary_key
    return field.attname if is_reference else path.field.attname


def own_value(draft: Draft, attname: str, attr: str) -> Any:
    instance = draft.instance or draft.existing
    if instance is not None:
        return getattr(instance, attname)
    value = draft.values.get(attname, draft.values.get(attr))
    return value.pk if isinstance(value, Model) else value
