"""The field that a name stands for in a model, and the values of an object's fields."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db.models import ForeignKey, ForeignObjectRel, ManyToManyField, Model, QuerySet


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


def target_field_of(field: Any) -> Any:
    """The field itself; of a foreign key the one, at the end of all, whose values it holds."""
    while isinstance(field, ForeignKey):
        field = field.target_field
    return field


def has_column(field: Any) -> bool:
    """Whether the field is stored in its model's table; some that are not say they were."""
    return bool(field.concrete) and not (field.many_to_many or field.one_to_many)


def takes_objects(field: Any) -> bool:
    """Whether an object may be assigned to a relation that is kept in the columns of others.

    A generic foreign key is one.
    """
    return (
        field.is_relation
        and not (field.many_to_many or field.one_to_many)
        and hasattr(type(getattr(field.model, field.name, None)), "__set__")
    )


def has_djangos_joins(field: Any) -> bool:
    """Whether it is one side of a ``ManyToManyField``; packages have relations of their own."""
    return isinstance(getattr(field, "field", field), ManyToManyField)


def takes_keys(model: type[Model], name: str) -> bool:
    """Whether the manager ``name`` of an object takes keys of its targets, not objects alone."""
    return has_djangos_joins(field_of(model, name))


def table_of(model: type[Model], database: str) -> QuerySet[Any]:
    """The rows of the model's table, to be written as they are.

    Past the managers that others put in front: django-modeltranslation's writes other columns
    than it is told.
    """
    return QuerySet(model, using=database)


def keys_without_row(field: Any, keys: Collection[Any], *, database: str) -> set[Any]:
    """Those of the values of a foreign key that lead nowhere."""
    target = field.target_field
    rows = target.model._base_manager.using(database).filter(**{f"{target.attname}__in": keys})
    return set(keys).difference(rows.values_list(target.attname, flat=True))


def stored_values(instance: Any) -> dict[str, Any]:
    """The instance's column values by attribute name, loaded ones only."""
    return {
        field.attname: instance.__dict__[field.attname]
        for field in instance._meta.concrete_fields
        if field.attname in instance.__dict__
    }
