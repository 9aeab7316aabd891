"""What the ``fields`` of a mapping come to: one value for each remote name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import ForeignKey, Model, OneToOneField

from ..exceptions import SpecError
from ..fields.lookup import field_of
from ..spec.columns import Column, Relation
from ..utils.wording import suggest
from .mapping import Mapping
from .words import PULL, PUSH, SYNC, Const, From, Nested, Related


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteField:
    """One remote name of a mapping and what it is here.

    ``name`` is that of the model's field, empty for what is no field: a literal (``const``), what
    ``make`` makes of the object, a ``nested`` list. ``pull`` and ``push`` are the conversions,
    ``related`` is set for a relation by the links of another mapping.
    """

    remote: str
    name: str = ""
    pulls: bool
    pushes: bool
    pull: Callable[[Any], Any] | None = None
    push: Callable[[Any], Any] | None = None
    related: Related | None = None
    const: Const | None = None
    make: Callable[[Any], Any] | None = None
    nested: Nested | None = None

    @property
    def path(self) -> tuple[str, ...]:
        """Where the value stands in a row: ``address.city`` is a property of an object in it."""
        return tuple(self.remote.split("."))


def fields_of(mapping: type[Mapping]) -> tuple[RemoteField, ...]:
    """The fields in the order of the mapping.

    Raises :exc:`SpecError` for what is no field of the model, and what no mapping can hold.
    """
    return tuple(_resolved(mapping))


def _resolved(mapping: type[Mapping]) -> Iterator[RemoteField]:
    for remote, meant in mapping.fields.items():
        yield field_for(mapping, remote, meant)


def field_for(mapping: type[Mapping], remote: str, meant: Any) -> RemoteField:
    """What one remote name of a mapping is ``meant`` to be. Raises :exc:`SpecError`."""
    pulls, pushes = mapping.direction in (PULL, SYNC), mapping.direction in (PUSH, SYNC)
    where = f"{mapping.__name__}.fields[{remote!r}]"
    match meant:
        case str():
            _require(mapping.model, meant, where)
            return RemoteField(remote=remote, name=meant, pulls=pulls, pushes=pushes)
        case From(name, pull, push, direction):
            _require(mapping.model, name, where)
            return RemoteField(
                remote=remote,
                name=name,
                pulls=pulls and direction in (PULL, SYNC),
                pushes=pushes and direction in (PUSH, SYNC),
                pull=pull,
                push=push,
            )
        case Const():
            return RemoteField(remote=remote, pulls=False, pushes=pushes, const=meant)
        case Nested():
            return RemoteField(remote=remote, pulls=pulls, pushes=pushes, nested=meant)
        case Related():
            name = _relation_of(mapping.model, remote, meant, where)
            return RemoteField(remote=remote, name=name, pulls=pulls, pushes=pushes, related=meant)
        case _ if callable(meant) and not isinstance(meant, type):
            return RemoteField(remote=remote, pulls=False, pushes=pushes, make=meant)
    raise SpecError(
        f"{where} is {meant!r}, which is nothing that a mapping knows. Write the name of a field"
        f" of {mapping.model._meta.label}, From(...), Const(...), a function that gets the object,"
        " is_a(...) or Nested(...)."
    )


def relation_column(mapping: type[Mapping], field: RemoteField) -> Column:
    """A relation as an import knows it, of the kind that the model's field has."""
    own = field_of(mapping.model, field.name)
    kinds = ((OneToOneField, Relation.O2O), (ForeignKey, Relation.FK))
    kind = next((kind for cls, kind in kinds if isinstance(own, cls)), Relation.M2M)
    assert field.related is not None
    return Column(
        klass=field.related.klass,
        relation=kind,
        legacy=True,
        skip_missing=field.related.skip_missing,
        deferred=field.related.deferred,
    )


def _require(model: type[Model], name: str, where: str) -> None:
    if field_of(model, name) is None:
        raise SpecError(
            f"{where} is {name!r}, which is no field of {model._meta.label}."
            f"{suggest(name, [field.name for field in model._meta.get_fields()])}"
        )


def _relation_of(model: type[Model], remote: str, related: Related, where: str) -> str:
    """The relation that ``is_a`` means: the one it names, the one called like the remote name, or
    the only one to its class.
    """
    assert related.klass is not None
    klass = related.klass._meta.concrete_model
    relations = [
        field
        for field in (*model._meta.concrete_fields, *model._meta.many_to_many)
        if field.related_model is not None
        and getattr(field.related_model, "_meta", model._meta).concrete_model is klass
    ]
    wanted = related.field or remote
    named = [each for each in relations if wanted in (each.name, getattr(each, "attname", ""))]
    found = named or ([] if related.field else relations)
    if len(found) == 1:
        return str(found[0].name)
    names = ", ".join(field.name for field in relations) or "none"
    raise SpecError(
        f"{where}: which field of {model._meta.label} is the {related.klass.__name__}? Its"
        f" relations to that model are: {names}. Name it: is_a({related.klass.__name__},"
        f' field="{relations[0].name if relations else "..."}").'
    )
