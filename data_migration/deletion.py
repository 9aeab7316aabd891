"""Objects that are to go together: who else refers to them, and how they are deleted.

A *group* are the primary keys of the objects by their (concrete) model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from django.apps import apps
from django.db import connections
from django.db.models import Field, ForeignObjectRel, ManyToManyField, Model

Group = Mapping[type[Model], Collection[Any]]
#: A join model and the name of its foreign key to the objects whose rows they are.
JoinEnd = tuple[type[Model], str]
#: Whether a reference from (model, primary key, field) may be passed over.
Spares = Callable[[type[Model], Any, str], bool]

_CHUNK = 1000


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


def chunks(pks: Iterable[Any], database: str) -> Iterator[list[Any]]:
    """The keys in order, in lists that fit into one query."""
    size = min(connections[database].features.max_query_params or _CHUNK, _CHUNK)
    ordered = sorted(pks)
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]


def references(
    group: Group,
    *,
    database: str,
    own: Collection[JoinEnd] = (),
    spares: Spares = lambda model, pk, name: False,
) -> Iterator[Reference]:
    """What outside of the group refers to its objects.

    The rows of an object's own many-to-manys go with it, and those of ``own``, which a migration
    wrote from the other side. A table that the database does not have is left alone.
    """
    members = _with_parents(group, database)
    tables = set(connections[database].introspection.table_names())
    for model in sorted(members, key=_label):
        own_ends = {*own, *_own_ends(model)}
        for source in _sources(model, database):
            if source.model._meta.db_table not in tables or source.end in own_ends:
                continue
            for chunk in chunks(members[model], database):
                for by_pk, pk in source.rows(chunk):
                    inside = by_pk in members.get(source.by_model, ())
                    if not inside and not spares(source.by_model, by_pk, source.name):
                        yield Reference(model, pk, source.by_model, by_pk, source.name)


def _label(model: type[Model]) -> str:
    return model._meta.label


def _with_parents(group: Group, database: str) -> dict[type[Model], set[Any]]:
    """The group with the rows that its objects have in the tables of their parents."""
    members: dict[type[Model], set[Any]] = {}
    for model, pks in group.items():
        members.setdefault(model, set()).update(pks)
        for parent in model._meta.all_parents:
            link = model._meta.get_ancestor_link(parent)
            parents = members.setdefault(parent, set())
            if link is not None and link.primary_key:
                parents.update(pks)
                continue
            rows = model._base_manager.using(database)
            path = "__".join(_path_to(model, parent))
            for chunk in chunks(pks, database):
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
    for field in model._meta.many_to_many:
        if field.name == name:
            return _end(field, field.m2m_field_name())
    for relation in model._meta.related_objects:
        if relation.many_to_many and relation.get_accessor_name() == name:
            reverse: Any = relation.field
            return _end(reverse, reverse.m2m_reverse_field_name())
    return None


def _end(field: Any, name: str) -> JoinEnd:
    return field.remote_field.through, name


class _Source(NamedTuple):
    """Rows of ``model`` refer to the objects; they speak for objects of ``by_model``."""

    model: type[Model]
    end: JoinEnd | None
    by_model: type[Model]
    name: str
    #: Keys of the objects -> (key of the one that refers, key of the object).
    rows: Callable[[list[Any]], Iterable[tuple[Any, Any]]]


def _sources(model: type[Model], database: str) -> Iterator[_Source]:
    for relation in model._meta.get_fields(include_parents=False, include_hidden=True):
        if isinstance(relation, ForeignObjectRel) and not relation.many_to_many:
            yield _foreign_key(relation.field, database)
    if apps.is_installed("django.contrib.contenttypes"):
        for field in model._meta.private_fields:
            if hasattr(field, "bulk_related_objects"):
                yield _generic(model, field, database)


def _foreign_key(field: Any, database: str) -> _Source:
    source, by_model, by, name = field.model, field.model, "pk", field.name
    m2m = _m2m_of(source)
    if m2m is not None:
        # A join row has no name of its own: what people know is the object that it belongs to.
        is_reverse = field.name == m2m.m2m_reverse_field_name()
        other = m2m.m2m_field_name() if is_reverse else m2m.m2m_reverse_field_name()
        by_model = source._meta.get_field(other).related_model._meta.concrete_model
        by, name = f"{other}__pk", m2m.name if is_reverse else m2m.related_query_name()

    def rows(pks: list[Any]) -> Iterable[tuple[Any, Any]]:
        found = source._base_manager.using(database).filter(**{f"{field.name}__pk__in": pks})
        pairs: Iterable[tuple[Any, Any]] = found.values_list(by, f"{field.name}__pk").iterator()
        return pairs

    return _Source(source, (source, field.name), by_model, name, rows)


def _m2m_of(through: type[Model]) -> ManyToManyField[Any, Any] | None:
    """The many-to-many that an automatic join model belongs to."""
    owner: Any = through._meta.auto_created
    fields = owner._meta.local_many_to_many if owner else ()
    return next((field for field in fields if field.remote_field.through is through), None)


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

    return _Source(source, None, source._meta.concrete_model, by_id, rows)


def delete(group: Group, *, database: str) -> None:
    """Delete the objects as ``QuerySet.delete()`` does it, dependants first.

    Signals are sent. Where objects refer to each other in a circle, their nullable relations are
    emptied first. Sequences are left alone. Needs a transaction around it. Raises Django's
    :exc:`~django.db.models.ProtectedError` and :exc:`~django.db.models.RestrictedError`.
    """
    models, in_the_way = _in_order([model for model, pks in group.items() if pks])
    for model, field in in_the_way:
        _empty(model, [field], group[model], database)
    for model in models:
        *levels, circle = _levels(model, set(group[model]), database)
        for pks in levels:
            _delete(model, pks, database)
        if circle:
            _empty(model, _relations_to_itself(model), circle, database)
            with connections[database].constraint_checks_disabled():  # where none may be NULL
                _delete(model, circle, database)


def _delete(model: type[Model], pks: Iterable[Any], database: str) -> None:
    for chunk in chunks(pks, database):
        model._base_manager.using(database).filter(pk__in=chunk).delete()


def _in_order(models: Iterable[type[Model]]) -> tuple[list[type[Model]], list[tuple[Any, Any]]]:
    """The models, each after those that refer to it, and the relations that prevent that."""
    ordered = sorted(models, key=_label)
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
    rows = model._base_manager.using(database)
    nothing = {field.name: None for field in fields if field.null}
    for chunk in chunks(pks, database) if nothing else ():
        rows.filter(pk__in=chunk).update(**nothing)


def _relations_to_itself(model: type[Model]) -> list[Any]:
    return [f for f in _relations_of(model) if issubclass(model, f.related_model)]  # type: ignore[arg-type]


def _levels(model: type[Model], pks: set[Any], database: str) -> list[set[Any]]:
    """The keys of a tree, those that no other one refers to first; at the end the circles."""
    fields = _relations_to_itself(model)
    parents = _parents(model, fields, pks, database) if fields else {}
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


def _parents(
    model: type[Model], fields: list[Any], pks: set[Any], database: str
) -> dict[Any, set[Any]]:
    """The objects of ``pks`` that each of them refers to."""
    found: dict[Any, set[Any]] = {}
    names = [f"{field.name}__pk" for field in fields]
    for chunk in chunks(pks, database):
        rows = model._base_manager.using(database).filter(pk__in=chunk)
        for pk, *parents in rows.values_list("pk", *names):
            if each := {parent for parent in parents if parent in pks}:
                found[pk] = each
    return found
