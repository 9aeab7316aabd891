"""Reading a legacy database: ``connect`` opens it read-only, ``Reader`` streams a query's rows.

A query is narrowed here, to keys, to a mark, to a range. Drivers are imported when a source that
needs them is opened, never before: they are optional.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import partial
from typing import Any

from ..conf import settings
from ..exceptions import MissingDriver, SpecError
from ..utils.wording import printable_cause, words
from . import alias, mysql, odbc, postgresql, sqlite
from .base import SETTING, Engine, Source, cannot_connect
from .reader import Reader
from .streaming import close_connection, is_apart
from .waiting import patiently_connected

__all__ = ["ENGINES", "Reader", "close_connection", "connect", "is_apart"]

#: ENGINE -> the module that opens it.
ENGINES: dict[str, Engine] = {
    "django": alias,
    "mysql": mysql,
    "odbc": odbc,
    "postgresql": postgresql,
    "sqlite": sqlite,
}


def connect(name: str) -> Any:
    """Open ``DATA_MIGRATION_SOURCES[name]`` as a raw DB-API connection, read-only.

    Raises SpecError for a wrong entry, MissingDriver, and SourceError when the database cannot
    be reached; no message holds a password.
    """
    sources = settings.sources
    if name not in sources:
        known = ", ".join(sorted(sources)) or "none"
        raise SpecError(f"{SETTING} has no source {name!r}. It has: {known}.")
    source = Source(name, sources[name])
    engine = _engine(source)
    source.check(engine)
    call = partial(engine.connect, source)
    try:
        if engine is sqlite or (engine is alias and alias.is_file(source)):
            return call()  # a connection of SQLite's stays in its thread
        return patiently_connected(call, source.connect_timeout)
    except (SpecError, MissingDriver):
        raise
    except TypeError as error:
        raise SpecError(
            f"{source.where}: the driver does not take these OPTIONS: {words(error)}."
        ) from printable_cause(error)
    except Exception as error:
        raise cannot_connect(source, error) from printable_cause(error)


def _engine(source: Source) -> Engine:
    if source.engine in ENGINES:
        return ENGINES[source.engine]
    problem = f"unknown ENGINE {source.engine!r}" if source.engine else "no ENGINE"
    close = get_close_matches(source.engine.rpartition(".")[2], ENGINES, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise SpecError(
        f"{source.where} has {problem}. Use one of {', '.join(sorted(ENGINES))}.{hint}"
    )
