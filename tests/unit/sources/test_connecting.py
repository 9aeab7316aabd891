"""Opening DATA_MIGRATION_SOURCES: what is refused, and how the session is protected."""

from __future__ import annotations

import gc
import sqlite3
import sys
import traceback
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from data_migration.exceptions import MissingDriver, SourceError, SpecError
from data_migration.sources import Reader, close_connection, connect
from tests.support.legacy import connect as connect_to_server
from tests.support.legacy import execute
from tests.support.urls import ServerURL
from tests.unit.sources.conftest import (
    OURS,
    PASSWORD,
    TOTAL,
    Way,
    dicts_of,
    odbc_driver,
    reading,
    rows_of,
)

ALL = "SELECT id, name, price FROM item ORDER BY id"
ours = pytest.mark.parametrize("way", OURS, indirect=True)


@ours
@pytest.mark.parametrize("statement", ["INSERT INTO item (id) VALUES (0)", "DROP TABLE item"])
def test_our_connections_refuse_to_write(way: Way, statement: str) -> None:
    connection = way.open()
    cursor = connection.cursor()
    with pytest.raises(Exception, match=r"(?i)read-?\s?only"):
        cursor.execute(statement)
    close_connection(connection)
    with reading(way) as reader:
        assert reader.count(ALL) == TOTAL


@pytest.mark.parametrize("way", [name for name in OURS if "sqlite" not in name], indirect=True)
def test_our_connections_see_one_snapshot(way: Way) -> None:
    assert way.url is not None
    with reading(way) as reader, closing(connect_to_server(way.url)) as writer:
        assert reader.count(ALL) == TOTAL
        cursor = writer.cursor()
        cursor.execute("INSERT INTO item (id) VALUES (99999)")
        try:
            assert (reader.count(ALL), len(rows_of(reader, ALL))) == (TOTAL, TOTAL)
        finally:
            cursor.execute("DELETE FROM item WHERE id = 99999")


@ours
def test_a_connection_is_closed(way: Way) -> None:
    connection = way.open()
    close_connection(connection)
    with pytest.raises(Exception):  # noqa: B017 - each driver has an error of its own
        connection.cursor().execute("SELECT 1")


@ours
def test_the_connection_may_be_closed_before_the_cursor(way: Way) -> None:
    reader = Reader(way.open(), "shop.ItemMigration")
    reader.execute(ALL)
    next(dicts_of(reader, 10))
    close_connection(reader.connection)
    reader.close()


# ------------------------------------------------------------------ wrong settings

