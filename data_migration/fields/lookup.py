"""The field that a name, or a path such as ``profile__code``, stands for in a model."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db.models import (
    Field,
    ForeignKey,
    ForeignObjectRel,
    Model,
)


def field_of(model: type[Model], name: str) -> Any:
    """The field, relation or settable property that ``name`` stands for, or None."""
    if name == "pk":
        return model._meta.pk
    for relation in model._meta.related_objects:
        if relation.get_accessor_name() == name:
            return relation
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        properties: Collection[str] = getattr(model._meta, "_property_names", ())
        return getattr(model, name) if name in properties else None
    return None if isinstance(field, ForeignObjectRel) else field


def field_at(klass: type[Model], attr: str) -> Field[Any, Any] | None:
    """The field that a search attribute ends at, None for one with a lookup after it."""
    field, lookup = field_and_lookup(klass, attr)
    return None if lookup else field


def field_and_lookup(klass: type[Model], attr: str) -> tuple[Field[Any, Any] | None, str]:
    """The field at the end of a lookup path, and the lookup (``iexact``) after it, if any."""
    model: Any = klass
    field: Any = None
    for position, part in enumerate(parts := attr.split("__")):
        try:
            field = model._meta.pk if part == "pk" else model._meta.get_field(part)
        except (FieldDoesNotExist, AttributeError):
            return _plain(field), "__".join(parts[position:])
        model = field.related_model
    return _plain(field), ""


def _plain(field: Any) -> Field[Any, Any] | None:
    while isinstance(field, ForeignKey):
        field = field.target_field
    return field if isinstance(field, Field) else None


def stored_values(instance: Any) -> dict[str, Any]:
    """The instance's column values by attribute name, loaded ones only."""
    return {
        field.attname: instance.__dict__[field.attname]
        for field in instance._meta.concrete_fields
        if field.attname in instance.__dict__
    }
