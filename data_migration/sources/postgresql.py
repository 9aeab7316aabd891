"""PostgreSQL through psycopg2 or, where that is missing, psycopg 3.

psycopg2 comes first because it still speaks to servers that psycopg 3 refuses (before 10).
OPTIONS are passed to libpq: ``sslmode``, ``connect_timeout``, ``client_encoding``, ``options``,
``service`` and so on.
"""

from __future__ import annotations

from typing import Any

from .base import SERVER_KEYS, Source, import_driver, prepared

KEYS = SERVER_KEYS
REQUIRED: tuple[str, ...] = ("NAME",)
_NAMES = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}


def connect(source: Source) -> Any:
    """Open a session that can only read and sees one snapshot."""
    driver = import_driver(source, "postgresql", "psycopg2", "psycopg")
    connection = driver.connect(**{**source.renamed(_NAMES), **source.options})
    return prepared(connection, make_read_only)


def make_read_only(connection: Any) -> None:
    """READ ONLY and REPEATABLE READ for every transaction of the connection."""
    if hasattr(connection, "set_session"):
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True, autocommit=False)
        return
    from psycopg import IsolationLevel  # noqa: PLC0415 - optional driver

    connection.autocommit = False
    connection.read_only = True
    connection.isolation_level = IsolationLevel.REPEATABLE_READ
