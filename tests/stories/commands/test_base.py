"""Errors: each is one clear message with the right exit code, and nothing is half written."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from data_migration import is_a
from data_migration.models import RowError, Run, RunStep
from tests.apps.library.fixtures import (
    NOTHING,
    Library,
    counts,
    library_fixture,  # noqa: F401
)
from tests.apps.library.testing import make_project, migrate, show
from tests.support.legacy import execute
from tests.support.urls import ServerURL

pytestmark = pytest.mark.django_db

PASSWORD = "Sesame-0pen!"


def ledger_text() -> str:
    """Everything that the ledger holds, as one text."""
    tables = (Run, RunStep, RowError)
    return "\n".join(str(list(model.objects.values())) for model in tables)


def write_app(folder: Path, name: str, spec: str) -> str:
    (folder / name).mkdir()
    (folder / name / "__init__.py").touch()
    (folder / name / "data_migration_spec.py").write_text(spec)
    return name


# ------------------------------------------------------------------ the legacy database


def test_a_missing_legacy_file(library: Library, tmp_path: Path) -> None:
    path = tmp_path / "absent.sqlite3"
    library.source(ENGINE="sqlite", NAME=str(path))

    result = migrate("library", "--commit")

    assert result.code == 1
    assert result.err == (
        f"CommandError: DATA_MIGRATION_SOURCES['legacy']: cannot connect to the sqlite database"
        f" {str(path)!r}: there is no file {path}. Check NAME: it must be the path of a readable"
        " SQLite 3 file.\n"
    )
    assert not path.exists()


def test_what_is_wrong_with_every_migration_is_told_once(library: Library, tmp_path: Path) -> None:
    library.source(ENGINE="sqlite", NAME=str(tmp_path / "absent.sqlite3"))

    result = migrate("library", "--commit", "--on-error", "continue")

    assert result.err.count("cannot connect") == 1
    assert "library.BookMigration was not run, because it needs" in result.err


@pytest.mark.parametrize("query", ["SELECT id, name FROM writers", "SELECT id, name FORM authors"])
def test_a_query_that_the_legacy_database_refuses(library: Library, query: str) -> None:
    library.set("Author", query=query)

    result = migrate("library", "--commit")

    assert result.code == 1
    assert result.err.startswith(
        "CommandError: library.AuthorMigration: the legacy database refused the query: "
    )
    assert f"The query was: {query}." in result.err
    assert counts() == NOTHING


def test_a_missing_driver_is_named_with_the_line_that_installs_it(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyodbc", None)
    library.source(ENGINE="odbc", OPTIONS={"dsn": "shop"})

    result = migrate("library", "--commit")

    assert result.code == 1
    assert "pip install django-migrate-legacy[odbc]" in result.err


def test_a_column_without_a_place_in_the_model_is_a_fault_of_the_spec(library: Library) -> None:
    library.set("Author", query="SELECT id, name, 1 AS rank FROM authors")

    result = migrate("library", "--commit", "--on-error", "continue")

    assert result.code == 2
    assert "library.AuthorMigration: the query returns 'rank', which is no field" in result.err


def refused(library: Library, url: ServerURL) -> None:
    """Let the library come from a server that does not take the password."""
    entry = {**url.source(), "USER": "nobody_here", "PASSWORD": PASSWORD}
    library.source(**entry)


def test_a_refused_password_is_shown_nowhere(library: Library, mysql_server: ServerURL) -> None:
    refused(library, mysql_server)

    result = migrate("library", "--commit", "--traceback")

    assert result.code == 1
    assert "cannot connect to the mysql database" in result.err
    assert "as user 'nobody_here'" in result.err
    assert PASSWORD not in result.everything
    assert "nobody_here" in ledger_text()
    assert PASSWORD not in ledger_text()


@pytest.mark.django_db(transaction=True)
def test_a_refused_password_is_not_in_the_traceback_of_a_process(
    mysql_server: ServerURL, tmp_path: Path, target_environment: dict[str, str]
) -> None:
    entry = {**mysql_server.source(), "USER": "nobody_here", "PASSWORD": PASSWORD}
    project = make_project(
        tmp_path,
        target_environment,
        spec=(
            "from data_migration import BaseMigration\n"
            "from tests.apps.library.models import Genre\n"
            "class GenreMigration(BaseMigration):\n"
            "    query = 'SELECT id, name FROM genres'\n"
            "    model = Genre\n"
        ),
        settings=[f"DATA_MIGRATION_SOURCES = {{'legacy': {entry!r}}}"],
    )

    result = project.run("migrate_legacy", "job", "--traceback")

    assert result.code == 1
    assert "Traceback" in result.err
    assert "as user 'nobody_here'" in result.err
    assert PASSWORD not in result.everything


def test_a_password_in_the_error_of_a_hook_is_masked(library: Library) -> None:
    library.settings.DATA_MIGRATION_SOURCES = {
        "legacy": {"ENGINE": "sqlite", "NAME": str(library.path)},
        "other": {"ENGINE": "mysql", "NAME": "x", "USER": "u", "PASSWORD": PASSWORD},
    }

    def hook_before_all(self: Any) -> None:
        raise RuntimeError(f"cannot log in with {PASSWORD}")

    library.hook("Author", hook_before_all)
    result = migrate("library", "--commit")

    assert "RuntimeError: cannot log in with ***." in result.err
    assert PASSWORD not in result.everything + ledger_text()


# ------------------------------------------------------------------ specs


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("import tests.nothing_here", "ModuleNotFoundError: No module named 'tests.nothing_here'"),
        ("x = 1\n\nx +", "SyntaxError: invalid syntax"),
        ("x = 1\n\nundefined", "NameError: name 'undefined' is not defined"),
        ("import sys\nsys.exit()", "SystemExit: "),
    ],
)
def test_a_spec_that_cannot_be_imported(
    library: Library,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    cause: str,
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    app = write_app(tmp_path, f"broken{abs(hash(source))}", source)
    library.settings.INSTALLED_APPS = [*library.settings.INSTALLED_APPS, app]
    line = len(source.splitlines())

    result = migrate("library", "--commit")

    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(
        f"CommandError: {app}.data_migration_spec cannot be imported: {cause}"
    )
    assert f"{tmp_path / app / 'data_migration_spec.py'}, line {line})" in result.err
    assert Run.objects.count() == 0


def test_a_fault_in_a_spec_is_refused_before_anything_runs(library: Library) -> None:
    library.set("Member", depends_on=["library.Membre"])

    result = migrate("library", "--commit")

    assert (result.code, result.out) == (2, "")
    assert "library.Membre" in result.err
    assert Run.objects.count() == 0


# ------------------------------------------------------------------ hooks


def test_a_hook_that_raises_is_named_with_its_line(library: Library) -> None:
    def hook_after_all(self: Any) -> None:
        raise ValueError("no such shelf")

    library.hook("Genre", hook_after_all)
    line = hook_after_all.__code__.co_firstlineno + 1

    result = migrate("library", "--commit")

    assert result.code == 1
    assert result.err == (
        f"CommandError: library.GenreMigration: hook_after_all, line {line}: ValueError: no such"
        " shelf.\n"
    )
    # The batches before are committed; the migration is not done.
    assert counts() == {**NOTHING, "Author": 3, "Genre": 2}
    assert dict(RunStep.objects.values_list("migration", "status")) == {
        "library.AuthorMigration": "done",
        "library.GenreMigration": "failed",
        "library.BookMigration": "pending",
        "library.MemberMigration": "pending",
    }


@pytest.mark.parametrize(
    "name", ["hook_before_transformation", "hook_before_save", "hook_after_save"]
)
def test_a_row_hook_that_raises_fails_its_row_and_is_named(
    library: Library, name: str, writer: str
) -> None:
    namespace: dict[str, Any] = {}
    signature = "self, row" if name == "hook_before_transformation" else "self, instance, row"
    exec(f"def {name}({signature}):\n    if row['id'] == 2:\n        1 / 0", namespace)
    library.hook("Genre", namespace[name])
    library.set("Genre", writer=writer)

    result = migrate("library.GenreMigration", "--commit", "--on-error", "continue")

    assert result.code == 1
    assert counts()["Genre"] == 1
    message = RowError.objects.get()
    assert message.key == "2"
    assert message.cause.startswith(f"{name}, line 3: ZeroDivisionError: division by zero")


# ------------------------------------------------------------------ the target database


def test_missing_ledger_tables_are_told_with_the_command_that_makes_them(
    library: Library, tmp_path: Path, target_environment: dict[str, str]
) -> None:
    project = make_project(
        tmp_path,
        target_environment,
        spec="",
        settings=[
            "DATABASES['archive'] = {'ENGINE': 'django.db.backends.sqlite3',"
            f" 'NAME': {str(tmp_path / 'archive.sqlite3')!r}}}",
        ],
    )

    for command in ("migrate_legacy", "show_legacy"):
        result = project.run(command, "--database", "archive")

        assert (result.code, result.out) == (1, "")
        assert result.err == (
            "CommandError: Database 'archive' has no table data_migration_rowlink. Create it"
            " with: manage.py migrate data_migration --database archive\n"
        )


def kill_others(url: ServerURL, database: str) -> None:
    """End every connection to ``database`` but the one that does it."""
    if url.engine == "postgresql":
        execute(
            url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE datname = '{database}' AND pid <> pg_backend_pid()",
        )
        return
    import MySQLdb

    from tests.support.legacy import connect

    own = connect(url)
    cursor = own.cursor()
    cursor.execute(
        "SELECT id FROM information_schema.processlist"
        f" WHERE db = '{database}' AND id <> CONNECTION_ID()"
    )
    for (number,) in cursor.fetchall():
        with suppress(MySQLdb.OperationalError):  # it ended by itself in the meantime
            cursor.execute(f"KILL {number}")
    own.close()


@pytest.mark.parametrize("engine", ["postgresql", "mysql"])
def test_a_legacy_server_that_goes_away_while_it_is_read(
    library: Library, engine: str, request: pytest.FixtureRequest
) -> None:
    fresh: Callable[[], ServerURL] = request.getfixturevalue(f"fresh_{engine}_database")
    url = fresh()
    rows = ", ".join(f"({number}, 'A')" for number in range(1, 5001))
    execute(
        url,
        "CREATE TABLE authors (id INTEGER PRIMARY KEY, name VARCHAR(40))",
        f"INSERT INTO authors VALUES {rows}",
    )
    library.source(**url.source())
    # More than the buffers on the way hold, so that the server is needed to the end.
    library.set(
        "Author",
        query="SELECT id, name, REPEAT('x', 4000) AS ballast FROM authors",
        column_description={"ballast": is_a(exclude=True)},
    )
    server: ServerURL = request.getfixturevalue(f"{engine}_server")

    def hook_before_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
        if row["id"] == 10:
            kill_others(server, url.database)

    library.hook("Author", hook_before_save)
    result = migrate("library.AuthorMigration", "--commit", "--batch-size", "100")

    assert result.code == 1
    assert result.err.startswith("CommandError: library.AuthorMigration: reading stopped after ")
    assert "run the same command again" in result.err
    assert result.err.count("\n") == 1
    step = RunStep.objects.get()
    assert step.status == "failed"
    # How far it came depends on the buffers on the way; whole batches are kept and counted.
    assert 0 < counts()["Author"] == step.created < 5000
    assert step.created % 100 == 0

    library.set("Author", hook_before_save=lambda self, instance, row: None)
    assert migrate("library.AuthorMigration", "--commit").code == 0
    assert counts()["Author"] == 5000
    assert RunStep.objects.latest("pk").passed == step.created


@pytest.mark.django_db(transaction=True)
def test_a_target_server_that_goes_away_keeps_whole_batches_only(library: Library) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has no server that could go away")
    url = ServerURL.from_environment(connection.vendor)
    assert url is not None
    database = str(connection.settings_dict["NAME"])

    def hook_after_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
        if row["id"] == 2:
            kill_others(
                url if connection.vendor == "mysql" else url.with_database("postgres"), database
            )

    library.hook("Genre", hook_after_save)
    result = migrate("library", "--commit")

    assert result.code == 1
    last = result.err.splitlines()[-1]
    assert last.startswith("CommandError: library.GenreMigration: ")
    assert "the target database says: " in last
    assert counts() == {**NOTHING, "Author": 3}
    states = dict(RunStep.objects.values_list("migration", "status"))
    assert states["library.GenreMigration"] == "failed"
    assert "failed" in show("library").out


@pytest.mark.django_db(transaction=True)
def test_a_target_that_refuses_what_ends_a_migration_keeps_its_batches(library: Library) -> None:
    def hook_after_all(self: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO no_such_table VALUES (1)")

    library.hook("Genre", hook_after_all)
    result = migrate("library", "--commit")

    assert result.code == 1
    assert "library.GenreMigration: hook_after_all, line " in result.err
    assert "the target database says: " in result.err
    assert result.err.count("\n") == 1
    assert counts() == {**NOTHING, "Author": 3, "Genre": 2}
