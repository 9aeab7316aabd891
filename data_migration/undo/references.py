"""Who refers to objects that are to go together.

A *group* are the primary keys of the objects by their (concrete) model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from django.apps import apps
from django.db import connections
from django.db.models import ForeignObjectRel, Model

from ..fields.lookup import has_djangos_joins
from ..utils.chunks import query_chunks

Group = Mapping[type[Model], Collection[Any]]
#: A join model and the name of its foreign key to the objects whose rows they are.
JoinEnd = tuple[type[Model], str]
#: The fields of objects, by model and primary key, that will not be as they are now.
PutBack = Mapping[type[Model], Mapping[Any, Collection[str]]]


class Reference(NamedTuple):
    """``by_model`` ``by_pk`` refers with ``name`` to an object of the group."""

    model: type[Model]
    pk: Any
    by_model: type[Model]
    by_pk: Any
    name: str

    def __str__(self) -> str:
        return self.told()

    def told(self, owners: Iterable[str] = ()) -> str:
        """The sentence; ``owners`` are the migrations of the object that refers."""
        of = f" of {', '.join(each)}" if (each := list(owners)) else ""
        return f"{self.by_model._meta.label} {self.by_pk}{of} refers to it ({self.name})"


def references(
    group: Group,
    *,
    database: str,
    own: Collection[JoinEnd] = (),
    put_back: PutBack = MappingProxyType({}),
    uncovered: Group = MappingProxyType({}),
) -> Iterator[Reference]:
    """What outside of the group refers to its objects.

    The rows of an object's own many-to-manys go with it, and those of ``own``, which a migration
    wrote from the other side. What is ``put_back`` refers to nothing any more. Of ``uncovered``
    objects the parents' rows stay. A table that the database does not have is left alone.
    """
    members = _with_parents(group, uncovered, database)
    tables = set(connections[database].introspection.table_names())
    along = _going_along(members, tables, database)
    for model in sorted(members, key=lambda model: model._meta.label):
        own_ends = {*own, *_own_ends(model)}
        for source in _sources(model, own, database):
            if source.model._meta.db_table not in tables or source.end in own_ends:
                continue
            inside = {*members.get(source.by_model, ())}
            if not source.is_generic:
                inside |= along.get(source.by_model, set())
            changing = put_back.get(source.by_model, {})
            for chunk in query_chunks(members[model], database):
                for by_pk, pk in source.rows(chunk):
                    if by_pk not in inside and source.name not in changing.get(by_pk, ()):
                        yield Reference(model, pk, source.by_model, by_pk, source.name)


def _going_along(members: Group, tables: set[str], database: str) -> dict[Any, set[Any]]:
    """The keys of what goes with the objects by a generic relation, by model.

    Whether it may go is asked of the objects, not of whatever else it refers to.
    """
    along: dict[Any, set[Any]] = defaultdict(set)
    for model, pks in members.items():
        for source in _generics(model, database):
            is_there = source.model._meta.db_table in tables
            for chunk in query_chunks(pks, database) if is_there else ():
                along[source.model].update(by_pk for by_pk, _ in source.rows(chunk))
    return along


def _with_parents(group: Group, uncovered: Group, database: str) -> dict[type[Model], set[Any]]:
    """The group with the rows that its objects have in the tables of their parents."""
    members: dict[type[Model], set[Any]] = {}
    for model, pks in group.items():
        members.setdefault(model, set()).update(pks)
        pks = set(pks).difference(uncovered.get(model, ()))
        for parent in model._meta.all_parents:
            link = model._meta.get_ancestor_link(parent)
            parents = members.setdefault(parent, set())
            if link is not None and link.primary_key:
                parents.update(pks)
                continue
            rows = model._base_manager.using(database)
            path = "__".join(_path_to(model, parent))
            for chunk in query_chunks(pks, database):
                parents.update(rows.filter(pk__in=chunk).values_list(path, flat=True))
    return members


def _path_to(model: type[Model], parent: type[Model]) -> Iterator[str]:
    while model is not parent:
        link = model._meta.get_ancestor_link(parent)
        assert link is not None, "every parent is reached by links"
        yield link.name
        model = link.related_model
    yield "pk"


def _own_ends(model: type[Model]) -> Iterator[JoinEnd]:
    for field in model._meta.local_many_to_many:
        through: Any = field.remote_field.through
        if through._meta.auto_created:
            yield through, field.m2m_field_name()
            if field.remote_field.symmetrical:
                yield through, field.m2m_reverse_field_name()


def join_end(model: type[Model], name: str) -> JoinEnd | None:
    """The join rows that an object of ``model`` has through the accessor ``name``."""
    field: Any
    for field in model._meta.many_to_many:
        if field.name == name:
            return field.remote_field.through, _own_end(field)
    for relation in model._meta.related_objects:
        if has_djangos_joins(relation) and relation.get_accessor_name() == name:
            field = relation.field
            return field.remote_field.through, field.m2m_reverse_field_name()
    return None


def _own_end(relation: Any) -> str:
    """The field of the join model that refers to the object whose many-to-many it is."""
    if has_djangos_joins(relation):
        return str(relation.m2m_field_name())
    # One of django-taggit: a foreign key, or the number of a generic one.
    model, through = relation.model, relation.remote_field.through
    for field in model._meta.private_fields:
        if field.related_model is through and hasattr(field, "object_id_field_name"):
            return str(field.object_id_field_name)
    return next((f.name for f in through._meta.fields if f.related_model is model), "")


class _Source(NamedTuple):
    """Rows of ``model`` refer to the objects; they speak for objects of ``by_model``."""

    model: type[Model]
    end: JoinEnd
    by_model: type[Model]
    name: str
    #: Keys of the objects -> (key of the one that refers, key of the object).
    rows: Callable[[list[Any]], Iterable[tuple[Any, Any]]]
    is_generic: bool = False


def _sources(model: type[Model], own: Collection[JoinEnd], database: str) -> Iterator[_Source]:
    for relation in model._meta.get_fields(include_parents=False, include_hidden=True):
        if isinstance(relation, ForeignObjectRel) and not relation.many_to_many:
            yield _foreign_key(relation.field, own, database)
    yield from _generics(model, database)


def _generics(model: type[Model], database: str) -> Iterator[_Source]:
    if apps.is_installed("django.contrib.contenttypes"):
        for field in model._meta.private_fields:
            if hasattr(field, "bulk_related_objects"):
                yield _generic(model, field, database)


def _foreign_key(field: Any, own: Collection[JoinEnd], database: str) -> _Source:
    source, by_model, by, name = field.model, field.model, "pk", field.name
    if (joined := _other_end(field)) is not None:
        other, accessor = joined
        # A join row has no name of its own: what people know is the object that it belongs to.
        # One of a project's own join model has a name, unless a migration wrote it.
        if source._meta.auto_created or (source, other) in own:
            by_model = source._meta.get_field(other).related_model._meta.concrete_model
            by, name = f"{other}__pk", accessor

    def rows(pks: list[Any]) -> Iterable[tuple[Any, Any]]:
        found = source._base_manager.using(database).filter(**{f"{field.name}__pk__in": pks})
        pairs: Iterable[tuple[Any, Any]] = found.values_list(by, f"{field.name}__pk").iterator()
        return pairs

    return _Source(source, (source, field.name), by_model, name, rows)


def _other_end(field: Any) -> tuple[str, str] | None:
    """Of one end of a join model: the other end, and how the object there reaches this one.

    None for the foreign keys of any other model.
    """
    through = field.model
    ends: set[Any] = {each.related_model for each in through._meta.fields if each.is_relation}
    m2ms = (m2m for end in ends if end for m2m in end._meta.local_many_to_many)
    m2m = next((m2m for m2m in m2ms if m2m.remote_field.through is through), None)
    if m2m is None:
        return None
    this, that = _own_end(m2m), m2m.m2m_reverse_field_name()
    if field.name == that:
        return this, m2m.name
    accessor: Any = m2m.remote_field.get_accessor_name()
    return (that, accessor or m2m.name) if field.name == this else None


def _generic(model: type[Model], relation: Any, database: str) -> _Source:
    source = relation.related_model
    types: Any = apps.get_model("contenttypes", "ContentType")._default_manager
    kind = types.db_manager(database).get_for_model(
        model, for_concrete_model=relation.for_concrete_model
    )
    by_type, by_id = relation.content_type_field_name, relation.object_id_field_name

    def rows(pks: list[Any]) -> Iterable[tuple[Any, Any]]:
        known = {str(pk): pk for pk in pks}
        found = source._base_manager.using(database).filter(
            **{by_type: kind.pk, f"{by_id}__in": pks}
        )
        for by_pk, pk in found.values_list("pk", by_id).iterator():
            yield by_pk, known[str(pk)]

    return _Source(
        source, (source, by_id), source._meta.concrete_model, by_id, rows, is_generic=True
    )
