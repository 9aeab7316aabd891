"""A cursor that does not load the whole result, out of any connection.

What the connection is, is asked of the drivers that are imported already: a connection of a
driver that is not imported cannot exist. A hand-made wrapper just gets ``connection.cursor()``.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from typing import Any

from .waiting import is_given_up

_numbers = itertools.count(1)


def streaming_cursor(connection: Any) -> Any:
    """A new cursor, streaming where the driver can, whose rows look as the owner asked for."""
    if _is_psycopg(connection):
        # On the server; outside of a transaction it has to keep the rows itself.
        name = f"data_migration_{next(_numbers)}"
        try:
            return connection.cursor(name=name, withhold=bool(connection.autocommit))
        except TypeError:  # a subclass whose cursor() takes no name
            return connection.cursor()
    if _is_django(connection):
        return connection.chunked_cursor()
    for package in ("MySQLdb", "pymysql"):
        if is_a(connection, f"{package}.connections", "Connection"):
            # The unbuffered twin of the connection's cursor class; a class of its own stays.
            cursors, kind = sys.modules[f"{package}.cursors"], connection.cursorclass
            twins = {cursors.Cursor: cursors.SSCursor, cursors.DictCursor: cursors.SSDictCursor}
            return connection.cursor(twins.get(kind, kind))
    return connection.cursor()


def describe(cursor: Any) -> Any:
    """``cursor.description`` after execute; a psycopg2 named cursor has to be asked to fetch."""
    description = getattr(cursor, "description", None)
    real = getattr(cursor, "cursor", cursor)  # inside Django's CursorWrapper
    if description is None and is_a(real, "psycopg2.extensions", "cursor") and real.name:
        # The base class's method: a row factory must not see a result without rows.
        sys.modules["psycopg2.extensions"].cursor.fetchmany(real, 0)
        return real.description
    return description


@contextmanager
def protected(connection: Any) -> Iterator[None]:
    """Whatever fails inside leaves the connection's transaction usable.

    Only PostgreSQL breaks it off; there a savepoint keeps the snapshot and the owner's own work.
    """
    guard: AbstractContextManager[None]
    if _is_psycopg(connection):
        guard = nullcontext() if connection.autocommit else _savepoint(connection)
    elif _is_django(connection):
        guard = _django_savepoint(connection) if connection.in_atomic_block else nullcontext()
    elif _survives_errors(connection):
        guard = nullcontext()
    else:
        guard = _rollback(connection)
    with guard:
        yield


@contextmanager
def _savepoint(connection: Any) -> Iterator[None]:
    with closing(connection.cursor()) as cursor:
        cursor.execute("SAVEPOINT data_migration")
        try:
            yield
        except Exception:
            cursor.execute("ROLLBACK TO SAVEPOINT data_migration")
            raise
        finally:
            cursor.execute("RELEASE SAVEPOINT data_migration")


@contextmanager
def _django_savepoint(connection: Any) -> Iterator[None]:
    savepoint = connection.savepoint()
    try:
        yield
    except Exception:
        connection.savepoint_rollback(savepoint)
        raise
    finally:
        connection.savepoint_commit(savepoint)


@contextmanager
def _rollback(connection: Any) -> Iterator[None]:
    try:
        yield
    except Exception:
        with suppress(Exception):
            connection.rollback()
        raise


def _is_django(connection: Any) -> bool:
    return is_a(connection, "django.db.backends.base.base", "BaseDatabaseWrapper")


def _is_psycopg(connection: Any) -> bool:
    return is_a(connection, "psycopg2.extensions", "connection") or is_a(
        connection, "psycopg", "Connection"
    )


def _survives_errors(connection: Any) -> bool:
    """Whether a refused statement is known to leave the transaction as it was."""
    modules = ("sqlite3", "MySQLdb.connections", "pymysql.connections")
    return any(is_a(connection, module, "Connection") for module in modules)


def is_apart(connection: Any, target: Any) -> bool:
    """Whether reading from a connection surely leaves that of Django's ``target`` alone.

    Of a wrapper nobody knows what is inside.
    """
    known = _is_psycopg(connection) or _survives_errors(connection)
    return known and connection is not target.connection


def settle(connection: Any) -> None:
    """Read what an earlier cursor left unread, as MySQL wants before the next statement."""
    for cursor in _unread(connection):
        with suppress(Exception):
            cursor.close()
    _unread(connection).clear()


def close_cursor(connection: Any, cursor: Any, *, exhausted: bool) -> None:
    """Close, never raising and never reading millions of rows on a connection of ours.

    mysqlclient reads the rest of an unbuffered result when its cursor is closed or collected,
    but not once the connection is closed; so the cursor is kept with the connection until then.
    """
    if is_given_up(connection):
        return
    if not exhausted and hasattr(connection, "data_migration_unread"):
        connection.data_migration_unread.append(cursor)
        return
    with suppress(Exception):
        cursor.close()


def close_connection(connection: Any) -> None:
    """Close a connection, unless its driver is busy with it for ever; never raises."""
    if is_given_up(connection):
        return
    with suppress(Exception):
        connection.close()
    _unread(connection).clear()


def _unread(connection: Any) -> list[Any]:
    unread = getattr(connection, "data_migration_unread", None)
    return unread if isinstance(unread, list) else []


def is_a(value: Any, module: str, name: str) -> bool:
    """Whether it is of a class in a module that may not be there."""
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(value, kind)
