"""Where the rows come from: ``DATA_MIGRATION_SOURCES`` and each migration's ``source``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any, NamedTuple

from django.core.checks import CheckMessage
from django.db import connections

from ..conf import settings
from ..exceptions import SpecError
from ..sources import ENGINES
from ..sources.base import DISTRIBUTION, SETTING, Source
from ..spec.hooks import OwnHooks
from ..spec.migration import Migration, has_rows
from ..utils.wording import suggest
from .faults import fault


class Driver(NamedTuple):
    """The modules of which one has to be there, and the extra that installs one."""

    extra: str
    modules: tuple[str, ...]


DRIVERS = {
    "mysql": Driver("mysql", ("MySQLdb",)),
    "odbc": Driver("odbc", ("pyodbc",)),
    "postgresql": Driver("postgresql", ("psycopg2", "psycopg")),
}


def check_source(label: str, migration: type[Migration]) -> Iterator[CheckMessage]:
    source: Any = migration.source
    if source is not None and not (isinstance(source, str) and source):
        yield fault("E066", label, value=source)
    elif source is None and _connects_by_setting(migration):
        yield fault("E061", label)


def check_missing(migrations: Mapping[str, type[Migration]]) -> Iterator[CheckMessage]:
    """One message for each source that migrations name and the settings do not have."""
    sources: Any = settings.sources
    users: dict[str, list[str]] = {}
    for label, migration in sorted(migrations.items()):
        name: Any = migration.source
        if isinstance(name, str) and not migration.skip and _connects_by_setting(migration):
            users.setdefault(name, []).append(label)
    for name, labels in sorted(users.items()):
        if isinstance(sources, Mapping) and name not in sources:
            guess = suggest(name, map(str, sources))
            yield fault("W060", SETTING, name=name, users=_shortened(labels), suggestion=guess)


def _connects_by_setting(migration: type[Migration]) -> bool:
    return "open_db_connection" not in OwnHooks(migration) and not has_rows(migration)


def _shortened(labels: list[str]) -> str:
    shown = labels if len(labels) <= 3 else [*labels[:2], f"{len(labels) - 2} others"]
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))


def check_sources() -> Iterator[CheckMessage]:
    sources: Any = settings.sources
    if not isinstance(sources, Mapping):
        yield fault("E062", SETTING, kind=type(sources).__name__)
        return
    for name, config in sources.items():
        try:
            source = _checked(name, config)
        except SpecError as error:
            yield fault("E063", SETTING, problem=error, engines=", ".join(sorted(ENGINES)))
            continue
        # An empty value usually comes from an environment variable that this machine lacks.
        for key in ENGINES[source.engine].REQUIRED:
            if key in config and source.get(key) is None:
                yield fault("W065", f"{source.where}[{key!r}]", key=key)
        driver = DRIVERS.get(source.engine)
        if driver is not None and not any(_is_installed(module) for module in driver.modules):
            yield fault(
                "W064",
                source.where,
                engine=source.engine,
                modules=" or ".join(driver.modules),
                requirement=f'"{DISTRIBUTION}[{driver.extra}]"',
            )


def _checked(name: str, config: Any) -> Source:
    """The entry as it would be opened, up to the driver.

    Raises :exc:`SpecError` for what its engine would refuse, empty values excepted.
    """
    if not isinstance(config, Mapping):
        raise SpecError(f"{SETTING}[{name!r}] must be a dict, not {type(config).__name__}.")
    source = Source(name, config)
    if source.engine not in ENGINES:
        problem = f"unknown ENGINE {source.engine!r}" if source.engine else "no ENGINE"
        last_word = source.engine.rpartition(".")[2]  # also of django.db.backends.mysql
        raise SpecError(f"{source.where} has {problem}.{suggest(last_word, ENGINES)}")
    engine = ENGINES[source.engine]
    filled = {key: config[key] or "?" for key in engine.REQUIRED if key in config}
    Source(name, {**config, **filled}).check(engine)
    _ = source.options  # raises for OPTIONS that are no dict
    alias = source.get("ALIAS")
    if alias is not None and alias not in connections:
        raise SpecError(
            f"{source.where}: ALIAS {alias!r} is not in DATABASES."
            f"{suggest(str(alias), connections)}"
        )
    return source


def _is_installed(module: str) -> bool:
    """Find the module without importing it: drivers are loaded when a source is opened."""
    if module in sys.modules:
        return sys.modules[module] is not None
    return find_spec(module) is not None
