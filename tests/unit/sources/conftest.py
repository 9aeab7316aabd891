"""Legacy databases with the same rows in them, and every way to connect to them.

A way is a function without arguments that opens a new connection; the contract suite runs over
all of them. ``Way.kind`` says what the database behind it is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_django
from django.db import connections

from data_migration import sources
from data_migration.sources import Reader, close_connection
from tests.support.legacy import connect as connect_to_server
from tests.support.legacy import execute, sqlite
from tests.support.urls import ServerURL

TOTAL = 10_000
UNICODE = "Käse äöü \N{GRINNING FACE}"
PASSWORD = "p@ss;w}rd 100%"

#: Row 1 is plain, row 2 has NULLs, row 3 every kind of text.
FIRST_ROWS = [(1, "plain", 10), (2, None, None), (3, UNICODE, 30)]


@dataclass(frozen=True)
class Way:
    """How to open one kind of connection."""

    name: str
    kind: str
    open: Callable[[], Any] = field(repr=False)
    ours: bool = False
    mark: str = "%s"
    url: ServerURL | None = None


def fill(cursor: Any, mark: str) -> None:
    """The table that every test reads: ``item`` with TOTAL rows."""
    cursor.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name VARCHAR(60), price INTEGER)")
    rows = [*FIRST_ROWS, *((i, f"item {i}", i * 10) for i in range(4, TOTAL + 1))]
    cursor.executemany(f"INSERT INTO item VALUES ({mark}, {mark}, {mark})", rows)


@pytest.fixture(scope="session")
def sqlite_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("legacy data") / "legacy shop?.sqlite3"
    with closing(sqlite(path)) as connection:
        fill(connection.cursor(), "?")
        connection.commit()
    return path


@pytest.fixture(scope="session")
def postgresql_url(fresh_postgresql_database: Callable[[], ServerURL]) -> ServerURL:
    url = fresh_postgresql_database()
    with closing(connect_to_server(url)) as connection, closing(connection.cursor()) as cursor:
        connection.autocommit = False
        fill(cursor, "%s")
        connection.commit()
    return url


@pytest.fixture(scope="session")
def mysql_url(fresh_mysql_database: Callable[[], ServerURL]) -> ServerURL:
    url = fresh_mysql_database()
    with closing(connect_to_server(url)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f"ALTER DATABASE {url.database} CHARACTER SET utf8mb4")
        connection.autocommit(False)
        fill(cursor, "%s")
        connection.commit()
    return url


@pytest.fixture
def mysql_account(mysql_url: ServerURL) -> Iterator[ServerURL]:
    """A user whose password is hard to quote."""
    user = f"reader_{mysql_url.database[-6:]}"
    accounts = [f"'{user}'@'{host}'" for host in ("%", "localhost")]  # before any anonymous user
    for account in accounts:
        execute(
            mysql_url,
            f"CREATE USER {account} IDENTIFIED BY '{PASSWORD}'",
            f"GRANT SELECT ON {mysql_url.database}.* TO {account}",
        )
    yield replace(mysql_url, user=user, password=PASSWORD)
    execute(mysql_url, *(f"DROP USER {account}" for account in accounts))


@pytest.fixture
def way(
    request: pytest.FixtureRequest,
    legacy_sources: dict[str, Any],
    django_db_blocker: pytest_django.DjangoDbBlocker,
) -> Iterator[Way]:
    """The way that the test is parametrised with."""
    with django_db_blocker.unblock():  # the alias is no database of the test project
        yield _make(request.param, request, legacy_sources)
    connections.settings.pop("legacy", None)


def _make(name: str, request: pytest.FixtureRequest, configured: dict[str, Any]) -> Way:
    kind, _, variant = name.partition("-")
    place = request.getfixturevalue("sqlite_path" if kind == "sqlite" else f"{kind}_url")
    url = place if isinstance(place, ServerURL) else None
    if variant in ("ours", "odbc", "alias"):
        entry = {"ours": _entry, "odbc": _odbc_entry, "alias": _alias_entry}[variant]
        configured["legacy"] = entry(kind, place)
        mark = "?" if variant == "odbc" or kind == "sqlite" else "%s"
        return Way(name, kind, lambda: sources.connect("legacy"), ours=True, mark=mark, url=url)
    mark = "?" if kind == "sqlite" or variant == "wrapper" else "%s"
    return Way(name, kind, lambda: _USERS[variant](place), mark=mark, url=url)


def _entry(kind: str, place: Any) -> dict[str, Any]:
    return {"ENGINE": "sqlite", "NAME": place} if kind == "sqlite" else place.source()


ODBC_DRIVERS = {
    "sqlite": "SQLite3",
    "postgresql": "PostgreSQL Unicode",
    "mysql": "MariaDB Unicode",
}


def odbc_driver(kind: str) -> str:
    """The ODBC driver's name; skips where it is not registered."""
    pyodbc = pytest.importorskip("pyodbc", exc_type=ImportError)
    if ODBC_DRIVERS[kind] not in pyodbc.drivers():
        pytest.skip(f"the ODBC driver {ODBC_DRIVERS[kind]} is not registered")
    return ODBC_DRIVERS[kind]


def _odbc_entry(kind: str, place: Any) -> dict[str, Any]:
    return {**_entry(kind, place), "ENGINE": "odbc", "OPTIONS": {"driver": odbc_driver(kind)}}


def _alias_entry(kind: str, place: Any) -> dict[str, Any]:
    database = (
        {"ENGINE": "django.db.backends.sqlite3", "NAME": place}
        if kind == "sqlite"
        else place.django()
    )
    connections.settings["legacy"] = connections.configure_settings(
        {"default": {}, "legacy": database}
    )["legacy"]
    return {"ENGINE": "django", "ALIAS": "legacy"}


