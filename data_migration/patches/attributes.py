"""What can be wrong with the attributes and methods of a patch."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from inspect import (
    getattr_static,
    isasyncgenfunction,
    isclass,
    iscoroutinefunction,
    isfunction,
    isgeneratorfunction,
    signature,
)
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage
from django.db.migrations.loader import MigrationLoader
from django.db.models import Model

from ..checks.attributes import is_positive
from ..checks.faults import fault
from ..checks.names import is_alike
from ..utils.wording import guess, suggest
from .definition import Definition
from .faulty import Faulty
from .modules import require_callable
from .options import AFTER, BEFORE, PHASES
from .patch import Patch, SchemaName
from .schema import Schema

ON_CHANGE = ("report", "rerun")
ON_FRESH_INSTALL = ("skip", "run")

#: As long as what the ledger has for the label of a step, with the label of a model behind it.
_LONGEST_LABEL = 150
_NAME = re.compile(r"[\w.-]*")
_PACKAGE = Patch.__module__.rpartition(".")[0]
_KNOWN = {name for name in vars(Patch) if not name.startswith("_")}
#: What is added to the attributes of a patch that is made of something else.
_MADE = {"function", "execute", "module", "statement", "file"}
#: Method -> what it takes.
_METHODS = {
    "queryset": ("self",),
    "process": ("self", "item"),
    "process_batch": ("self", "queryset"),
    "execute": ("self",),
    "is_needed": ("self",),
    "throttle": ("self",),
}


def _is_listing(value: Any, is_entry: Callable[[Any], bool]) -> bool:
    return isinstance(value, (list, tuple)) and all(map(is_entry, value))


def _are_words(value: Any) -> bool:
    return _is_listing(value, lambda each: isinstance(each, str) and bool(each))


def _are_schema_names(value: Any) -> bool:
    return _is_listing(value, lambda each: _are_words(each) and len(each) == 2)


def _are_models(value: Any) -> bool:
    return _is_listing(
        value, lambda each: isinstance(each, str) or (isclass(each) and issubclass(each, Model))
    )


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


#: Attribute -> what it has to be, and whether a value is that.
_WANTED: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "name": (
        "a word of letters, digits, _ and . in it",
        lambda value: isinstance(value, str) and bool(_NAME.fullmatch(value)),
    ),
    "revision": ("a whole number above zero", lambda value: is_positive(value, int)),
    "replaces": ("a list of names", _are_words),
    "needs": ('a list of schema migrations such as ("shop", "0007")', _are_schema_names),
    "before": ('a list of schema migrations such as ("shop", "0007")', _are_schema_names),
    "depends_on": ("a list of labels such as 'shop.fill_slugs'", _are_words),
    "phase": ("'before', 'after' or None", lambda value: value in (None, *PHASES)),
    "atomic": ("True, False or None", lambda value: value is None or _is_flag(value)),
    "batch_size": ("a whole number above zero", lambda value: is_positive(value, int)),
    "split": ("True or False", _is_flag),
    "critical": ("True or False", _is_flag),
    "writes": ("a list of models", _are_models),
    "on_change": ("'report' or 'rerun'", lambda value: value in ON_CHANGE),
    "watches": ("a list of file names", _are_words),
    "always": ("True or False", _is_flag),
    "on_fresh_install": ("'skip' or 'run'", lambda value: value in ON_FRESH_INSTALL),
}


def check_attributes(definition: Definition) -> Iterator[CheckMessage]:
    """Everything that is wrong with one patch by itself."""
    patch, label = definition.patch, definition.label
    sound = set()
    for name, (wanted, is_right) in _WANTED.items():
        value = getattr(patch, name)
        if is_right(value):
            sound.add(name)
        else:
            yield fault("E094", label, name=name, wanted=wanted, value=value)
    if len(label) > _LONGEST_LABEL:
        wanted = f"so short that the label has {_LONGEST_LABEL} characters at most"
        yield fault("E094", label, name="name", wanted=wanted, value=definition.name)
    yield from _check_methods(definition)
    yield from _check_names(definition)
    yield from _check_effect(definition)
    if "watches" in sound:
        for file in patch.watches:
            if not (definition.folder / file).is_file():
                yield fault("E097", label, file=file, folder=definition.folder)
    if "writes" in sound:
        for entry in patch.writes:
            if isinstance(entry, str) and not _is_model(entry):
                models = [model._meta.label for model in apps.get_models()]
                yield fault("E098", label, entry=entry, suggestion=guess(entry, models))
    yield from _check_replaces(definition)


def _check_methods(definition: Definition) -> Iterator[CheckMessage]:
    patch = definition.patch
    has = {name: patch.defines(name) for name in _METHODS}
    if isinstance(made_of := vars(patch).get("function"), staticmethod):
        try:
            require_callable(definition.label, made_of.__func__)
        except Faulty as faulty:
            yield faulty.message(definition.label)
    for name, parameters in _METHODS.items():
        method = getattr_static(patch, name)
        is_late = iscoroutinefunction(method) or isasyncgenfunction(method)
        if not callable(getattr(patch, name)) or is_late or isgeneratorfunction(method):
            yield _methods(
                definition,
                f"{name} has to be a method that does its work when it is called.",
                "Define it with def, without async and without yield.",
            )
            return
        if isfunction(method) and not _takes(method, len(parameters)):
            wanted = f"{name}({', '.join(parameters)})"
            yield _methods(
                definition,
                f"{name}() cannot be called as {wanted}.",
                f"Define it with def {wanted}.",
            )
            return
    if has["queryset"] and has["execute"]:
        yield _methods(
            definition,
            "It has both queryset() and execute().",
            "Keep queryset() for objects in batches, or execute() for the whole in one go.",
        )
    elif not has["queryset"] and not has["execute"]:
        alone = [name for name in ("process", "process_batch") if has[name]]
        yield _methods(
            definition,
            f"It has {alone[0]}() and no queryset(), so there is nothing to process."
            if alone
            else "It has neither queryset() nor execute(), so there is nothing to run.",
            "Define queryset() with the objects to process, or execute() for the whole in one go;"
            " a class that others inherit from begins with an underscore.",
        )
    elif has["process"] and has["process_batch"]:
        yield _methods(
            definition,
            "It has both process() and process_batch().",
            "Keep process() for one object at a time, or process_batch() for statements of yours.",
        )
    elif has["queryset"] and not (has["process"] or has["process_batch"]):
        yield _methods(
            definition,
            "It has queryset() and nothing that processes its objects.",
            "Define process() for one object at a time, or process_batch().",
        )
    if has["queryset"] and patch.atomic is False:
        yield _methods(
            definition,
            "It has queryset() and atomic = False: how far it has come could not be kept with what"
            " it did.",
            "Remove atomic: each batch is a transaction of its own.",
        )


def _takes(function: Any, count: int) -> bool:
    try:
        signature(function).bind(*range(count))
    except TypeError:
        return False
    return True


def _methods(definition: Definition, problem: str, remedy: str) -> CheckMessage:
    return fault("E095", definition.label, problem=problem, remedy=remedy)


def _own_names(patch: type[Patch]) -> set[str]:
    """What people wrote, in the class or one that it inherits from."""
    classes = [each for each in patch.__mro__ if each.__module__.rpartition(".")[0] != _PACKAGE]
    return {name for cls in classes if cls is not object for name in vars(cls)}


def _check_names(definition: Definition) -> Iterator[CheckMessage]:
    """Misspelt ones; what a decorator was given and nothing knows has no effect in any case."""
    patch = definition.patch
    is_made = "function" in vars(patch)
    for name in sorted(_own_names(patch) - _KNOWN - _MADE):
        if not name.startswith("_") and (is_made or is_alike(name, _KNOWN)):
            yield fault("W084", definition.label, name=name, suggestion=suggest(name, _KNOWN))


def _check_effect(definition: Definition) -> Iterator[CheckMessage]:
    """What is set and has no effect."""
    patch = definition.patch
    own = _own_names(patch)
    if not patch.is_batched():
        for name in sorted(own & {"split", "batch_size", "throttle"}):
            yield fault("W085", definition.label, name=name, why="without queryset()")
    elif patch.atomic is True and "split" in own and patch.split is True:
        yield fault("W085", definition.label, name="split", why="with atomic = True")
    if patch.always is True:
        for name in sorted(own & {"on_change", "on_fresh_install"}):
            yield fault("W085", definition.label, name=name, why="with always = True")


def _is_model(label: str) -> bool:
    try:
        apps.get_model(label)
    except (LookupError, ValueError):
        return False
    return True


def check_schema_names(definitions: Iterable[Definition]) -> Iterator[CheckMessage]:
    """Whether the schema migrations of ``needs`` and ``before`` exist, and leave a time to run.

    They are read from disk, if a patch names any; no database is asked.
    """
    asking = [each for each in definitions if _schema_names(each)]
    if not asking:
        return
    try:
        schema = Schema.on_disk()
    except Faulty as faulty:
        yield faulty.message("needs and before")
        return
    known: dict[str, set[str]] = {}
    for app, name in schema.known:
        known.setdefault(app, set()).add(name)
    for each in asking:
        sound: dict[str, list[SchemaName]] = {"needs": [], "before": []}
        for attribute, app, name in _schema_names(each):
            names = known.get(app, set())
            meant = schema.meant_by((app, name))
            if len(meant) == 1:
                sound[attribute] += meant
                continue
            if not names:
                why = f"the app {app!r} has none, or is not installed.{guess(app, known)}"
            elif not meant:
                why = f"there is none.{guess(name, names)}"
            else:
                why = f"several begin like that: {', '.join(each for _, each in meant)}."
            yield fault("E096", each.label, attribute=attribute, app=app, name=name, why=why)
        if sound["needs"] and sound["before"]:
            yield from _check_range(each, sound)


def _schema_names(definition: Definition) -> list[tuple[str, str, str]]:
    """Attribute, app and name of each, as far as they have the right form."""
    return [
        (attribute, app, name)
        for attribute in ("needs", "before")
        if _are_schema_names(getattr(definition.patch, attribute))
        for app, name in getattr(definition.patch, attribute)
    ]


def _check_range(
    definition: Definition, names: Mapping[str, Sequence[SchemaName]]
) -> Iterator[CheckMessage]:
    """When all of ``needs`` are applied, none of ``before`` may be by necessity.

    Of what was squashed nothing is said, nor where Django cannot put its migrations in order.
    """
    loader = MigrationLoader(None, load=False)
    try:
        loader.build_graph()
        earlier = {
            each: set(loader.graph.forwards_plan(each))
            for each in names["needs"]
            if each in loader.graph.nodes
        }
    except Exception:  # Django tells it at migrate, better
        return
    for needed, plan in earlier.items():
        for last in plan.intersection(names["before"]):
            about = {"needed": ".".join(needed), "last": ".".join(last)}
            yield fault("E099", definition.label, **about)


def _check_replaces(definition: Definition) -> Iterator[CheckMessage]:
    """An app that is not there is rather the beginning of a name with a dot in it."""
    installed = {app.label for app in apps.get_app_configs()}
    for label in definition.replaces:
        if label.partition(".")[0] not in installed:
            app = definition.app_label
            yield fault("W088", definition.label, name=label, app=label.partition(".")[0], own=app)


def check_phases(definitions: Sequence[Definition]) -> Iterator[CheckMessage]:
    """What runs before ``migrate`` cannot wait for what runs after it."""
    phases = {each.label: each.phase for each in definitions}
    for each in definitions:
        for label in each.depends_on:
            if each.phase == BEFORE and phases.get(label) == AFTER:
                yield fault("W089", each.label, needed=label)
