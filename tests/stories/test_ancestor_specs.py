"""Specs as people wrote them for django-data-migration 0.2.1, and the connections they opened.

None of them knows anything of what came later; each has to run unchanged.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings

from data_migration.models import RowError, RunStep
from tests.apps.classic.models import Person, Pet, Tag
from tests.support.legacy import execute
from tests.support.old_project import OldProject, old_project
from tests.support.urls import ServerURL

pytestmark = pytest.mark.django_db

TABLES = """
    CREATE TABLE tags (id INTEGER PRIMARY KEY, word VARCHAR(50));
    CREATE TABLE people (id INTEGER PRIMARY KEY, name VARCHAR(50), email VARCHAR(50),
                         boss INTEGER, tags VARCHAR(50), seen VARCHAR(30));
    CREATE TABLE pets (id INTEGER PRIMARY KEY, name VARCHAR(50), owner VARCHAR(50),
                       breeder INTEGER, weight INTEGER);
    INSERT INTO tags VALUES (1, 'rot'), (2, 'grün'), (3, 'blau');
    INSERT INTO people VALUES
        (1, 'Ann', 'a@x', NULL, 'rot|blau', '2001-02-03 04:05:06+00:00'),
        (2, 'Jörg', 'j@x', 1, NULL, '2002-03-04 05:06:07+00:00'),
        (3, 'Cem', 'a@x', 1, 'grün', '2003-04-05 06:07:08+00:00');
    INSERT INTO pets VALUES (1, 'Rex', 'Ann', 99, 30), (2, 'Tom', 'Jörg', 2, 4),
                            (3, 'Ghost', 'Nobody', NULL, 0)
"""


@pytest.fixture
def old(settings: LazySettings, tmp_path: Path) -> Iterator[OldProject]:
    with old_project(tmp_path) as project:
        project.sql(TABLES)
        yield project


SPEC = """
import sys

class TagMigration(Old):
    query = "SELECT id, word FROM tags"
    model = Tag

    @classmethod
    def hook_row_count(self, connection, cursor):
        return cursor.rowcount


class PersonMigration(Old):
    query = '''
        SELECT id, name, email, boss, tags, seen AS seen_at FROM people ORDER BY id DESC;
    '''
    model = Person
    depends_on = [Tag]
    # klass, search_attr, fk, m2m, o2o, exclude, delimiter, skip_missing, prefetch, assign_by_id
    column_description = {
        "boss": is_a(Person, "id", True, False, False, False, ";", True, False, False),
        "tags": is_a(Tag, "word", False, True, False, False, "|", False, True, False),
        "seen_at": is_a(None, None, False, False, False, True),
    }
    failed = []

    @classmethod
    def hook_row_count(self, connection, cursor):
        cursor.execute("SELECT COUNT(*) AS total FROM people")
        return cursor.fetchone()["total"]

    @classmethod
    def hook_after_save(self, instance, row):
        # because of auto_now_add
        instance.seen_at = row["seen_at"]
        instance.save()

    @classmethod
    def hook_error_creating_instance(self, exception, row):
        self.failed.append((type(exception).__name__, row["id"]))


class PetMigration(Old):
    query = "SELECT * FROM pets"
    model = Pet
    depends_on = [Person]
    column_description = {
        "owner": is_a(Person, "name", True, skip_missing=True),
        "breeder": is_a(Person, "id", True, skip_missing=True, prefetch=True, assign_by_id=True),
        "weight": is_a(exclude=True),
    }

    @classmethod
    def hook_row_count(self, connection, cursor):
        return connection.execute("SELECT COUNT(*) AS n FROM pets").fetchone()["n"]

    @classmethod
    def hook_before_save(self, instance, row):
        if row["weight"] == 0:
            return False
