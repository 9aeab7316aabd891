"""A database that Django knows: ENGINE ``django`` with ALIAS, a name from ``DATABASES``.

The connection is the driver's own, opened anew: its transaction is not the one Django uses.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from django.db import connections

from ..exceptions import SpecError
from . import mysql, postgresql, sqlite
from .base import Source, prepared
from .sessions import prepare_postgresql
from .waiting import CONNECT_TIMEOUT

KEYS = frozenset({"ALIAS"})
REQUIRED: tuple[str, ...] = ("ALIAS",)


def connect(source: Source) -> Any:
    """Open a second connection to that database, read-only where the driver can.

    FileNotFoundError for a SQLite file that is missing.
    """
    alias = source.get("ALIAS")
    if alias not in connections.settings:
        known = ", ".join(sorted(connections.settings))
        raise SpecError(f"{source.where}: ALIAS {alias!r} is not in DATABASES. It has {known}.")
    wrapper: Any = connections.create_connection(alias)
    if wrapper.vendor == "sqlite" and not wrapper.is_in_memory_db():
        # Django would create the file.
        name = str(wrapper.settings_dict["NAME"])
        if not name.startswith("file:") and not Path(name).is_file():
            raise FileNotFoundError(f"there is no file {name}")
    if wrapper.vendor in _CONNECTED_IN_TIME:
        options = {"connect_timeout": CONNECT_TIMEOUT, **wrapper.settings_dict["OPTIONS"]}
        wrapper.settings_dict = {**wrapper.settings_dict, "OPTIONS": options}
    wrapper.connect()
    if wrapper.vendor == "postgresql":
        # Django has chosen UTC for the session, unless DATABASES say more.
        has_zone = wrapper.settings_dict["TIME_ZONE"] is not None
        chosen = ("client", "session") if has_zone else ("client",)
        return prepared(wrapper.connection, lambda opened: _postgresql(opened, chosen))
    prepare = _PREPARE.get(wrapper.vendor)  # None for one without a read-only mode that we know
    return prepared(wrapper.connection, prepare) if prepare else wrapper.connection


def is_file(source: Source) -> bool:
    """Whether the alias is that of a SQLite database."""
    config = connections.settings.get(source.get("ALIAS"), {})
    return "sqlite" in str(config.get("ENGINE", ""))


_CONNECTED_IN_TIME = ("mysql", "postgresql")


def _postgresql(connection: Any, chosen: Collection[str]) -> None:
    """Read-only, with Python values for jsonb, which Django's own connections leave as text."""
    if hasattr(connection, "set_session"):
        from psycopg2.extras import register_default_jsonb  # noqa: PLC0415 - optional driver

        register_default_jsonb(conn_or_curs=connection, loads=json.loads)
    else:
        from psycopg.types.json import JsonbLoader  # noqa: PLC0415 - optional driver

        connection.adapters.register_loader("jsonb", JsonbLoader)
    postgresql.make_read_only(connection)
    prepare_postgresql(connection, chosen=chosen)


_PREPARE = {
    "mysql": mysql.make_read_only,
    "sqlite": sqlite.make_read_only,
}
