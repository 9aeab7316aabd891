"""One migration of a run: batches, totals, connections, and what is settled at its end."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from django.db import connection

from data_migration.migration import Migration
from data_migration.models import RunStep
from data_migration.progress import Progress
from tests.apps.library.fixtures import (
    Library,
    counts,
    library_fixture,  # noqa: F401
)
from tests.apps.library.models import Author, Book
from tests.apps.library.testing import migrate
from tests.apps.shop.models import Custom
from tests.support import engine

pytestmark = pytest.mark.django_db


def step(name: str) -> RunStep:
    return RunStep.objects.filter(migration=f"library.{name}Migration").latest("pk")


@pytest.mark.parametrize(
    ("option", "attribute", "setting", "batches"),
    [
        (("--batch-size", "1"), 2, 3, [1, 1, 1, 1, 1, 1]),
        ((), 2, 3, [2, 2, 2]),
        ((), None, 4, [4, 2]),
    ],
)
def test_the_option_goes_before_the_attribute_and_that_before_the_setting(
    library: Library,
    monkeypatch: pytest.MonkeyPatch,
    option: tuple[str, ...],
    attribute: int | None,
    setting: int,
    batches: list[int],
) -> None:
    library.settings.DATA_MIGRATION_BATCH_SIZE = setting
    library.set("Book", batch_size=attribute)
    seen: list[tuple[str, int]] = []

    class Recording(Progress):
        def start(
            self, label: str, position: int, steps: int, total: int | None, *, noun: str = "row"
        ) -> None:
            self.label = label

        def advance(self, rows: int, failed: int) -> None:
            seen.append((self.label, rows))

    monkeypatch.setattr("data_migration.management.base.Progress", Recording)
    migrate("library", *option)

    assert [rows for label, rows in seen if label == "library.BookMigration"] == batches


def test_the_total_is_counted_by_the_legacy_database(library: Library) -> None:
    migrate("library")

    assert step("Book").total == 6


def test_the_total_of_a_limited_run_is_the_limit(library: Library) -> None:
    migrate("library.MemberMigration", "library.GenreMigration", "--limit", "3")

    assert [step(name).total for name in ("Member", "Genre")] == [3, 2]
    assert [step(name).read for name in ("Member", "Genre")] == [3, 2]


@pytest.mark.parametrize(("answer", "total"), [(17, 17), (None, None), (-1, None)])
def test_a_hook_may_say_the_total(library: Library, answer: int | None, total: int | None) -> None:
    def hook_row_count(self: Any, connection: Any, cursor: Any) -> int | None:
        assert cursor.execute("SELECT COUNT(*) FROM genres").fetchone() == (2,)
        return answer

    library.hook("Genre", hook_row_count)
    assert migrate("library.GenreMigration").code == 0

    assert (step("Genre").total, step("Genre").read) == (total, 2)


def test_query_parameters_reach_the_driver(library: Library) -> None:
    library.set(
        "Book", query="SELECT id, title, 1 AS author FROM books WHERE id > ? AND title LIKE '%'"
    )
    library.set("Book", query_params=(4,))

    assert migrate("library", "--commit").code == 0
    assert set(Book.objects.values_list("id", flat=True)) == {5, 6}


def test_a_percent_sign_without_parameters_means_itself(library: Library) -> None:
    library.set("Genre", query="SELECT id, name FROM genres WHERE name LIKE 'Genre%'")

    assert migrate("library.GenreMigration", "--commit").code == 0
    assert counts()["Genre"] == 2


def test_a_column_that_is_returned_twice_is_told(library: Library) -> None:
    library.set("Genre", query="SELECT id, name, 'other' AS name FROM genres")

    result = migrate("library.GenreMigration")

    assert result.err == (
        "library.GenreMigration: the query returns column 'name' more than once; only the last"
        " one is used. Rename the others with AS.\n"
    )


def test_an_empty_query_result_is_a_migration_that_is_done(library: Library) -> None:
    library.change("DELETE FROM genres")
    library.change("UPDATE books SET genres = NULL")

    assert migrate("library", "--commit").code == 0
    assert (step("Genre").status, step("Genre").read) == ("done", 0)


def test_a_connection_of_the_spec_may_serve_several_migrations_and_is_closed_at_the_end(
    library: Library,
) -> None:
    opened = sqlite3.connect(library.path)

    def open_db_connection(self: Any) -> Any:
        opened.execute("SELECT 1")  # fails on a closed connection
        return opened

    for name in ("Author", "Genre"):
        library.hook(name, open_db_connection)
    result = migrate("library.AuthorMigration", "library.GenreMigration", "--commit")

    assert (result.code, result.err) == (0, "")
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        opened.execute("SELECT 1")


def test_a_connection_that_cannot_be_opened_is_told_with_the_migration(library: Library) -> None:
    def open_db_connection(self: Any) -> Any:
        raise OSError("no route to host")

    library.hook("Genre", open_db_connection)
    result = migrate("library.GenreMigration")

    assert result.code == 1
    assert result.err == (
        "CommandError: library.GenreMigration: open_db_connection() failed: no route to host."
        " Check the connection settings in the spec, and that the legacy database is running.\n"
    )


def test_new_objects_go_on_above_the_keys_that_were_written(library: Library) -> None:
    library.change("UPDATE authors SET id = 500 WHERE id = 3")
    library.change("UPDATE books SET author_id = 500")

    assert migrate("library", "--commit").code == 0

    assert Author.objects.create(name="New").pk > 500


def test_a_rehearsal_finds_a_foreign_key_that_leads_nowhere(library: Library) -> None:
    if connection.vendor == "mysql":
        pytest.skip("MySQL checks each row at once, and the row is named")

    def hook_after_all(self: Any) -> None:
        Book.objects.update(author_id=4711)

    library.hook("Book", hook_after_all)
    result = migrate("library")

    assert result.code == 1
    assert "library.BookMigration: the target database says: IntegrityError: " in result.err
    assert "4711" in result.err


def test_keys_of_zero_and_below_leave_the_sequence_where_it_is() -> None:
    rows = [{"id": -2, "width": 1}, {"id": 0, "width": 2}]
    migration = type("Customs", (Migration,), {"model": Custom})
    assert engine.migrate(migration, rows).error is None
    assert Custom.objects.create().pk > 0
