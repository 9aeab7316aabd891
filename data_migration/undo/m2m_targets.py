"""What objects refer to through their many-to-manys."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django.db.models import ManyToManyField, Model

from ..fields.lookup import field_of, has_djangos_joins
from ..tables.joins import JoinTable, join_table


def targets_of(
    instances: Collection[Any], name: str, *, database: str
) -> Mapping[Any, Collection[Any]]:
    """The many-to-many targets of each instance, by its primary key."""
    if not instances:
        return {}
    model = type(next(iter(instances)))
    table = join_table(model, name, database=database) or _own_rows(model, name, database)
    if table is None:
        return {
            each.pk: set(getattr(each, name).values_list("pk", flat=True)) for each in instances
        }
    stored = table.stored([getattr(each, table.source_attr) for each in instances])
    return {each.pk: stored.get(getattr(each, table.source_attr), set()) for each in instances}


def _own_rows(model: type[Model], name: str, database: str) -> JoinTable | None:
    """The join rows of a symmetrical relation as one object sees them."""
    field = field_of(model, name)
    if not isinstance(field, ManyToManyField):
        return None
    through: Any = field.remote_field.through
    ends = (field.m2m_field_name(), field.m2m_reverse_field_name())
    return JoinTable(through, *map(through._meta.get_field, ends), database=database)


def all_targets(
    instances: Collection[Any], *, database: str
) -> dict[Any, dict[str, Collection[Any]]]:
    """What :meth:`~data_migration.ledger.images.Images.keep_deleted` keeps of many-to-manys."""
    found: dict[Any, dict[str, Collection[Any]]] = {each.pk: {} for each in instances}
    if not instances:
        return found
    model = type(next(iter(instances)))
    # The names by which an object reaches its many-to-manys, from both sides.
    names = [field.name for field in model._meta.many_to_many]
    for relation in model._meta.related_objects:
        if has_djangos_joins(relation) and (name := relation.get_accessor_name()):
            names.append(name)
    for name in names:
        for pk, targets in targets_of(instances, name, database=database).items():
            if targets:
                found[pk][name] = targets
    return found
