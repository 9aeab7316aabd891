"""Find every plan: the ``data_sync_spec`` module of each installed app."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from collections.abc import Mapping as Dict
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter

from ..exceptions import DependencyCycle, SpecError, UnknownLabel
from ..plan.graph import Edges, add_wanted
from ..spec.discovery import classes_of, imported_specs
from ..utils.wording import suggest
from .definition import Definition
from .fields import fields_of
from .mapping import Mapping
from .plan import Plan
from .words import Nested, Related

SYNC_SPEC = "data_sync_spec"


@dataclass(frozen=True, kw_only=True, slots=True)
class Syncs:
    """Every plan by its label ``app_label.ClassName``, and what of them is chosen.

    ``apps`` has the label of the app of every mapping; ``definitions`` are the mappings that are
    chosen, each with its account, in the order in which they run.
    """

    plans: Dict[str, type[Plan]]
    apps: Dict[type[Mapping], str]
    definitions: tuple[Definition, ...]

    def __iter__(self) -> Iterator[Definition]:
        return iter(self.definitions)

    def __len__(self) -> int:
        return len(self.definitions)

    @property
    def connectors(self) -> tuple[str, ...]:
        """The accounts of what is chosen, each once, in order."""
        return tuple(dict.fromkeys(each.connector for each in self.definitions))

    def of(self, connector: str) -> tuple[Definition, ...]:
        """What is chosen of one account."""
        return tuple(each for each in self.definitions if each.connector == connector)

    def of_account(self, connector: str) -> Syncs:
        """The same with what is chosen of one account only."""
        return replace(self, definitions=self.of(connector))

    def select(self, labels: Collection[str] = (), connector: str = "") -> Syncs:
        """What the labels name, everything without one, with another account where one is given.

        A label is that of a plan, an app, a mapping (``shop.ItemToAtlas``), or a mapping with its
        account (``shop.ItemToAtlas@atlas``). Raises :exc:`UnknownLabel` for one that names
        nothing.
        """
        found, names = [], set[str]()
        for label, plan in self.plans.items():
            for definition in _of_plan(label, plan, self.apps, connector):
                its = {
                    *(label, label.partition(".")[0], definition.app_label),
                    *(definition.label, definition.label.partition("@")[0]),
                }
                names |= its
                if not labels or not its.isdisjoint(labels):
                    found.append(definition)
        for label in labels:
            if label not in names:
                raise UnknownLabel(
                    f"No plan, app or mapping is called {label!r}.{suggest(label, names)}"
                )
        return replace(self, definitions=_ordered(found))

    def related(self, column: Related, connector: str) -> tuple[Definition, ...]:
        """The mappings by whose links a relation is found, chosen or not, with this account."""
        return tuple(
            Definition(app_label=app, mapping=mapping, connector=connector)
            for mapping, app in self.apps.items()
            if is_meant(column, mapping)
        )

    def sources(self, mapping: type[Mapping], connector: str) -> dict[str, tuple[str, ...]]:
        """The labels by whose links each relation of a mapping is found, by the model's field."""
        return {
            field.name: tuple(
                sorted(each.label for each in self.related(field.related, connector))
            )
            for field in fields_of(mapping)
            if field.related is not None
        }


def is_meant(column: Related, mapping: type[Mapping]) -> bool:
    """Whether the rows of a mapping are what a relation may refer to."""
    if column.legacy is not True:
        return mapping is column.legacy
    model = getattr(mapping, "model", None)
    return bool(
        model is not None
        and column.klass is not None
        and model._meta.concrete_model is column.klass._meta.concrete_model
    )


