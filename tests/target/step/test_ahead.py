"""The next batch is made while the database takes the one before: same rows, same errors."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from django.db import connection, connections
from hypothesis import given
from hypothesis import strategies as st

from data_migration import Migration
from data_migration.ledger import Ledger
from data_migration.models import RowLink
from data_migration.options import RunOptions
from data_migration.outcomes import Mode, RunStatus
from data_migration.plan.graph import build_plan
from data_migration.run.runner import Import, run_import
from data_migration.sources import is_apart
from data_migration.step.ahead import Ahead
from data_migration.tables import inserting
from tests.apps.shop.models import Brand, Log
from tests.settings import TARGET
from tests.support.engine import legacy_database, migrate, over

only_postgresql = pytest.mark.skipif(TARGET != "postgresql", reason="no COPY, nothing ahead")


def counting(made: list[int], number: int, error: BaseException | None = None) -> Iterator[int]:
    for item in range(number):
        made.append(item)
        yield item
    if error is not None:
        raise error


@given(st.lists(st.integers(0, 3), max_size=9), st.integers(0, 9), st.booleans())
def test_whatever_is_fetched_early_the_items_and_the_error_come_in_their_turn(
    fetches: list[int], number: int, fails: bool
) -> None:
    ahead = Ahead(counting([], number, KeyError("x") if fails else None))
    seen: list[int] = []
    times = iter(fetches)
    try:
        for item in ahead:
            seen.append(item)
            for _ in range(next(times, 0)):
                ahead.fetch()
        assert not fails
    except KeyError:
        assert fails
    assert seen == list(range(number))
    ahead.fetch()  # all is over
    assert list(ahead) == []


def test_one_item_is_held_at_most() -> None:
    made: list[int] = []
    ahead = Ahead(counting(made, 9))
    for _ in range(3):
        ahead.fetch()
    assert made == [0]
    assert next(iter(ahead)) == 0
    assert made == [0]


def test_even_an_interruption_waits_for_its_turn() -> None:
    ahead = Ahead(counting([], 1, KeyboardInterrupt()))
    items = iter(ahead)
    ahead.fetch()
    assert next(items) == 0
    ahead.fetch()
    with pytest.raises(KeyboardInterrupt):
        next(items)


# ------------------------------------------------------------------ in a step


def brands(writer: str, **attributes: Any) -> type[Migration]:
    chosen = {"model": Brand, "writer": writer, "legacy_key": "number", **attributes}
    return type("BrandMigration", (Migration,), chosen)


def rows(count: int = 10) -> list[dict[str, Any]]:
    return [{"number": n, "name": "x", "code": str(n)} for n in range(count)]


def run(migration: type[Migration], **options: Any) -> Import:
    return run_import(
        build_plan({"shop.BrandMigration": migration}),
        RunOptions(mode=Mode.COMMIT, **options),
        Ledger("default"),
    )


@pytest.mark.django_db
def test_a_query_that_breaks_off_leaves_what_was_read_before(writer: str) -> None:
    """The batch before is committed, though the error was met while it was written."""

    def open_db_connection(self: Any) -> sqlite3.Connection:
        return legacy_database(["number", "name", "code"], rows())

    # SQLite computes as it reads: the eighth row breaks the query off.
    breaks = "CASE number WHEN 7 THEN abs(-9223372036854775807 - 1) ELSE code END AS code"
    migration = brands(
        writer,
        query=f"SELECT number, name, {breaks} FROM legacy",
        open_db_connection=open_db_connection,
    )
    runner = run(migration, batch_size=3)

    assert "integer overflow" in runner.steps[0].error
    assert runner.steps[0].status == RunStatus.FAILED
    assert list(Brand.objects.order_by("id").values_list("number", flat=True)) == list(range(6))
    assert RowLink.objects.count() == runner.steps[0].created == 6


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happens in which order: ``copy``, and ``done`` when it is; rows add theirs."""
    noted: list[str] = []
    copy: Any = inserting._Arrays._copy

    def noting(self: Any, *arguments: Any) -> None:
        noted.append("copy")
        try:
            copy(self, *arguments)
        finally:
            noted.append("done")

    monkeypatch.setattr(inserting._Arrays, "_copy", noting)
    return noted


def noting_rows(events: list[str], count: int) -> sqlite3.Connection:
    database = legacy_database(["number", "name", "code"], rows(count))
    make: Any = database.row_factory

    def row(cursor: Any, values: Any) -> Any:
        events.append("row")
        return make(cursor, values)

    database.row_factory = row
    return database


@only_postgresql
@pytest.mark.django_db
@pytest.mark.parametrize("key", ["number", ()])
def test_the_next_rows_are_read_during_the_last_copy_of_a_batch(
    events: list[str], key: Any
) -> None:
    migration = over(brands("copy", legacy_key=key), rows(6))
    migration.open_db_connection = lambda self: noting_rows(events, 6)  # type: ignore[method-assign]
    run(migration, batch_size=2)

    once = ["copy", "done"] if key else []  # the objects, and then their links
    ahead = [*once, "copy", "row", "row", "done"]
    first = events.index("copy")
    assert events[first - 2 : first] == ["row", "row"]
    assert events[first:] == [*ahead * 2, *once, "copy", "done"]


class Wrapped:
    """A project's own class around the connection of the target; stays open."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def close(self) -> None:
        """Do nothing."""


@pytest.mark.django_db
def test_the_targets_own_connection_is_not_read_during_a_copy(
    events: list[str], writer: str
) -> None:
    """It would refuse: the COPY has it."""
    Log.objects.bulk_create(Log(text=str(n)) for n in range(9))
    connection.ensure_connection()
    assert not is_apart(connection.connection, connections["default"])
    with closing(sqlite3.connect(":memory:")) as other:
        assert is_apart(other, connections["default"])
        assert not is_apart(Wrapped(other), connections["default"])

    migration = brands(
        writer,
        query="SELECT id AS number, text AS name, text AS code FROM shop_log ORDER BY id",
        open_db_connection=lambda self: Wrapped(connection.connection),
    )
    runner = run(migration, batch_size=2)

    assert runner.steps[0].status == RunStatus.DONE, runner.steps[0].error
    assert list(Brand.objects.order_by("id").values_list("name", flat=True)) == list("012345678")


@pytest.mark.django_db
def test_bad_rows_in_every_batch_are_told_with_their_own_values(writer: str) -> None:
    wrong = [row | ({"name": None} if n % 3 == 1 else {}) for n, row in enumerate(rows())]
    result = migrate(brands(writer), wrong, batch_size=2)
    assert result.told == [(str(n), "name", "NULL") for n in (1, 4, 7)]
    assert result.counts == {"created": 7, "failed": 3}
    assert RowLink.objects.count() == 7
