"""The system checks of syncs: whatever is wrong and can be known without a database or a call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Mapping as Dict
from datetime import timedelta
from typing import Any

from django.core.checks import CheckMessage, register
from django.db.models import DateTimeField
from django.utils.module_loading import import_string

from ..checks import TAG, mild_before_schema
from ..checks.attributes import is_positive, is_usable_model
from ..checks.faults import fault
from ..checks.names import is_alike
from ..conf import settings
from ..exceptions import DataMigrationError, SpecError
from ..fields.lookup import field_of
from ..outcomes import OnConflict, Removed
from ..utils.wording import suggest
from .connector import Connector
from .definition import Definition
from .discovery import SYNC_SPEC, Syncs, discover, is_meant
from .fields import RemoteField, field_for
from .mapping import Mapping
from .nested import parent_of
from .plan import Plan
from .words import DIRECTIONS, NESTED_MODES

#: Attributes that take one of a few words.
_CHOICES: Dict[str, Sequence[str]] = {
    "direction": DIRECTIONS,
    "on_conflict": OnConflict.values,
    "removed": Removed.values,
    "deleted": Removed.values,
}


@register(TAG)
def check_syncs(**kwargs: Any) -> list[CheckMessage]:
    """Check every plan and every mapping of every app."""
    try:
        messages = list(check(discover()))
    except DataMigrationError as error:
        messages = [fault("E100", SYNC_SPEC, problem=error)]
    return mild_before_schema(message for message in messages if not message.is_silenced())


def check(syncs: Syncs) -> Iterator[CheckMessage]:
    """What is wrong with these plans, their mappings and their accounts."""
    for label, plan in sorted(syncs.plans.items()):
        yield from _check_plan(label, plan)
    named = {mapping for plan in syncs.plans.values() for mapping in plan.mappings}
    for mapping, app_label in syncs.apps.items():
        label = f"{app_label}.{mapping.__name__}"
        yield from check_mapping(label, mapping, syncs)
        if mapping not in named and not _is_for_others(mapping, syncs):
            yield fault("W103", label)
    for definition in syncs.definitions:
        yield from _check_depends_on(definition, syncs)
        yield from _check_capabilities(definition)


def _is_for_others(mapping: type[Mapping], syncs: Syncs) -> bool:
    """Whether others inherit from it, or hold it as a nested list."""
    nested = {
        meant.mapping
        for other in syncs.apps
        for meant in other.fields.values()
        if hasattr(meant, "mapping")
    }
    return mapping in nested or bool(mapping.__subclasses__())


def _check_plan(label: str, plan: type[Plan]) -> Iterator[CheckMessage]:
    if not plan.mappings:
        yield fault("E101", label)
    if not plan.connector:
        yield fault("W100", label)
    elif isinstance(settings.connectors, Dict) and plan.connector not in settings.connectors:
        suggestion = suggest(plan.connector, settings.connectors)
        yield fault("W101", label, name=plan.connector, suggestion=suggestion)
    yield from _check_names(label, plan, Plan)


def check_mapping(label: str, mapping: type[Mapping], syncs: Syncs) -> Iterator[CheckMessage]:
    """What is wrong with one mapping, whatever the account is."""
    yield from _check_names(label, mapping, Mapping)
    if not is_usable_model(getattr(mapping, "model", None)):
        remedy = "Set model to the model class whose objects are synced."
        yield fault("E102", label, name="model", remedy=remedy)
        return
    if not mapping.remote_key:
        remedy = "Set remote_key to the remote name of what identifies a row."
        yield fault("E102", label, name="remote_key", remedy=remedy)
    if not mapping.fields:
        remedy = 'Say what is what: fields = {"name": "item_name"}.'
        yield fault("E102", label, name="fields", remedy=remedy)
    wrong = list(_check_values(label, mapping))
    yield from wrong
    if wrong:
        return
    fields: list[RemoteField] = []
    for remote, meant in mapping.fields.items():
        try:
            fields.append(field_for(mapping, remote, meant))
        except SpecError as error:
            yield fault("E103", label, problem=error)
    for field in fields:
        yield from _check_field(label, mapping, field, syncs)
    yield from _check_twice(label, fields)
    yield from _check_match(label, mapping, fields)
    yield from _check_newest(label, mapping)
    for name in mapping.sensitive:
        if name not in mapping.fields:
            yield fault("W105", label, name=name, suggestion=suggest(name, mapping.fields))


def _check_values(label: str, mapping: type[Mapping]) -> Iterator[CheckMessage]:
    def wrong(name: str, wanted: str) -> CheckMessage:
        return fault("E104", label, name=name, wanted=wanted, value=getattr(mapping, name))

    for name, words in _CHOICES.items():
        if getattr(mapping, name) not in words:
            yield wrong(name, f"one of {', '.join(repr(str(word)) for word in words)}")
    for name in ("removed_limit", "deleted_limit"):
        limit: Any = getattr(mapping, name)
        if not (limit == 0 or (is_positive(limit, int, float) and limit <= 100)):
            yield wrong(name, "a percentage from 0 to 100")
    if not is_positive(mapping.page_size, int):
        yield wrong("page_size", "a whole number above zero")
    for name in ("match", "depends_on", "sensitive"):
        if not isinstance(getattr(mapping, name), (list, tuple)):
            yield wrong(name, "a tuple or a list")
    lag: Any = mapping.changed_lag
    is_time = isinstance(lag, timedelta) and lag >= timedelta()
    if not (lag is None or is_time or lag == 0 or is_positive(lag, int)):
        yield wrong("changed_lag", "a timedelta or a whole number, not below zero, or None")


def _check_field(
    label: str, mapping: type[Mapping], field: RemoteField, syncs: Syncs
) -> Iterator[CheckMessage]:
    is_sent_only = field.const is not None or field.make is not None
    if is_sent_only and not field.pushes:
        what = "a literal" if field.const is not None else "what a function makes"
        yield fault("E105", label, remote=field.remote, what=what)
    if field.pulls and field.pushes and (field.pull is None) != (field.push is None):
        one, other = ("pull", "sent") if field.push is None else ("push", "read")
        yield fault("W104", label, remote=field.remote, one=one, other=other)
    related = field.related
    if related is not None and not any(is_meant(related, each) for each in syncs.apps):
        klass = related.klass.__name__ if related.klass else ""
        yield fault("E110", label, remote=field.remote, klass=klass)
    if field.nested is not None:
        if field.nested.mode not in NESTED_MODES:
            wanted = f"one of {', '.join(map(repr, NESTED_MODES))}"
            name = f"mode of {field.remote!r}"
            yield fault("E104", label, name=name, wanted=wanted, value=field.nested.mode)
        try:
            parent_of(mapping, field.remote, field.nested)
        except SpecError as error:
            yield fault("E103", label, problem=error)


def _check_twice(label: str, fields: Sequence[RemoteField]) -> Iterator[CheckMessage]:
    filled: dict[str, str] = {}
    for field in fields:
        if field.pulls and field.name:
            first = filled.setdefault(field.name, field.remote)
            if first != field.remote:
                second = field.remote
                yield fault("E106", label, first=first, second=second, name=field.name)


def _check_match(
    label: str, mapping: type[Mapping], fields: Sequence[RemoteField]
) -> Iterator[CheckMessage]:
    plain = {field.remote for field in fields if field.pulls and field.name}
    for name in mapping.match:
        if name not in plain:
            yield fault("E109", label, name=name, suggestion=suggest(name, plain))


def _check_newest(label: str, mapping: type[Mapping]) -> Iterator[CheckMessage]:
    if mapping.on_conflict != OnConflict.NEWEST:
        return
    if not mapping.changed:
        wanted = "the remote name of the time of the last change"
        yield fault("E107", label, missing="changed", side="row", wanted=wanted)
    if not mapping.changed_here:
        wanted = "the field of the model that has the time of the last change"
        yield fault("E107", label, missing="changed_here", side="object", wanted=wanted)
    elif not isinstance(field_of(mapping.model, mapping.changed_here), DateTimeField):
        times = [
            field.name
            for field in mapping.model._meta.concrete_fields
            if isinstance(field, DateTimeField)
        ]
        yield fault(
            "E112",
            label,
            name=mapping.changed_here,
            model=mapping.model._meta.label,
            suggestion=suggest(mapping.changed_here, times),
        )


def _check_depends_on(definition: Definition, syncs: Syncs) -> Iterator[CheckMessage]:
    there = {each.mapping for each in syncs.of(definition.connector)}
    for needed in definition.mapping.depends_on:
        if needed not in there:
            name = getattr(needed, "__name__", repr(needed))
            yield fault("W102", definition.label, needed=name)


def _check_capabilities(definition: Definition) -> Iterator[CheckMessage]:
    """What the connector of the account has to be able to do for the mapping."""
    connector = _connector_of(definition.connector)
    if connector is None:
        return
    mapping = definition.mapping
    needs: dict[str, Callable[[], bool]] = {
        "pages": lambda: definition.pulls,
        "insert": lambda: definition.pushes,
        "update": lambda: definition.pushes,
        "delete": lambda: definition.pushes and mapping.deleted == Removed.DELETE,
        "find": lambda: definition.pushes and bool(mapping.match),
    }
    why = {
        "pages": "The mapping pulls",
        "insert": "The mapping pushes new objects",
        "update": "The mapping pushes changes",
        "delete": 'deleted is "delete"',
        "find": "The mapping pushes, and match looks for rows to adopt",
    }
    many = {"insert": "insert_many", "update": "update_many"}
    for method, is_needed in needs.items():
        can = connector.can(method) or (method in many and connector.can(many[method]))
        if is_needed() and not can:
            name = connector.__name__
            yield fault("E108", definition.label, needs=why[method], connector=name, method=method)


def _connector_of(name: str) -> type[Connector] | None:
    """The class that an account names, where the settings themselves say which."""
    entries = settings.connectors
    entry = entries.get(name) if isinstance(entries, Dict) else None
    path = entry.get("CONNECTOR") if isinstance(entry, Dict) else None
    try:
        found = import_string(path) if isinstance(path, str) else path
    except ImportError:
        return None  # connecting tells why
    is_connector = isinstance(found, type) and issubclass(found, Connector)
    return found if is_connector else None


def _check_names(label: str, cls: type, base: type) -> Iterator[CheckMessage]:
    """Attributes that are misspelt ones of ours."""
    known = {name for name in (*vars(base), *base.__annotations__) if not name.startswith("_")}
    for name in sorted(vars(cls).keys() - known):
        if is_alike(name, known):
            kind = base.__name__.lower()
            yield fault("W106", label, name=name, kind=kind, suggestion=suggest(name, known))
