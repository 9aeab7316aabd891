"""The keys under which rows of one query find the objects of each other, once those are stored."""

from __future__ import annotations

from typing import Any

from django.db.models import ForeignKey, Model

from ..fields.paths import AttributePath
from ..rows.drafts import Draft
from ..spec.columns import Column


def own_attrs(description: Column) -> list[tuple[str, str]]:
    """(name of the attribute of an instance, the other name that values may have for it).

    None at all where one of them is an attribute of another object or has a lookup.
    """
    assert description.klass is not None
    names = []
    for attr in description.search_attrs:
        path = AttributePath.follow(description.klass, attr)
        if path is None or path.field is None or "__" in attr:
            return []
        (field,) = path.fields
        is_reference = isinstance(field, ForeignKey) and not field.primary_key
        names.append((field.attname if is_reference else path.field.attname, attr))
    return names


def own_value(draft: Draft, attname: str, attr: str) -> Any:
    instance = draft.object
    if instance is not None:
        return getattr(instance, attname)
    value = draft.values.get(attname, draft.values.get(attr))
    return value.pk if isinstance(value, Model) else value
