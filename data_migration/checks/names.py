"""Names that would be ignored without a word: misspelt ones, those of django-data-migration, and
classes that no spec has.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from inspect import isclass

from django.apps import apps
from django.core.checks import CheckMessage

from ..spec.discovery import SPEC_MODULE, has_query, subclasses
from ..spec.migration import Migration
from ..utils.wording import suggest
from .faults import fault

#: Methods of django-data-migration 0.2.1 that decided what became of rows, and what does now.
INTERNALS = {
    "create_instance_from_row": "use hook_before_transformation(), hook_before_save() and"
    " hook_after_save(), which return False or raise to leave a row out",
    "transform_row_dataset": "change the row in hook_before_transformation()",
    "get_object": "find the target by is_a(), or leave the column to hooks with is_a(exclude=True)"
    " and set it in hook_before_save()",
    "create_m2ms": "set other targets in hook_after_save()",
    "process_cursor": "use hook_before_all(), hook_after_all() and the hooks of rows",
    "process_cursor_for_update": "use hook_update_existing()",
    "migrate": "use hook_before_all() and hook_after_all()",
    "migration_required": "use skip, or allow_updates",
    "check_migration": "raise in hook_before_all() what must stop the migration",
}
#: What has no part in the result there: how targets were kept in memory.
CACHES = frozenset({"relation_cache", "buildup_relation_cache", "cleanup_relation_cache"})

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
            if is_hook or is_alike(name, kin):
                yield fault("W017", about, name=name, suggestion=suggest(name, kin))
        for name, instead in INTERNALS.items():
            if name in vars(cls):
                yield fault("E018", about, name=name, instead=instead)
        for name in sorted(CACHES & vars(cls).keys()):
            yield fault("W019", about, name=name)
        if cls in classes and _never_runs(cls):
            yield fault("W016", about)


def check_strangers(migrations: Mapping[str, type[Migration]]) -> Iterator[CheckMessage]:
    """Classes in the modules of apps with a spec, tests excepted, that no spec has."""
    specs = [app.name for app in apps.get_app_configs()]
    specs = [name for name in specs if f"{name}.{SPEC_MODULE}" in sys.modules]

    def is_in_an_app(module: str) -> bool:
        places = (module.removeprefix(f"{name}.") for name in specs)
        return any(place != module and "tests" not in place.split(".") for place in places)

    found = {cls for cls in subclasses(Migration) if has_query(cls)} - {*migrations.values()}
    strangers = (cls for cls in found if is_in_an_app(cls.__module__))
    for cls in sorted(strangers, key=lambda cls: (cls.__module__, cls.__qualname__)):
        yield fault("W003", f"{cls.__module__}.{cls.__qualname__}", module=cls.__module__)


def is_alike(name: str, known: set[str]) -> bool:
    """Whether a name is rather a misspelt one of ``known`` than one of the author's own."""
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
