"""Attribute paths such as ``id``, ``profile__code`` or ``name__iexact``."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db.models import Field, Model, UniqueConstraint

from .lookup import target_field_of


@dataclass(frozen=True, slots=True)
class AttributePath:
    """The fields that a path walks through, and the ``lookup`` (``iexact``) at its end, if any."""

    fields: tuple[Any, ...]
    lookup: str = ""

    @classmethod
    def follow(cls, model: type[Model], attr: str) -> AttributePath | None:
        """Return the path, or None if ``model`` has no such one."""
        fields: list[Any] = []
        target: Any = model
        parts = attr.split("__")
        for position, part in enumerate(parts):
            field = _field(target, part)
            if field is None:
                is_lookup = bool(fields) and _looks_up(fields[-1], part)
                return cls(tuple(fields), "__".join(parts[position:])) if is_lookup else None
            fields.append(field)
            target = field.related_model
        return cls(tuple(fields))

    @property
    def field(self) -> Field[Any, Any] | None:
        """The field whose values are compared; None for the other side of a relation."""
        field = target_field_of(self.fields[-1])
        return field if isinstance(field, Field) else None

    @property
    def is_unique(self) -> bool:
        """Whether one value leads to one object at most."""
        return all(_is_unique(field) for field in self.fields)


def are_unique(model: type[Model], paths: Collection[AttributePath]) -> bool:
    """Whether the values of all ``paths`` together lead to one object of ``model`` at most."""
    if any(path.is_unique for path in paths):
        return True
    # A path such as state__code is as good as the state where that code is unique.
    told = {path.fields[0].name for path in paths if AttributePath(path.fields[1:]).is_unique}
    groups = [set(names) for names in model._meta.unique_together]
    groups += [
        set(constraint.fields)
        for constraint in model._meta.constraints
        if isinstance(constraint, UniqueConstraint) and constraint.condition is None
    ]
    return any(group and group <= told for group in groups)


def _field(model: type[Model] | None, name: str) -> Any:
    try:
        if model is None:
            return None
        return model._meta.pk if name == "pk" else model._meta.get_field(name)
    except FieldDoesNotExist:
        return None


def _looks_up(field: Any, name: str) -> bool:
    """Whether ``name`` is a lookup (``iexact``) or a transform (``year``) of the field."""
    field = getattr(field, "target_field", field)
    return bool(field.get_lookup(name) or field.get_transform(name))


def _is_unique(field: Any) -> bool:
    if field.many_to_many:
        return False
    if field.one_to_one or field.one_to_many or field.unique:
        return True
    options = field.model._meta
    alone = {(field.name,), (field.attname,)}
    return any(tuple(names) in alone for names in options.unique_together) or any(
        # An expression such as Lower("name") cannot be compared with a field: trust it.
        constraint.expressions or (constraint.fields in alone and constraint.condition is None)
        for constraint in options.constraints
        if isinstance(constraint, UniqueConstraint)
    )
