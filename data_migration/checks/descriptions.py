"""``column_description``: each described column against the model and the class it names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from inspect import isclass
from typing import Any

from django.core.checks import CheckMessage
from django.db.models import Model

from ..fields.lookup import field_of
from ..fields.paths import AttributePath, are_unique
from ..spec.columns import Column, Relation
from ..spec.hooks import OwnHooks
from ..spec.migration import Migration
from ..utils.wording import suggest
from .attributes import is_computed, is_usable_model
from .faults import fault


def check_column_description(label: str, migration: type[Migration]) -> Iterator[CheckMessage]:
    """What the planning needs: a mapping of columns to ``is_a(...)``."""
    described: Any = migration.column_description
    if not isinstance(described, Mapping):
        yield fault("E020", label, value=described)
        return
    for column, meaning in described.items():
        if not isinstance(meaning, Column):
            yield fault("E021", label, column=column, value=meaning)


def check_columns(label: str, migration: type[Migration]) -> Iterator[CheckMessage]:
    """Whether each description fits the model's relation."""
    described: Any = migration.column_description
    model = getattr(migration, "model", None)
    if not isinstance(described, Mapping) or not is_usable_model(model):
        return
    for column, meaning in described.items():
        if isinstance(meaning, Column) and not meaning.exclude:
            yield from _check_column(label, migration, column, meaning)


def _check_column(
    label: str, migration: type[Migration], column: str, meaning: Column
) -> Iterator[CheckMessage]:
    model = migration.model
    field = field_of(model, column) if isinstance(column, str) else None
    if not getattr(field, "is_relation", False):
        yield fault(
            "E022",
            label,
            column=column,
            model=model._meta.label,
            suggestion=suggest(str(column), _relation_names(model)),
        )
    else:
        yield from _check_relation(label, migration, column, meaning, field)
    if meaning.klass is not None and meaning.search_attrs:
        yield from _check_search(label, column, meaning.klass, meaning.search_attrs)


def _check_relation(
    label: str, migration: type[Migration], column: str, meaning: Column, field: Any
) -> Iterator[CheckMessage]:
    """Whether the kind, the class and what becomes of a missing target fit the field."""
    about = {"column": column, "model": migration.model._meta.label}
    kind, fitting = meaning.relation, _fitting(field)
    words = {**about, "kind": kind, "better": fitting, "field": type(field).__name__}
    is_many = fitting is Relation.M2M
    if (kind is Relation.M2M) is not is_many:
        holds = "many objects" if is_many else "one object"
        yield fault("E023", label, holds=holds, **words)
    elif kind is not fitting:
        yield fault("W026", label, **words)

    related: Any = field.related_model
    klass = meaning.klass if isclass(related) else None  # a generic one refers to anything
    if klass is not None and not issubclass(klass, related._meta.concrete_model):
        yield fault(
            "E024",
            label,
            klass=klass._meta.label,
            related=related._meta.label,
            name=related.__name__,
            **about,
        )

    # A hook that sees the instance may fill the gap or skip the row.
    hooked = "hook_before_save" in OwnHooks(migration)
    must_have = getattr(field, "concrete", False) and not field.many_to_many and not field.null
    if meaning.skip_missing and must_have and not hooked:
        yield fault("W027", label, **about)


def _fitting(field: Any) -> Relation:
    if field.many_to_many or field.one_to_many:
        return Relation.M2M
    return Relation.O2O if field.one_to_one else Relation.FK


def _check_search(
    label: str, column: str, klass: type[Model], attrs: tuple[str, ...]
) -> Iterator[CheckMessage]:
    words = {"column": column, "klass": klass._meta.label}
    paths = [AttributePath.follow(klass, attr) for attr in attrs]
    for attr, path in zip(attrs, paths, strict=True):
        if path is None and is_computed(klass, attr):
            what = f"the search_attr of column {column!r}"
            yield fault("E038", label, what=what, value=attr, model=klass._meta.label)
        elif path is None:
            names = [field.name for field in klass._meta.concrete_fields]
            yield fault("E025", label, attr=attr, suggestion=suggest(attr, names), **words)
    known = [path for path in paths if path is not None]
    if len(known) == len(paths) and not are_unique(klass, known):
        yield fault("W028", label, attr=", ".join(attrs), **words)


def _relation_names(model: type[Model]) -> list[str]:
    forward = [field.name for field in model._meta.get_fields() if field.is_relation]
    backward = [relation.get_accessor_name() for relation in model._meta.related_objects]
    return sorted(
        name for name in {*forward, *filter(None, backward)} if field_of(model, name) is not None
    )
