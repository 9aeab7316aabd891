"""What people changed in an object since migrations last wrote it, one or several of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from django.db.models import ManyToManyField, Model

from ..fields.digests import UNKNOWN, FieldDigests, targets_digest
from ..fields.lookup import field_of, stored_values
from ..ledger import Link, LinkBook
from ..models import MigrationState, RowLink
from ..plan.graph import Plan
from ..tables.joins import JoinTable, join_table


class Edits:
    """Compares stored objects of ``model`` with the digests that the links in ``book`` hold."""

    def __init__(self, model: type[Model], book: LinkBook) -> None:
        self._model = model
        self._book = book
        self._digests = FieldDigests(model, database=book.database)

    def find(self, pairs: Collection[tuple[Link, Model]]) -> dict[str, set[str]]:
        """The fields and many-to-manys that are not as they were written, by the key's hash."""
        written = {link.key_hash: self._book.written(link) for link, _ in pairs}
        found = {
            link.key_hash: self._digests.edited(written[link.key_hash], stored_values(instance))
            for link, instance in pairs
        }
        fields = set(self._digests.names)
        for name in sorted({name for each in written.values() for name in each} - fields):
            known = [pair for pair in pairs if written[pair[0].key_hash].get(name, UNKNOWN)]
            for link, targets in self._targets(known, name):
                if targets_digest(targets) != written[link.key_hash][name]:
                    found[link.key_hash].add(name)
        return {key_hash: names for key_hash, names in found.items() if names}

    def _targets(
        self, pairs: Sequence[tuple[Link, Model]], name: str
    ) -> Iterable[tuple[Link, Collection[Any]]]:
        if not hasattr(self._model, name):
            return []  # the many-to-many is gone from the model
        stored = targets_of(
            [instance for _, instance in pairs], name, database=self._book.database
        )
        return [(link, stored[instance.pk]) for link, instance in pairs]


class SharedLink(NamedTuple):
    """A link of any migration to an object; ``key_hash`` in 32 hexadecimal digits."""

    state: MigrationState
    key_hash: str
    run: int
    key: str
    object_pk: str


class Sharing:
    """The links to objects that several migrations fill. ``plan`` are all migrations."""

    def __init__(self, plan: Plan, *, database: str) -> None:
        self._plan = plan
        self._database = database
        self._states: dict[Any, dict[int, MigrationState]] = {}

    def links_to(
        self, model: Any, texts: Iterable[str | None], *, without: Collection[int] = ()
    ) -> Iterator[SharedLink]:
        """The links to objects of the concrete ``model`` by their primary keys as texts.

        ``without`` are the numbers of migrations that nobody asks for.
        """
        states = self._states_of(model)
        if asked := sorted(states.keys() - without):
            rows = RowLink.objects.using(self._database).filter(
                migration__in=asked, object_pk__in=list(texts)
            )
            names = ("migration_id", "key_hash", "run", "key", "object_pk")
            for state, key_hash, *rest in rows.values_list(*names):
                yield SharedLink(states[state], key_hash.hex, *rest)

    def _states_of(self, model: Any) -> dict[int, MigrationState]:
        if model not in self._states:
            steps = [s for s in self._plan if s.migration.model._meta.concrete_model is model]
            states = MigrationState.objects.using(self._database)
            found = states.filter(label__in=[step.label for step in steps])
            self._states[model] = {state.pk: state for state in found}
        return self._states[model]

    def unexplained(
        self, instance: Model, names: set[str], others: Iterable[SharedLink]
    ) -> set[str]:
        """Those of the edited ``names`` that no other link wrote as they are."""
        for other in others:
            book = LinkBook(other.state, database=self._database)
            (link,) = book.find([other.key_hash]).values()
            known = book.written(link)
            theirs = Edits(type(instance), book).find([(link, instance)])
            names = {n for n in names if n not in known or n in theirs.get(link.key_hash, ())}
        return names


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
    for name in _accessors(type(next(iter(instances)))) if instances else ():
        for pk, targets in targets_of(instances, name, database=database).items():
            if targets:
                found[pk][name] = targets
    return found


def _accessors(model: type[Model]) -> list[str]:
    """The names by which an object reaches its many-to-manys, from both sides."""
    names = [field.name for field in model._meta.many_to_many]
    for relation in model._meta.related_objects:
        if relation.many_to_many and (name := relation.get_accessor_name()):
            names.append(name)
    return names
