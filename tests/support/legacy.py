"""Legacy databases: connections, statements, whole scripts, and what is in them."""

from __future__ import annotations

import datetime as dt
import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.support.urls import ServerURL

#: Lines by which a script chooses a database of its own.
_CHOICE_OF_DATABASE = re.compile(r"^(DROP DATABASE|CREATE DATABASE|USE|\\c) .*$", re.MULTILINE)


def sqlite(path: Path) -> sqlite3.Connection:
    """A connection that lets the system write its file when it likes: syncing takes long."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA synchronous = OFF")
    return connection


def connect(url: ServerURL) -> Any:
    """A DB-API connection that commits each statement."""
    if url.engine == "postgresql":
        return _postgresql(url)
    return _mysql(url)


def execute(url: ServerURL, *statements: str) -> None:
    """Run ``statements``, each committed by itself."""
    with closing(connect(url)) as connection, closing(connection.cursor()) as cursor:
        for statement in statements:
            cursor.execute(statement)


def load(url: ServerURL, script: Path) -> ServerURL:
    """Run an SQL script in the database of ``url``, whichever one the script would choose.

    Returns ``url``.
    """
    text = _CHOICE_OF_DATABASE.sub("", script.read_text(encoding="utf-8"))
    with closing(connect(url)) as connection, closing(connection.cursor()) as cursor:
        if url.engine == "postgresql":
            cursor.execute(text)  # without parameters the server takes many statements at once
            return url
        # Data are safe in a throwaway database; a thousand INSERTs each synced are slow.
        connection.autocommit(False)
        cursor.execute(text)
        while cursor.nextset():
            pass
        connection.commit()
    return url


def rows(connection: Any, query: str) -> list[tuple[Any, ...]]:
    """What ``query`` returns, each cell in one plain form, in the order of the first column."""
    with closing(connection.cursor()) as cursor:
        cursor.execute(query)
        return sorted((plain(row) for row in cursor.fetchall()), key=lambda row: str(row))


def plain(cells: Iterable[Any]) -> tuple[Any, ...]:
    """The cells as text, number or None, so that rows of two databases can be compared."""
    return tuple(_plain(cell) for cell in cells)


def _plain(cell: Any) -> Any:
    if isinstance(cell, bytes):
        cell = cell.decode()
    if isinstance(cell, (bool, int, float, Decimal)):
        # A price is 1.5, 1.50 or 1.5000, as the database likes it; no cent is lost here.
        return format(Decimal(str(int(cell) if isinstance(cell, bool) else cell)), ".4f")
    if isinstance(cell, dt.datetime):
        return cell.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(cell, dt.date):
        return f"{cell:%Y-%m-%d} 00:00:00"
    return cell


def _postgresql(url: ServerURL) -> Any:
    import psycopg2

    connection = psycopg2.connect(
        dbname=url.database,
        user=url.user,
        password=url.password,
        host=url.host,
        port=url.port,
    )
    connection.autocommit = True
    return connection


def _mysql(url: ServerURL) -> Any:
    import MySQLdb

    return MySQLdb.connect(
        db=url.database,
        user=url.user,
        passwd=url.password,
        host=url.host,
        port=url.port,
        charset="utf8mb4",
        autocommit=True,
    )
