"""Objects that go together: deleted as people would delete them, dependants first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from django.db import connections
from django.db.models import Field, Model
from django.db.models.deletion import Collector

from ..fields.lookup import table_of
from ..utils.chunks import query_chunks
from .references import Group


def delete(group: Group, *, database: str, uncovered: Group = MappingProxyType({})) -> None:
    """Delete the objects as ``QuerySet.delete()`` does it, dependants first.

    Of ``uncovered`` objects the rows in their parents' tables stay.

    Signals are sent. Where objects refer to each other in a circle, their nullable relations are
    emptied first. Sequences are left alone. Needs a transaction around it. Raises Django's
    :exc:`~django.db.models.ProtectedError` and :exc:`~django.db.models.RestrictedError`.
    """
    models, in_the_way = _in_order([model for model, pks in group.items() if pks])
    for model, field in in_the_way:
        _empty(model, [field], group[model], database)
    for model in models:
        *levels, circle = _levels(model, set(group[model]), database)
        staying = set(uncovered.get(model, ()))
        for pks in levels:
            _delete(model, pks - staying, database)
            _delete(model, pks & staying, database, keep_parents=True)
        if circle:
            _empty(model, _relations_to_itself(model), circle, database)
            with connections[database].constraint_checks_disabled():  # where none may be NULL
                _delete(model, circle, database)


def _delete(
    model: type[Model], pks: Iterable[Any], database: str, *, keep_parents: bool = False
) -> None:
    for chunk in query_chunks(pks, database):
        rows = model._base_manager.using(database)
        if keep_parents:  # which QuerySet.delete() cannot be told
            objects = rows.filter(pk__in=chunk)
            collector = Collector(using=database, origin=objects)
            collector.collect(objects, keep_parents=True)
            collector.delete()
        else:
            rows.filter(pk__in=chunk).delete()


def _in_order(models: Iterable[type[Model]]) -> tuple[list[type[Model]], list[tuple[Any, Any]]]:
    """The models, each after those that refer to it, and the relations that prevent that."""
    ordered = sorted(models, key=lambda model: model._meta.label)
    after: dict[type[Model], set[type[Model]]] = {model: set() for model in ordered}
    in_the_way = []
    relations = [
        (field, model, target)
        for model in ordered
        for field in _relations_of(model)
        for target in ordered
        if target is not model and issubclass(target, field.related_model)  # type: ignore[arg-type]
    ]
    for field, model, target in sorted(relations, key=lambda each: each[0].null):
        if not _comes_after(after, model, target):
            after[target].add(model)
        elif field.null:
            in_the_way.append((model, field))
    done: list[type[Model]] = []
    while len(done) < len(ordered):
        done.append(next(m for m in ordered if m not in done and after[m] <= {*done}))
    return done, in_the_way


def _relations_of(model: type[Model]) -> list[Field[Any, Any]]:
    """The columns that refer to other objects."""
    return [
        field
        for field in model._meta.concrete_fields
        if field.remote_field is not None and not getattr(field.remote_field, "parent_link", False)
    ]


def _comes_after(after: Mapping[Any, set[Any]], model: Any, other: Any) -> bool:
    """Whether ``model`` has to wait for ``other`` by what is known so far."""
    return model is other or any(_comes_after(after, each, other) for each in after[model])


def _empty(model: type[Model], fields: Iterable[Any], pks: Iterable[Any], database: str) -> None:
    rows = table_of(model, database)
    nothing = {field.name: None for field in fields if field.null}
    for chunk in query_chunks(pks, database) if nothing else ():
        rows.filter(pk__in=chunk).update(**nothing)


def _relations_to_itself(model: type[Model]) -> list[Any]:
    return [f for f in _relations_of(model) if issubclass(model, f.related_model)]  # type: ignore[arg-type]


def _levels(model: type[Model], pks: set[Any], database: str) -> list[set[Any]]:
    """The keys of a tree, those that no other one refers to first; at the end the circles."""
    names = [f"{field.name}__pk" for field in _relations_to_itself(model)]
    # The objects of ``pks`` that each of them refers to.
    parents: dict[Any, set[Any]] = {}
    for chunk in query_chunks(pks, database) if names else ():
        rows = model._base_manager.using(database).filter(pk__in=chunk)
        for pk, *others in rows.values_list("pk", *names):
            if each := {other for other in others if other in pks}:
                parents[pk] = each
    referred = Counter(parent for each in parents.values() for parent in each)
    level = pks - referred.keys()
    levels = []
    while level:
        levels.append(level)
        pks = pks - level
        freed = [parent for pk in level for parent in parents.get(pk, ())]
        referred.subtract(freed)
        level = {parent for parent in freed if not referred[parent]}
    return [*levels, pks]
