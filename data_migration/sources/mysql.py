"""MySQL and MariaDB through mysqlclient.

The connection speaks utf8mb4 unless OPTIONS says otherwise; BIT columns are numbers. OPTIONS are
passed to ``MySQLdb.connect``: ``charset``, ``unix_socket``, ``ssl``, ``connect_timeout`` and
so on.
"""

from __future__ import annotations

from typing import Any

from .base import SERVER_KEYS, Source, import_driver, prepared

KEYS = SERVER_KEYS
REQUIRED: tuple[str, ...] = ("NAME",)
_NAMES = {
    "NAME": "database",
    "USER": "user",
    "PASSWORD": "password",
    "HOST": "host",
    "PORT": "port",
}

#: Each stands alone: servers before 5.6 know the second only, or none.
_SNAPSHOTS = (
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT",
)


def connect(source: Source) -> Any:
    """Open a session that can only read and sees one snapshot, where the server knows them."""
    driver = import_driver(source, "mysql", "MySQLdb")
    from MySQLdb.constants import FIELD_TYPE  # noqa: PLC0415 - optional driver
    from MySQLdb.converters import conversions  # noqa: PLC0415 - optional driver

    converters = {**conversions, FIELD_TYPE.BIT: lambda value: int.from_bytes(value, "big")}
    arguments = {"charset": "utf8mb4", "conv": converters, **source.renamed(_NAMES)}
    if "port" in arguments:
        arguments["port"] = int(arguments["port"])
    connection = driver.connect(**{**arguments, **source.options})
    return prepared(connection, make_read_only)


def make_read_only(connection: Any) -> None:
    """Refuse writes and take the snapshot; an old server that knows neither goes on without."""
    connection.data_migration_unread = []  # marks it as ours: see streaming.close_cursor
    connection.autocommit(False)
    _try(connection, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    _try(connection, "SET SESSION TRANSACTION READ ONLY")
    any(_try(connection, statement) for statement in _SNAPSHOTS)


def _try(connection: Any, statement: str) -> bool:
    """Whether the server took the statement; only a refusal counts as a no, not a lost server."""
    cursor = connection.cursor()
    try:
        cursor.execute(statement)
    except (connection.ProgrammingError, connection.NotSupportedError):
        return False
    finally:
        cursor.close()
    return True
