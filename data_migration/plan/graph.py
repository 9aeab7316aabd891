"""``depends_on`` -> :class:`Plan`. Pure: reads no database and no settings."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from inspect import isclass
from itertools import pairwise

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db.models import ForeignKey, Model

from ..exceptions import DependencyCycle, UnknownDependency, UnknownLabel
from ..spec.columns import Column, Relation, as_key
from ..spec.legacy_key import primary_keys
from ..spec.migration import Migration
from ..utils.wording import suggest

Edges = dict[str, set[str]]


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One migration in its place; ``needs`` are the labels it waits for, sorted.

    ``sources`` are, for each relation of ``column_description`` and each other foreign key, the
    labels of the migrations that fill what it refers to; ``keyed`` are those of them whose legacy
    keys it holds.
    """

    label: str
    migration: type[Migration]
    needs: tuple[str, ...] = ()
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict, compare=False)
    keyed: Mapping[str, tuple[str, ...]] = field(default_factory=dict, compare=False)

    @property
    def app_label(self) -> str:
        return self.label.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Plan:
    """The migrations in the order in which they run."""

    steps: tuple[PlanStep, ...]

    def __iter__(self) -> Iterator[PlanStep]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def select(self, labels: Collection[str] = (), exclude: Collection[str] = ()) -> Plan:
        """Return the plan of the named apps or migrations (all without a name) less ``exclude``.

        Raises :exc:`UnknownLabel` for a label that names nothing.
        """
        known = sorted({step.label for step in self} | {step.app_label for step in self})
        for label in (*labels, *exclude):
            if label not in known:
                raise UnknownLabel(
                    f"No app or migration is called {label!r}.{suggest(label, known)}"
                )
        return Plan(
            tuple(
                step
                for step in self.steps
                if (not labels or _is_named(step, labels)) and not _is_named(step, exclude)
            )
        )


def _is_named(step: PlanStep, labels: Collection[str]) -> bool:
    return step.label in labels or step.app_label in labels


def build_plan(
    migrations: Mapping[str, type[Migration]],
    is_filled: Callable[[type[Model]], bool] = lambda model: False,
) -> Plan:
    """Order the migrations so that each comes after what it needs; equals stand by label.

    A model named in ``depends_on`` that no migration fills is an error, unless its app has no
    migrations at all or ``is_filled`` says that its table has rows already.

    A deferred relation puts nothing in order.

    Raises :exc:`UnknownDependency` and :exc:`DependencyCycle`.
    """
    edges: Edges = {}
    for label, migration in sorted(migrations.items()):
        edges[label] = set()
        for dependency in migration.depends_on:
            edges[label].update(_labels_of(dependency, label, migrations, is_filled))
        edges[label].discard(label)
    _add_optional_edges(edges, migrations)
    steps = []
    for label in _sorted_labels(edges, migrations):
        relations = _relations(migrations[label])
        filling = {
            name: tuple(sorted(sources(column, migrations))) for name, column in relations.items()
        }
        keyed = {
            name: tuple(each for each in found if holds_keys(relations[name], migrations[each]))
            for name, found in filling.items()
        }
        needs = tuple(sorted(edges[label]))
        steps.append(PlanStep(label, migrations[label], needs, filling, keyed))
    return Plan(tuple(steps))


def _relations(migration: type[Migration]) -> dict[str, Column]:
    """The relations that rows may have, by what their columns may be called."""
    described = migration.column_description
    plain = {
        name: as_key(field)
        for field in migration.model._meta.concrete_fields
        if isinstance(field, ForeignKey) and not {field.name, field.attname} & described.keys()
        for name in (field.name, field.attname)
    }
    return plain | {name: each for name, each in described.items() if each.klass is not None}


def _labels_of(
    dependency: object,
    asker: str,
    migrations: Mapping[str, type[Migration]],
    is_filled: Callable[[type[Model]], bool],
) -> set[str]:
    if isinstance(dependency, str) and dependency in migrations:
        return {dependency}
    if isclass(dependency) and issubclass(dependency, Migration):
        labels = {label for label, migration in migrations.items() if migration is dependency}
    else:
        model = _model(dependency, asker, migrations)
        labels = filled_by(model, migrations)
        apps_with_specs = {label.partition(".")[0] for label in migrations}
        if not labels and (model._meta.app_label not in apps_with_specs or is_filled(model)):
            return set()
    if not labels:
        raise UnknownDependency(
            f"{asker} depends on {_name(dependency)}, which no migration fills. Write a migration"
            " for it, or remove it from depends_on."
        )
    return labels


def _model(
    dependency: object, asker: str, migrations: Mapping[str, type[Migration]]
) -> type[Model]:
    if isclass(dependency) and issubclass(dependency, Model):
        return dependency
    try:
        return apps.get_model(str(dependency))
    except (LookupError, ValueError):
        raise UnknownDependency(
            f"{asker} depends on {_name(dependency)}, which is neither a migration nor a model."
            f"{suggest(str(dependency), migrations)}"
        ) from None


