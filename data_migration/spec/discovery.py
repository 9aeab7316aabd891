"""Find every migration: the ``data_migration_spec`` module of each installed app."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from inspect import isclass
from types import ModuleType
from typing import Any, TypeVar

from django.apps import AppConfig, apps
from django.utils.module_loading import module_has_submodule

from ..exceptions import SpecError, SpecImportError
from ..utils.wording import import_error_text, printable_cause
from .migration import Migration, has_rows

SPEC_MODULE = "data_migration_spec"

Class = TypeVar("Class")


def discover() -> dict[str, type[Migration]]:
    """Return every migration by its label ``app_label.ClassName``, sorted.

    Only classes with a ``query`` count. A class belongs to the app whose spec defines it; one
    that a spec imports from elsewhere (a library, a helper module), by itself or with its module,
    belongs to that spec's app.

    Raises :exc:`SpecImportError` for a spec that cannot be imported and :exc:`SpecError` when one
    app has two migrations of the same name.
    """
    specs = imported_specs(SPEC_MODULE)
    found: dict[str, type[Migration]] = {}
    for app_label, spec in specs.items():
        for migration in filter(has_query, classes_of(Migration, spec, specs)):
            label = f"{app_label}.{migration.__name__}"
            if found.setdefault(label, migration) is not migration:
                raise SpecError(
                    f"{label} is defined twice, in {found[label].__module__} and in"
                    f" {migration.__module__}. Rename one of the two classes."
                )
    return dict(sorted(found.items()))


def imported_specs(name: str) -> dict[str, ModuleType]:
    """The modules of this name that installed apps have, imported, by the label of the app.

    Raises :exc:`SpecImportError`.
    """
    return {
        app.label: _imported(app, name)
        for app in apps.get_app_configs()
        if app.module is not None and module_has_submodule(app.module, name)
    }


def _imported(app: AppConfig, spec: str) -> ModuleType:
    name = f"{app.name}.{spec}"
    try:
        return import_module(name)
    except (Exception, SystemExit) as error:
        raise SpecImportError(
            f"{import_error_text(name, error, spec)} Mend the module and run the command again."
        ) from printable_cause(error)


def classes_of(
    base: type[Class], spec: ModuleType, specs: Mapping[str, ModuleType]
) -> list[type[Class]]:
    """The classes that derive from ``base`` and belong to a spec, by name: its own ones, and what
    it imports, by itself or with its module, from where no other of the ``specs`` has it.
    """
    everything = set(subclasses(base))
    defined = {cls for cls in everything if _is_inside(cls, spec)}
    # Not a package that the spec is a part of: import shop.parts binds the name shop.
    modules = [
        value
        for value in vars(spec).values()
        if isinstance(value, ModuleType) and not spec.__name__.startswith(f"{value.__name__}.")
    ]
    named = {value for value in vars(spec).values() if isclass(value)}
    imported = {
        cls
        for cls in everything
        if cls in named or any(_is_inside(cls, module) for module in modules)
        if not any(_is_inside(cls, other) for other in specs.values())
    }
    return sorted(defined | imported, key=lambda cls: cls.__qualname__)


def has_query(migration: type[Migration]) -> bool:
    """Whether it is no base class, but has a query or ``rows()``.

    What is no text is a query too, for a check to speak of.
    """
    query: Any = migration.query
    return (query is not None and query != "") or has_rows(migration)


def subclasses(cls: type[Class]) -> Iterator[type[Class]]:
    """Every class that derives from ``cls`` and still exists, in whatever module."""
    for subclass in cls.__subclasses__():
        yield subclass
        yield from subclasses(subclass)


def _is_inside(cls: type, spec: ModuleType) -> bool:
    return cls.__module__ == spec.__name__ or cls.__module__.startswith(f"{spec.__name__}.")
