"""``auto_now`` and ``auto_now_add`` fields keep the value that the query gave.

Django overwrites such a field in ``pre_save``. A legacy object was not created today, so a value
that is there already wins; only an empty one is filled in.
"""

from __future__ import annotations

import copy
from typing import Any

from django.db.models import Field, Model, QuerySet

from ..fields.stock import is_clock


def auto_fields(model: type[Model]) -> list[Field[Any, Any]]:
    """The fields of ``model`` that Django would overwrite with the current time."""
    return list(filter(is_clock, model._meta.concrete_fields))


def keeping_queryset(model: type[Model], database: str) -> QuerySet[Any]:
    """A queryset of ``model`` whose ``bulk_create`` keeps given times."""
    fields = auto_fields(model)
    if not fields:
        return model._base_manager.using(database)
    queryset = _KeepingQuerySet(model, using=database)
    queryset.kept = {field.attname: _keeping(field) for field in fields}
    return queryset


class _KeepingQuerySet(QuerySet[Any]):
    kept: dict[str, Field[Any, Any]]

    def _insert(self, objs: Any, fields: Any, **options: Any) -> Any:
        fields = [self.kept.get(field.attname, field) for field in fields]
        return super()._insert(objs, fields=fields, **options)  # type: ignore[misc]


def _keeping(field: Field[Any, Any]) -> Field[Any, Any]:
    # A copy: the model's own field is shared with every other thread of the process.
    kept = copy.copy(field)

    def pre_save(instance: Model, add: bool) -> Any:
        value = getattr(instance, field.attname)
        return field.pre_save(instance, add) if value is None else value

    kept.pre_save = pre_save  # type: ignore[method-assign,assignment]
    return kept