def _name(dependency: object) -> str:
    if isclass(dependency) and issubclass(dependency, Model):
        return dependency._meta.label
    return getattr(dependency, "__qualname__", repr(dependency))


def filled_by(model: type[Model], migrations: Mapping[str, type[Migration]]) -> set[str]:
    """The labels of the migrations that fill ``model``, proxies counted as their model."""
    concrete = model._meta.concrete_model
    return {
        label
        for label, migration in migrations.items()
        if migration.model._meta.concrete_model is concrete
    }


def sources(column: Column, migrations: Mapping[str, type[Migration]]) -> set[str]:
    """The labels of the migrations that fill what a column refers to.

    Only the one that ``legacy`` names, where it names one.
    """
    if isinstance(column.legacy, str):
        return {column.legacy} & migrations.keys()
    if isinstance(column.legacy, bool):
        return filled_by(column.klass, migrations) if column.klass else set()
    return {label for label, migration in migrations.items() if migration is column.legacy}


def holds_keys(column: Column, migration: type[Migration]) -> bool:
    """Whether the values of a relation are the legacy keys of ``migration``, as its spec says."""
    if column.legacy:
        return True
    declared, names = migration.legacy_key, primary_keys(migration.model)
    if declared is None:
        declared = migration.search_attr or names
    key = (declared,) if isinstance(declared, str) else tuple(declared)
    described = migration.column_description
    if any(name in described and described[name].exclude for name in key):
        return False  # what the key of a row is, its object does not have
    return column.search_attrs == key or {*column.search_attrs, *key} <= {"pk", *names}


def _add_optional_edges(edges: Edges, migrations: Mapping[str, type[Migration]]) -> None:
    """Wait for the models that ``is_a`` names, except where ``depends_on`` says the opposite.

    A relation with ``skip_missing`` can do without its targets, so it closes no loop either.
    """
    add_wanted(
        edges,
        (
            (column.skip_missing, label, needed)
            for label, migration in migrations.items()
            for column in migration.column_description.values()
            if not column.deferred and label not in (filling := sources(column, migrations))
            for needed in filling
        ),
    )


def add_wanted(edges: Edges, wanted: Iterable[tuple[bool, str, str]]) -> None:
    """Add what each (whether it can do without, who waits, for whom) asks for, except where an
    edge says the opposite. What can do without closes no loop either.
    """
    required = {label: set(needs) for label, needs in edges.items()}
    # Those with skip_missing come last, when all others are there.
    for skips_missing, label, needed in sorted(wanted):
        if not _reaches(edges if skips_missing else required, needed, label):
            edges[label].add(needed)


def _reaches(edges: Edges, start: str, goal: str) -> bool:
    seen: set[str] = set()
    stack = [start]
    while stack:
        label = stack.pop()
        if label == goal:
            return True
        if label not in seen:
            seen.add(label)
            stack.extend(edges[label])
    return False


def _sorted_labels(edges: Edges, migrations: Mapping[str, type[Migration]]) -> Iterator[str]:
    sorter = TopologicalSorter(edges)
    try:
        sorter.prepare()
    except CycleError as error:
        # graphlib lists each node before the one that waits for it.
        loop = list(reversed(error.args[1]))[:-1]
        start = loop.index(min(loop))
        loop = [*loop[start:], *loop[:start], loop[start]]
        raise DependencyCycle(
            f"These migrations wait for each other: {' -> '.join(loop)}."
            f" {_advice(loop, migrations)}"
        ) from None
    ready: list[str] = []
    while sorter.is_active():
        ready = sorted([*ready, *sorter.get_ready()])
        yield ready[0]
        sorter.done(ready.pop(0))


def _advice(loop: list[str], migrations: Mapping[str, type[Migration]]) -> str:
    """How to open the loop: by a relation that may be filled later, if there is one."""
    deferrable = [
        f"{label}.{name}"
        for label, needed in pairwise(loop)
        for name, column in sorted(migrations[label].column_description.items())
        if needed in sources(column, migrations) and is_deferrable(migrations[label], name)
    ]
    advice = "Remove one of the dependencies, say with depends_on which of them comes first"
    if not deferrable:
        return f"{advice}, or fill a relation in a second migration into the same model."
    return (
        f"{advice}, or fill a relation when all migrations have run: deferred=True in is_a() of"
        f" {' or '.join(deferrable)}, and its model out of depends_on."
    )


def is_deferrable(migration: type[Migration], name: str) -> bool:
    """Whether a row can be written without this relation first: a many-to-many, or nullable."""
    try:
        relation = migration.model._meta.get_field(name)
    except FieldDoesNotExist:
        return bool(migration.column_description[name].relation == Relation.M2M)
    is_many = relation.many_to_many or relation.one_to_many
    return bool(is_many or (relation.concrete and relation.null))