"""


def people() -> list[tuple[Any, ...]]:
    return [
        (p.id, p.name, p.boss_id, sorted(p.tags.values_list("word", flat=True)))
        for p in Person.objects.order_by("id")
    ]


def counts(label: str) -> dict[str, tuple[Any, ...]]:
    """By migration: total, read, created, skipped, failed, warnings."""
    return {
        step.migration.removeprefix(f"{label}."): (
            step.total,
            step.read,
            step.created,
            step.skipped,
            step.failed,
            step.warnings,
        )
        for step in RunStep.objects.filter(run__mode="commit")
    }


@pytest.mark.parametrize("batch_size", ["1", "2", "2000"])
def test_a_whole_old_spec_runs_unchanged(old: OldProject, batch_size: str) -> None:
    label = old.app(SPEC)

    result = old.migrate(label, "--commit", "--batch-size", batch_size)

    # Ann and Cem share an address, which is unique. Cem comes first, but waits for his boss.
    assert old.module(label).PersonMigration.failed == [("IntegrityError", 3)]
    failure = RowError.objects.get(kind="failure")
    assert (failure.key, failure.column, failure.value) == ("3", "email", "'a@x'")
    assert (result.code, "1 row failed" in result.error) == (1, True)
    assert people() == [(1, "Ann", None, ["blau", "rot"]), (2, "Jörg", 1, [])]
    assert counts(label)["PersonMigration"] == (3, 3, 2, 0, 1, 0)


def test_old_hooks_and_positional_arguments_mean_what_they_meant(old: OldProject) -> None:
    old.sql("UPDATE people SET email = 'c@x' WHERE id = 3")
    label = old.app(SPEC)

    assert old.migrate(label, "--commit").code == 0

    assert people() == [
        (1, "Ann", None, ["blau", "rot"]),
        (2, "Jörg", 1, []),
        (3, "Cem", 1, ["grün"]),
    ]
    assert Person.objects.get(id=1).seen_at == dt.datetime(2001, 2, 3, 4, 5, 6, tzinfo=dt.UTC)
    assert list(Pet.objects.order_by("id").values_list("name", "owner__name", "breeder")) == [
        ("Rex", "Ann", None),
        ("Tom", "Jörg", 2),
    ]
    assert counts(label) == {
        "TagMigration": (None, 3, 3, 0, 0, 0),
        "PersonMigration": (3, 3, 3, 0, 0, 0),
        "PetMigration": (3, 3, 2, 1, 0, 1),
    }


def test_without_commit_an_old_spec_leaves_nothing(old: OldProject) -> None:
    old.sql("UPDATE people SET email = 'c@x' WHERE id = 3")
    label = old.app(SPEC)
    assert old.migrate(label).code == 0
    assert not any(model.objects.exists() for model in (Person, Pet, Tag))


# ---------------------------------------------------------------- connections

ONE_CONNECTION_FOR_ALL = """
opened = []

class Shared(Migration):
    connection = None

    @classmethod
    def open_db_connection(self):
        if Shared.connection is None:
            Shared.connection = sqlite3.connect({legacy!r})
            Shared.connection.row_factory = dict_factory
            opened.append(Shared.connection)
        return Shared.connection

class TagMigration(Shared):
    query = "SELECT id, word FROM tags"
    model = Tag

class PersonMigration(Shared):
    query = "SELECT id, name FROM people"
    model = Person
    depends_on = [Tag]

class PetMigration(Shared):
    query = "SELECT id, name FROM pets"
    model = Pet
    depends_on = [Person]
"""


@pytest.mark.parametrize("options", [(), ("--commit",), ("--limit", "1")])
def test_one_connection_may_serve_several_migrations(
    old: OldProject, options: tuple[str, ...]
) -> None:
    label = old.app(ONE_CONNECTION_FOR_ALL.replace("{legacy!r}", repr(str(old.legacy))))

    result = old.migrate(label, *options)

    assert (result.code, result.error) == (0, "")
    (connection,) = old.module(label).opened
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


def test_a_connection_kept_for_the_next_run_is_said_to_be_closed(old: OldProject) -> None:
    # It used to be the end of the process; a second run in the same one needs a new connection.
    label = old.app(ONE_CONNECTION_FOR_ALL.replace("{legacy!r}", repr(str(old.legacy))))
    assert old.migrate(label).code == 0
    result = old.migrate(label, "--commit")
    assert result.code == 1
    assert "open_db_connection() has to open a new one" in result.error


OWN_CONNECTIONS = {
    "mysql-DictCursor": """
import MySQLdb
import MySQLdb.cursors

def connect():
    return MySQLdb.connect(
        host={host!r}, port={port!r}, user={user!r}, passwd={password!r}, db={database!r},
        charset="utf8", use_unicode=True, cursorclass=MySQLdb.cursors.DictCursor)
