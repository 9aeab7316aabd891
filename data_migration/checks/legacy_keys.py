"""Relations that need legacy keys: those found by one, and those that are filled later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.core.checks import CheckMessage

from ..fields.lookup import field_of
from ..plan.graph import is_deferrable, sources
from ..spec.columns import Column
from ..spec.legacy_key import declared_key
from ..spec.migration import Migration
from ..utils.wording import suggest
from .attributes import is_usable_model, lacks_key
from .faults import fault

Migrations = Mapping[str, type[Migration]]


def check_legacy_keys(migrations: Migrations) -> Iterator[CheckMessage]:
    """Whether each such relation finds migrations that have the keys it asks for."""
    # Of a migration that is wrong itself another check speaks.
    sound = {label: cls for label, cls in migrations.items() if _is_sound(cls)}
    for label, migration in sorted(sound.items()):
        if migration.skip:
            continue
        for name, meaning in migration.column_description.items():
            if not isinstance(meaning, Column) or meaning.klass is None:
                continue
            if meaning.legacy:
                yield from _check_legacy(label, name, meaning, sound)
            if meaning.deferred:
                model = migration.model
                is_relation = getattr(field_of(model, name), "is_relation", False)
                if is_relation and not is_deferrable(migration, name):
                    yield fault("E029", label, column=name, model=model._meta.label)


def _is_sound(migration: type[Migration]) -> bool:
    described: Any = migration.column_description
    model = getattr(migration, "model", None)
    return is_usable_model(model) and isinstance(described, Mapping)


def _check_legacy(
    label: str, name: str, meaning: Column, migrations: Migrations
) -> Iterator[CheckMessage]:
    assert meaning.klass is not None
    about = {"column": name, "klass": meaning.klass._meta.label}
    filling = {each: migrations[each] for each in sources(meaning, migrations)}
    if not filling and not isinstance(meaning.legacy, bool):
        named = str(getattr(meaning.legacy, "__qualname__", meaning.legacy))
        yield fault("E034", label, value=named, suggestion=suggest(named, migrations), **about)
        return
    concrete = meaning.klass._meta.concrete_model
    if strangers := [each for each, cls in filling.items() if not _fills(cls, concrete)]:
        yield fault("E034", label, value=strangers[0], suggestion="", **about)
        return
    keyed = {each: cls for each, cls in filling.items() if not lacks_key(cls)}
    if not keyed:
        yield fault("E033", label, **about)
        return
    asked = len(meaning.columns or (name,))
    known = {each: declared_key(cls) or ("its key",) for each, cls in sorted(keyed.items())}
    if all(len(key) != asked for key in known.values()):
        other, key = next(iter(known.items()))
        words = {"asked": asked, "other": other, "count": len(key), "key": ", ".join(key)}
        yield fault("E035", label, **words, **about)


def _fills(migration: type[Migration], concrete: Any) -> bool:
    filled = migration.model._meta.concrete_model
    return issubclass(filled, concrete) or issubclass(concrete, filled)  # type: ignore[arg-type]
