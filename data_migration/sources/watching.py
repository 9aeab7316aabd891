"""The cursor of any connection, made to say what its driver makes of values in silence."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

from django.utils.timezone import get_default_timezone

from ..rows.remarks import Remark
from . import mysql, postgresql, sqlite
from .narrowing import MYSQL_DRIVERS, driver_of
from .streaming import is_a


@contextmanager
def watching(cursor: Any) -> Iterator[list[Remark]]:
    """Execute inside; what the cursor then says of its values comes into the list.

    A remark stands in the row, in the place of the value. Says nothing of drivers that it does
    not know, and of conversions that the owner of a connection chose.
    """
    found: list[Remark] = []
    real = getattr(cursor, "cursor", cursor)  # inside Django's CursorWrapper
    if is_a(real, "psycopg2.extensions", "cursor"):
        postgresql.watch_psycopg2(real, found)
    elif is_a(real, "psycopg", "Cursor"):
        postgresql.watch_psycopg(real, found)
    elif is_a(real, "MySQLdb.cursors", "BaseCursor"):
        with mysql.watched(real.connection, found):
            yield found
        return
    elif is_a(real, "sqlite3", "Cursor"):
        with sqlite.watched(found):
            yield found
        return
    yield found


def let_lists_be_long(connection: Any) -> None:
    """Keep MySQL from cutting what GROUP_CONCAT returns, of which it says nothing with the rows.

    That holds for the session, whoever opened it. A server or a proxy may refuse.
    """
    if _is_mysql(connection):
        with suppress(Exception), closing(connection.cursor()) as cursor:
            cursor.execute(mysql.LONG_LISTS)


def zone_problem(connection: Any, query: str) -> str:
    """Why what the query returns would be hours off, in one sentence; empty where it would not."""
    found = mysql.ZONED.search(query) if mysql.is_in_utc(connection) else None
    if found is None:
        return ""
    return (
        f"the query calls {found[0].upper()}, which depends on the time zone of the session, and"
        f" the server does not know {get_default_timezone()}. Load the zones into it"
        " (mysql_tzinfo_to_sql), or choose a zone by OPTIONS, such as"
        ' {"init_command": "SET time_zone = \'+01:00\'"}'
    )


def _is_mysql(connection: Any) -> bool:
    if hasattr(connection, "vendor"):  # Django's
        return bool(connection.vendor == "mysql")
    driver, real = driver_of(connection)
    package = driver.partition(".")[0]
    if package == "pyodbc":
        return real.getinfo(sys.modules["pyodbc"].SQL_DBMS_NAME) in ("MySQL", "MariaDB")
    return package in MYSQL_DRIVERS