""",
    "postgresql-RealDictCursor": """
import psycopg2
import psycopg2.extras

def connect():
    conn = psycopg2.connect(
        host={host!r}, port={port!r}, user={user!r}, password={password!r}, dbname={database!r})
    conn.cursor_factory = psycopg2.extras.RealDictCursor
    return conn
""",
    "postgresql-pyodbc": """
import pyodbc

class CursorWrapper(object):
    def __init__(self, cursor):
        self.cursor = cursor

    def __getattr__(self, attr):
        return getattr(self.cursor, attr)

    def fetchone(self):
        row = self.cursor.fetchone()
        if not row:
            return None
        return dict((t[0], value) for t, value in zip(self.cursor.description, row))

    def fetchall(self):
        rows = self.cursor.fetchall()
        if not rows:
            return None
        return [dict((t[0], value) for t, value in zip(self.cursor.description, row))
                for row in rows]

class ConnectionWrapper(object):
    def __init__(self, cnxn):
        self.cnxn = cnxn

    def __getattr__(self, attr):
        return getattr(self.cnxn, attr)

    def cursor(self):
        return CursorWrapper(self.cnxn.cursor())

def connect():
    cnxn = pyodbc.connect(
        "DRIVER={{PostgreSQL Unicode}};SERVER=%s;PORT=%s;DATABASE=%s;UID=%s;PWD=%s"
        % ({host!r}, {port!r}, {database!r}, {user!r}, {password!r}))
    return ConnectionWrapper(cnxn)
""",
}

READ_BY_OWN_CONNECTION = """
opened = []

class Base(Migration):
    @classmethod
    def open_db_connection(self):
        opened.append(connect())
        return opened[-1]

class TagMigration(Base):
    query = "SELECT id, word FROM tags WHERE word LIKE '%' ORDER BY id"
    model = Tag

    @classmethod
    def hook_row_count(self, connection, cursor):
        return cursor.rowcount

class NoTagMigration(Base):
    query = "SELECT id, word FROM tags WHERE id < 0"
    model = Tag

class PersonMigration(Base):
    query = "SELECT id, name, boss, tags FROM people"
    model = Person
    depends_on = [Tag]
    column_description = {
        "boss": is_a(Person, search_attr="id", fk=True, skip_missing=True),
        "tags": is_a(Tag, search_attr="word", m2m=True, delimiter="|"),
    }
"""


@pytest.fixture
def on_server(request: pytest.FixtureRequest) -> Callable[[str], ServerURL]:
    """The legacy tables on a server: ``on_server("mysql")``."""

    def place(engine: str) -> ServerURL:
        url: ServerURL = request.getfixturevalue(f"fresh_{engine}_database")()
        if engine == "mysql":
            execute(url, f"ALTER DATABASE {url.database} CHARACTER SET utf8mb4")
        execute(url, *TABLES.split(";"))
        return url

    return place


@pytest.mark.parametrize("way", sorted(OWN_CONNECTIONS))
def test_a_connection_from_the_old_documentation_serves(
    way: str, old: OldProject, on_server: Callable[[str], ServerURL]
) -> None:
    engine, _, driver = way.partition("-")
    if driver == "pyodbc":
        pyodbc = pytest.importorskip("pyodbc", exc_type=ImportError)
        if "PostgreSQL Unicode" not in pyodbc.drivers():
            pytest.skip("the ODBC driver PostgreSQL Unicode is not registered")
    url = on_server(engine)
    connect = OWN_CONNECTIONS[way].format(
        host=url.host, port=url.port, user=url.user, password=url.password, database=url.database
    )
    label = old.app(connect + READ_BY_OWN_CONNECTION)

    result = old.migrate(label, "--commit")

    assert (result.code, result.error) == (0, "")
    assert [tag.word for tag in Tag.objects.order_by("id")] == ["rot", "grün", "blau"]
    assert people() == [
        (1, "Ann", None, ["blau", "rot"]),
        (2, "Jörg", 1, []),
        (3, "Cem", 1, ["grün"]),
    ]
    opened = old.module(label).opened
    assert len(opened) == 3
    for connection in opened:
        with pytest.raises(Exception):  # noqa: B017 - each driver has its own
            connection.cursor().execute("SELECT 1")