def find() -> tuple[dict[str, type[Plan]], dict[type[Mapping], str]]:
    """Every plan by its label, and the app of every mapping that a spec has or a plan names.

    A class belongs to the app whose ``data_sync_spec`` defines it, or imports it from where no
    spec is. A plan without ``mappings`` and ``connector`` is a base class.

    Raises :exc:`SpecImportError` for a spec that cannot be imported, and :exc:`SpecError` where
    one app has two plans or two mappings of one name.
    """
    specs = imported_specs(SYNC_SPEC)
    plans: dict[str, type[Plan]] = {}
    apps: dict[type[Mapping], str] = {}
    taken: dict[str, type] = {}
    faults: list[str] = []

    def take(app_label: str, cls: type) -> str:
        label = f"{app_label}.{cls.__name__}"
        if (other := taken.setdefault(label, cls)) is not cls:
            faults.append(
                f"{label} is defined twice, in {other.__module__} and in {cls.__module__}. Rename"
                " one of the two classes."
            )
        return label

    for app_label, spec in sorted(specs.items()):
        for mapping in classes_of(Mapping, spec, specs):
            if mapping.objectname and apps.setdefault(mapping, app_label) == app_label:
                take(app_label, mapping)
        for plan in classes_of(Plan, spec, specs):
            if plan.mappings or plan.connector:
                plans[take(app_label, plan)] = plan
    for label, plan in plans.items():
        for mapping in plan.mappings:
            if isinstance(mapping, type) and issubclass(mapping, Mapping) and mapping not in apps:
                apps[mapping] = label.partition(".")[0]
                take(apps[mapping], mapping)
    if faults:
        raise SpecError("\n".join(dict.fromkeys(faults)))
    return plans, apps


def discover() -> Syncs:
    """Every plan of every app, with the accounts that the plans name.

    Raises :exc:`SpecError`, with everything that is wrong, for what :func:`find` refuses, and for
    plans whose mappings are none or wait for each other.
    """
    plans, apps = find()
    faults = [
        f"{label}: mappings has {each!r}, which is no Mapping. Name the classes themselves."
        for label, plan in plans.items()
        for each in plan.mappings
        if not (isinstance(each, type) and issubclass(each, Mapping))
    ]
    faults += [
        f"{app_label}.{mapping.__name__}: fields has to be a dict from remote name to what it is"
        f" here, got {mapping.fields!r}."
        for mapping, app_label in apps.items()
        if not isinstance(mapping.fields, Dict)
    ]
    if faults:
        raise SpecError("\n".join(faults))
    return Syncs(plans=plans, apps=apps, definitions=()).select()


def _of_plan(
    label: str, plan: type[Plan], apps: Dict[type[Mapping], str], connector: str
) -> Iterator[Definition]:
    account = connector or plan.connector
    for mapping in plan.mappings:
        yield Definition(
            app_label=apps[mapping], mapping=mapping, connector=account, plans=(label,)
        )


def _ordered(found: Collection[Definition]) -> tuple[Definition, ...]:
    """Each mapping and account once, after what it needs; where nothing says so, as they came.

    Raises :exc:`DependencyCycle`.
    """
    known: dict[str, Definition] = {}
    for each in found:
        known[each.label] = replace(
            each, plans=(*(known[each.label].plans if each.label in known else ()), *each.plans)
        )
    edges: Edges = {
        label: {
            other.label
            for other in known.values()
            if other.connector == each.connector
            and other.mapping in each.mapping.depends_on
            and other is not each
        }
        for label, each in known.items()
    }
    add_wanted(
        edges,
        (
            (column.skip_missing, label, other.label)
            for label, each in known.items()
            for column in relations_of(each.mapping)
            if not column.deferred and not is_meant(column, each.mapping)
            for other in known.values()
            if other.connector == each.connector and is_meant(column, other.mapping)
        ),
    )
    places = {label: place for place, label in enumerate(known)}
    sorter = TopologicalSorter(edges)
    try:
        sorter.prepare()
    except CycleError as error:
        loop = " -> ".join(reversed(error.args[1]))
        raise DependencyCycle(
            f"These mappings wait for each other: {loop}. Remove one of the dependencies, or let"
            " a relation be filled later: deferred=True in is_a()."
        ) from None
    ordered: list[str] = []
    ready: list[str] = []
    while sorter.is_active():
        ready = sorted([*ready, *sorter.get_ready()], key=lambda label: places[label])
        ordered.append(ready.pop(0))
        sorter.done(ordered[-1])
    return tuple(known[label] for label in ordered)


def relations_of(mapping: type[Mapping]) -> Iterator[Related]:
    """The relations of a mapping, those of its nested lists among them."""
    for meant in mapping.fields.values():
        if isinstance(meant, Related):
            yield meant
        elif isinstance(meant, Nested):
            yield from relations_of(meant.mapping)