WRONG = {
    "no engine": (
        {"NAME": "x"},
        "DATA_MIGRATION_SOURCES['legacy'] has no ENGINE. "
        "Use one of django, mysql, odbc, postgresql, sqlite.",
    ),
    "unknown engine": (
        {"ENGINE": "django.db.backends.postgresq", "NAME": "x"},
        "DATA_MIGRATION_SOURCES['legacy'] has unknown ENGINE 'django.db.backends.postgresq'. "
        "Use one of django, mysql, odbc, postgresql, sqlite. Did you mean 'postgresql'?",
    ),
    "no name": (
        {"ENGINE": "mysql", "HOST": "db"},
        "DATA_MIGRATION_SOURCES['legacy'] has no NAME. "
        "Add it: the database's name, or the path of the file for sqlite.",
    ),
    "no alias": (
        {"ENGINE": "django"},
        "DATA_MIGRATION_SOURCES['legacy'] has no ALIAS. Add it: a name from DATABASES.",
    ),
    "unknown key": (
        {"ENGINE": "sqlite", "NAME": "x", "FILE": "x", "HOST": ""},
        "DATA_MIGRATION_SOURCES['legacy'] has unknown keys: FILE. The engine 'sqlite' knows "
        "ENGINE, NAME, OPTIONS; anything for the driver itself goes into OPTIONS.",
    ),
    "options": (
        {"ENGINE": "sqlite", "NAME": "x", "OPTIONS": ["timeout"]},
        "DATA_MIGRATION_SOURCES['legacy']: OPTIONS must be a dict, not list.",
    ),
    "unknown option": (
        {"ENGINE": "sqlite", "NAME": "x", "OPTIONS": {"charset": "latin1"}},
        "DATA_MIGRATION_SOURCES['legacy']: sqlite has no OPTIONS charset. It knows "
        "cached_statements, check_same_thread, detect_types, immutable, text_factory, timeout.",
    ),
    "port": (
        {"ENGINE": "mysql", "NAME": "x", "PORT": "mysql"},
        "DATA_MIGRATION_SOURCES['legacy']: PORT must be a number, not 'mysql'.",
    ),
    "no driver": (
        {"ENGINE": "odbc", "HOST": "x"},
        "DATA_MIGRATION_SOURCES['legacy']: OPTIONS has neither driver nor dsn. "
        'Add one, such as {"driver": "ODBC Driver 18 for SQL Server"}.',
    ),
    "unknown alias": (
        {"ENGINE": "django", "ALIAS": "old"},
        "DATA_MIGRATION_SOURCES['legacy']: ALIAS 'old' is not in DATABASES. It has default.",
    ),
    "no mapping": (
        "mysql://db",
        "DATA_MIGRATION_SOURCES['legacy'] must be a dict, not str.",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_entry_is_a_spec_error(case: str, legacy_sources: dict[str, Any]) -> None:
    legacy_sources["legacy"], message = WRONG[case]
    with pytest.raises(SpecError) as caught:
        connect("legacy")
    assert str(caught.value) == message


def test_an_unknown_name_lists_the_known_ones(legacy_sources: dict[str, Any]) -> None:
    with pytest.raises(SpecError) as caught:
        connect("legacy")
    assert str(caught.value) == ("DATA_MIGRATION_SOURCES has no source 'legacy'. It has: none.")
    legacy_sources.update(shop={}, crm={})
    with pytest.raises(SpecError, match=r"has no source 'legacy'. It has: crm, shop\.$"):
        connect("legacy")


def test_options_that_the_driver_does_not_take(
    legacy_sources: dict[str, Any], mysql_url: ServerURL
) -> None:
    legacy_sources["legacy"] = {**mysql_url.source(), "OPTIONS": {"colour": "red"}}
    with pytest.raises(SpecError, match=r"the driver does not take these OPTIONS: .*colour"):
        connect("legacy")


@pytest.mark.parametrize(
    ("engine", "modules", "extra"),
    [
        ("mysql", ["MySQLdb"], "mysql"),
        ("postgresql", ["psycopg2", "psycopg"], "postgresql"),
        ("odbc", ["pyodbc"], "odbc"),
    ],
)
def test_a_missing_driver_is_named_with_its_pip_line(
    engine: str,
    modules: list[str],
    extra: str,
    legacy_sources: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)
    legacy_sources["legacy"] = {"ENGINE": engine, "NAME": "x"}
    with pytest.raises(MissingDriver) as caught:
        connect("legacy")
    assert str(caught.value).startswith(
        f"DATA_MIGRATION_SOURCES['legacy']: the Python driver for the engine '{engine}' "
        f"is not installed ({modules[0]}: "
    )
    assert str(caught.value).endswith(f"Install it: pip install django-migrate-legacy[{extra}]")


def test_psycopg_3_serves_where_psycopg2_is_missing(
    legacy_sources: dict[str, Any],
    postgresql_url: ServerURL,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("psycopg", exc_type=ImportError)
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    legacy_sources["legacy"] = postgresql_url.source()
    connection = connect("legacy")
    assert type(connection).__module__.startswith("psycopg")
    assert not type(connection).__module__.startswith("psycopg2")
    reader = Reader(connection, "shop.ItemMigration")
    assert (reader.count(ALL), len(rows_of(reader, ALL))) == (TOTAL, TOTAL)
    reader.close()
    with pytest.raises(Exception, match="read-only"):
        connection.execute("DELETE FROM item")
    close_connection(connection)


# ------------------------------------------------------------------ databases out of reach


def test_a_missing_sqlite_file_is_an_error_and_not_created(
    legacy_sources: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "nothing.db"
    legacy_sources["legacy"] = {"ENGINE": "sqlite", "NAME": path}
    with pytest.raises(SourceError) as caught:
        connect("legacy")
    assert str(caught.value) == (
        f"DATA_MIGRATION_SOURCES['legacy']: cannot connect to the sqlite database '{path}': "
        f"there is no file {path}. Check NAME: it must be the path of a readable SQLite 3 file."
    )
    assert not path.exists()


def test_a_missing_file_behind_odbc_is_not_created(
    legacy_sources: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "nothing.db"
    options = {"driver": odbc_driver("sqlite")}
    legacy_sources["legacy"] = {"ENGINE": "odbc", "NAME": path, "OPTIONS": options}
    with pytest.raises(SourceError, match="cannot connect to the odbc database"):
        connect("legacy")
    assert not path.exists()


def test_a_missing_file_behind_an_alias_is_not_created(
    legacy_sources: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import connections

    path = tmp_path / "nothing.db"
    database = {**connections.settings["default"], "ENGINE": "django.db.backends.sqlite3"}
    monkeypatch.setitem(connections.settings, "old", {**database, "NAME": path})
    legacy_sources["legacy"] = {"ENGINE": "django", "ALIAS": "old"}
    with pytest.raises(SourceError, match=r"DATABASES\['old'\]: there is no file .*nothing\.db\."):
        connect("legacy")
    assert not path.exists()


def test_a_file_that_is_no_database_is_found_when_connecting(
    legacy_sources: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "letter.db"
    path.write_text("Dear reader, this is no database. " * 10)
    legacy_sources["legacy"] = {"ENGINE": "sqlite", "NAME": str(path)}
    with pytest.raises(SourceError, match=r"'.*letter\.db': file is not a database\. Check NAME"):
        connect("legacy")
    gc.collect()  # a connection left open would warn here


def test_text_factory_may_be_an_encoding_or_a_function(
    legacy_sources: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "latin.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t AS SELECT CAST(x'4BE473' AS TEXT) AS name")
    for factory, expected in [("latin-1", "Käs"), (bytes, b"K\xe4s")]:
        options = {"text_factory": factory, "immutable": True}
        legacy_sources["legacy"] = {"ENGINE": "sqlite", "NAME": path, "OPTIONS": options}
        with closing(connect("legacy")) as opened:
            reader = Reader(opened, "shop.Item")
            assert rows_of(reader, "SELECT name FROM t") == [{"name": expected}]
    legacy_sources["legacy"]["OPTIONS"] = {"text_factory": "latin-99"}
    with pytest.raises(SpecError, match=r"text_factory: unknown encoding: latin-99\. Give a"):
        connect("legacy")


def _servers(
    engine: str, request: pytest.FixtureRequest, legacy_sources: dict[str, Any]
) -> tuple[dict[str, Any], ServerURL]:
    kind, _, through = engine.partition("-")
    url: ServerURL = request.getfixturevalue(f"{kind}_url")
    entry = {**url.source(), "PASSWORD": PASSWORD}
    if through:
        entry |= {"ENGINE": "odbc", "OPTIONS": {"driver": odbc_driver(kind)}}
    legacy_sources["legacy"] = entry
    return entry, url


SERVERS = ["postgresql", "mysql", "postgresql-odbc", "mysql-odbc"]


@pytest.mark.parametrize("engine", SERVERS)
@pytest.mark.parametrize(
    "wrong", [{"NAME": "no_such_db"}, {"HOST": "127.0.0.1", "PORT": 1}, {"USER": "nobody_there"}]
)
def test_what_cannot_be_reached_is_named_without_the_password(
    engine: str,
    wrong: dict[str, Any],
    request: pytest.FixtureRequest,
    legacy_sources: dict[str, Any],
) -> None:
    entry, url = _servers(engine, request, legacy_sources)
    entry |= {"PASSWORD": PASSWORD if "USER" in wrong else url.password or PASSWORD, **wrong}
    with pytest.raises(SourceError) as caught:
        connect("legacy")
    message = str(caught.value)
    assert message.startswith(
        f"DATA_MIGRATION_SOURCES['legacy']: cannot connect to the {entry['ENGINE']} database "
        f"'{entry['NAME']}' at {entry['HOST']}:{entry['PORT']} as user '{entry['USER']}': "
    )
    assert message.endswith("and that the server runs and lets this machine in.")
    assert "\n" not in message
    printed = "".join(traceback.format_exception(caught.value))
    assert entry["PASSWORD"] not in printed.replace(entry["HOST"], "")


@pytest.mark.parametrize("through", ["", "-odbc"])
def test_a_password_that_is_hard_to_quote_opens_the_door_and_stays_secret(
    through: str,
    request: pytest.FixtureRequest,
    legacy_sources: dict[str, Any],
    mysql_account: ServerURL,
) -> None:
    entry, _ = _servers("mysql" + through, request, legacy_sources)
    entry |= {"USER": mysql_account.user, "PASSWORD": mysql_account.password}
    with closing(connect("legacy")) as connection:
        assert Reader(connection, "shop.Item").count(ALL) == TOTAL
    entry["PASSWORD"] = wrong = "wr;o}ng=pass"
    with pytest.raises(SourceError, match="Access denied") as caught:
        connect("legacy")
    printed = "".join(traceback.format_exception(caught.value))
    assert wrong not in printed
    assert wrong not in repr(caught.value)


def test_bits_are_numbers_on_mysql(legacy_sources: dict[str, Any], mysql_url: ServerURL) -> None:
    legacy_sources["legacy"] = mysql_url.source()
    execute(
        mysql_url,
        "CREATE TABLE flag (one BIT(1), many BIT(12), none BIT(1), bytes VARBINARY(9))",
        "INSERT INTO flag VALUES (b'1', b'100000000001', NULL, x'01')",
    )
    with closing(connect("legacy")) as connection:
        reader = Reader(connection, "shop.Item")
        rows = rows_of(reader, "SELECT * FROM flag")
        assert rows == [{"one": 1, "many": 2049, "none": None, "bytes": b"\x01"}]
    execute(mysql_url, "DROP TABLE flag")


@pytest.mark.parametrize("way", ["postgresql-ours", "postgresql-alias"], indirect=True)
def test_json_is_a_python_value_on_postgresql(way: Way) -> None:
    with reading(way) as reader:
        rows = rows_of(reader, """SELECT '{"a": [1]}'::jsonb AS new, '{"a": 1}'::json AS old""")
        assert rows == [{"new": {"a": [1]}, "old": {"a": 1}}]