# ------------------------------------------------------------------ users' own connections


def _sqlite_tuples(path: Path) -> Any:
    return sqlite3.connect(path)


def _sqlite_dicts(path: Path) -> Any:
    connection = sqlite3.connect(path)
    connection.row_factory = lambda cursor, row: {
        column[0]: value for column, value in zip(cursor.description, row, strict=True)
    }
    return connection


def _sqlite_rows(path: Path) -> Any:
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    return connection


def _arguments(url: ServerURL) -> dict[str, Any]:
    return {
        "dbname": url.database,
        "user": url.user,
        "password": url.password,
        "host": url.host,
        "port": url.port,
    }


def _psycopg2(factory: str = "", *, autocommit: bool = False) -> Callable[[ServerURL], Any]:
    def open_connection(url: ServerURL) -> Any:
        psycopg2 = pytest.importorskip("psycopg2.extras", exc_type=ImportError)
        connection = pytest.importorskip("psycopg2").connect(**_arguments(url))
        connection.cursor_factory = getattr(psycopg2, factory) if factory else None
        connection.autocommit = autocommit
        return connection

    return open_connection


def _psycopg(factory: str, *, autocommit: bool = False) -> Callable[[ServerURL], Any]:
    def open_connection(url: ServerURL) -> Any:
        psycopg = pytest.importorskip("psycopg", exc_type=ImportError)
        row_factory = getattr(psycopg.rows, factory)
        return psycopg.connect(**_arguments(url), row_factory=row_factory, autocommit=autocommit)

    return open_connection


def _mysqldb(factory: str) -> Callable[[ServerURL], Any]:
    def open_connection(url: ServerURL) -> Any:
        connection = connect_to_server(url)
        import MySQLdb.cursors

        connection.cursorclass = getattr(MySQLdb.cursors, factory)
        return connection

    return open_connection


class WrapperCursor:
    """The kind of wrapper that people wrote for drivers without dict rows."""

    def __init__(self, cursor: Any) -> None:
        self.cursor = cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cursor, name)

    def fetchone(self) -> Any:
        row = self.cursor.fetchone()
        return None if row is None else self._dict(row)

    def fetchall(self) -> Any:
        rows = self.cursor.fetchall()
        if not rows:
            return None
        return [self._dict(row) for row in rows]

    def _dict(self, row: Any) -> dict[str, Any]:
        names = (column[0].lower() for column in self.cursor.description)
        return dict(zip(names, row, strict=True))


class WrapperConnection:
    """A connection that hands out ``cursor_class`` around the driver's cursors."""

    def __init__(self, connection: Any, cursor_class: Any = WrapperCursor) -> None:
        self.connection = connection
        self.cursor_class = cursor_class

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)

    def cursor(self) -> Any:
        return self.cursor_class(self.connection.cursor())


def _odbc_wrapper(place: Any) -> Any:
    import pyodbc

    if isinstance(place, Path):
        text = f"DRIVER={{{odbc_driver('sqlite')}}};DATABASE={place}"
    else:
        driver = odbc_driver(place.engine)
        text = (
            f"DRIVER={{{driver}}};SERVER={place.host};PORT={place.port};"
            f"DATABASE={place.database};UID={place.user};PWD={place.password}"
        )
    return WrapperConnection(pyodbc.connect(text))


_USERS: dict[str, Callable[[Any], Any]] = {
    "tuples": _sqlite_tuples,
    "dicts": _sqlite_dicts,
    "rows": _sqlite_rows,
    "wrapper": _odbc_wrapper,
    "psycopg2": _psycopg2(),
    "psycopg2_dicts": _psycopg2("RealDictCursor"),
    "psycopg2_lists": _psycopg2("DictCursor"),
    "psycopg2_names": _psycopg2("NamedTupleCursor"),
    "psycopg2_autocommit": _psycopg2("RealDictCursor", autocommit=True),
    "psycopg": _psycopg("tuple_row"),
    "psycopg_dicts": _psycopg("dict_row"),
    "psycopg_autocommit": _psycopg("dict_row", autocommit=True),
    "tuples_buffered": _mysqldb("Cursor"),
    "dicts_buffered": _mysqldb("DictCursor"),
    "dicts_unbuffered": _mysqldb("SSDictCursor"),
}

OURS = [f"{kind}-{v}" for kind in ODBC_DRIVERS for v in ("ours", "odbc", "alias")]
THEIRS = [
    *(f"sqlite-{v}" for v in ("tuples", "dicts", "rows", "wrapper")),
    *(f"postgresql-{v}" for v in _USERS if v.startswith("psycopg")),
    *(f"mysql-{v}" for v in ("tuples_buffered", "dicts_buffered", "dicts_unbuffered")),
    *(f"{kind}-wrapper" for kind in ("postgresql", "mysql")),
]
EVERY = OURS + THEIRS


# ------------------------------------------------------------------ what the tests do with them


@contextmanager
def reading(way: Way) -> Iterator[Reader]:
    connection = way.open()
    reader = Reader(connection, "shop.ItemMigration")
    try:
        yield reader
    finally:
        reader.close()
        close_connection(connection)


def dicts_of(
    reader: Reader, size: int, limit: int | None = None
) -> Iterator[list[dict[str, Any]]]:
    """The rows of a reader that has executed its query, as lists of dicts."""
    return (rows.dicts() for rows in reader.rows(size, limit))


def rows_of(reader: Reader, query: str, params: Any = (), **options: Any) -> list[dict[str, Any]]:
    reader.execute(query, params)
    return [row for batch in dicts_of(reader, 3000, **options) for row in batch]
