"""Attributes and hooks whose names look misspelt: they would be ignored without a word."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from inspect import isclass

from django.apps import apps
from django.core.checks import CheckMessage

from ..spec.discovery import SPEC_MODULE
from ..spec.migration import Migration
from ..utils.wording import suggest
from .faults import fault

_PACKAGE = Migration.__module__.partition(".")[0]
#: So alike that it is hardly a name of the author's own.
_ALIKE = 0.85


def check_names(migrations: Mapping[str, type[Migration]]) -> Iterator[CheckMessage]:
    """Each class is looked at once, however many migrations inherit from it."""
    known = {name for name in vars(Migration) if not name.startswith("_")}
    labels = {migration: label for label, migration in migrations.items()}
    classes = {*migrations.values(), *_spec_classes()}
    for cls in sorted(_with_bases(classes), key=lambda cls: (cls.__module__, cls.__qualname__)):
        about = labels.get(cls, f"{cls.__module__}.{cls.__qualname__}")
        for name in sorted(vars(cls).keys() - known):
            is_hook = name.startswith("hook_")
            kin = {word for word in known if word.startswith("hook_") == is_hook}
            if is_hook or _is_alike(name, kin):
                yield fault("W017", about, name=name, suggestion=suggest(name, kin))
        if cls in classes and _never_runs(cls):
            yield fault("W016", about)


def _is_alike(name: str, known: set[str]) -> bool:
    # query2 is a second query rather than a slip.
    is_own = name.startswith("_") or any(char.isdigit() for char in name)
    return not is_own and bool(get_close_matches(name, known, n=1, cutoff=_ALIKE))


def _never_runs(cls: type) -> bool:
    declared = {name for base in _with_bases({cls}) for name in vars(base)}
    return "model" in declared and "query" not in declared and not cls.__subclasses__()


def _with_bases(classes: set[type[Migration]]) -> set[type]:
    bases = {base for cls in classes for base in cls.__mro__}
    return {cls for cls in bases - {object} if cls.__module__.partition(".")[0] != _PACKAGE}


def _spec_classes() -> set[type[Migration]]:
    """The classes of every imported spec, also those without a query."""
    specs = [sys.modules.get(f"{app.name}.{SPEC_MODULE}") for app in apps.get_app_configs()]
    return {
        value
        for spec in filter(None, specs)
        for value in vars(spec).values()
        if isclass(value) and issubclass(value, Migration)
    }
