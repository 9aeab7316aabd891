"""Is it the row, or is it the database? Only a fault of the row may be narrowed down."""

from __future__ import annotations

from django.db import Error, connections

#: SQLSTATE classes (PostgreSQL, "Error Codes"): connection, transaction rollback, resources,
#: operator intervention, system errors.
_SQLSTATE_CLASSES = frozenset({"08", "40", "53", "57", "58"})
#: Missing table or column, missing privilege.
_SQLSTATES = frozenset({"42P01", "42703", "42501"})
#: MySQL and MariaDB: disk or table full, lock wait, deadlock, read-only, server gone, missing
#: table or column, missing privilege.
_MYSQL_CODES = frozenset({1021, 1054, 1114, 1142, 1146, 1205, 1213, 1290, 2006, 2013, 2055})
#: SQLite's names for the same (https://www.sqlite.org/rescode.html).
_SQLITE_NAMES = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_READONLY")
_SQLITE_WORDS = ("no such table", "has no column")


def is_fault_of_database(error: BaseException, database: str) -> bool:
    """Whether ``error`` would have met any row: server gone, disk full, table missing."""
    if not isinstance(error, Error):
        return False
    connection = connections[database]
    if connection.connection is None or connection.needs_rollback:
        return True  # the savepoint could not be rolled back: the transaction is lost
    if getattr(connection.connection, "closed", False):
        return True  # psycopg's errors say so without a SQLSTATE
    cause = error.__cause__ or error
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None) or ""
    if state[:2] in _SQLSTATE_CLASSES or state in _SQLSTATES:
        return True
    if connection.vendor == "mysql":
        return bool(cause.args) and cause.args[0] in _MYSQL_CODES
    if connection.vendor == "sqlite":
        name = getattr(cause, "sqlite_errorname", "")
        return name.startswith(_SQLITE_NAMES) or any(word in str(cause) for word in _SQLITE_WORDS)
    return False
