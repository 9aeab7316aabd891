"""Nothing slow inside a transaction: the source is opened, counted and asked before one begins."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from types import MappingProxyType
from typing import Any

import pytest
from django.db import connection, transaction

from data_migration.exceptions import SourceError
from data_migration.ledger import Ledger
from data_migration.migration import Migration
from data_migration.models import MigrationState
from data_migration.options import RunOptions
from data_migration.outcomes import Mode, OnError, RunStatus
from data_migration.plan.graph import build_plan
from data_migration.run.runner import Import, run_import
from data_migration.step import ahead
from data_migration.step.ahead import Ahead
from tests.apps.shop.models import Brand, Log

pytestmark = pytest.mark.django_db(transaction=True)

#: What was asked of the source, and whether a transaction of the target was open meanwhile.
Asked = list[tuple[str, bool]]


class BrandMigration(Migration):
    """``noted`` is asked of each row as it is read."""

    model = Brand
    query = "SELECT noted(id) AS id, name, name AS code FROM brands"
    asked: Asked = []
    rows = 5

    def open_db_connection(self) -> sqlite3.Connection:
        self.note("open")
        legacy = sqlite3.connect(":memory:")
        legacy.create_function("noted", 1, lambda value: self.note("read") or value)
        legacy.execute("CREATE TABLE brands (id INTEGER, name TEXT)")
        legacy.executemany(
            "INSERT INTO brands VALUES (?, ?)",
            [(n, f"brand {n}") for n in range(1, self.rows + 1)],
        )
        return legacy

    def hook_row_count(self, connection: Any, cursor: Any) -> int:
        self.note("count")
        return self.rows

    def note(self, what: str) -> None:
        self.asked.append((what, connection.in_atomic_block))


class Writing:
    """A first hook that writes."""

    def hook_before_all(self) -> None:
        Log.objects.create(text=f"run {Log.objects.count()}")


class Reading:
    """A first hook that leaves the target alone."""

    def hook_before_all(self) -> None:
        self.note("hook")  # type: ignore[attr-defined]


def run(
    *parts: type,
    mode: Mode = Mode.COMMIT,
    options: Mapping[str, Any] = MappingProxyType({}),
    **attributes: Any,
) -> tuple[Import, Asked]:
    """Import with a migration of these parts and attributes, and tell what it asked."""
    cls = type("M", (*parts, BrandMigration), {"asked": [], **attributes})
    asked = RunOptions(mode=mode, **options)
    done = run_import(build_plan({"shop.M": cls}), asked, Ledger("default"))
    return done, cls.asked


def inside(asked: Asked) -> set[str]:
    return {what for what, is_open in asked if is_open}


KEYED = {"a key that the query returns": {}, "a declared key": {"legacy_key": "id"}}
OTHERS = {"no key": {"legacy_key": ()}}


@pytest.mark.parametrize("key", [*KEYED.values(), *OTHERS.values()], ids=[*KEYED, *OTHERS])
def test_a_source_is_opened_counted_and_asked_outside_of_transactions(key: dict[str, Any]) -> None:
    done, asked = run(**key)
    assert done.error is None
    assert {what for what, _ in asked} == {"open", "count", "read"}
    assert inside(asked) == set()
    assert Brand.objects.count() == 5


@pytest.mark.parametrize("key", KEYED.values(), ids=KEYED)
def test_so_it_is_behind_a_first_hook_that_writes(key: dict[str, Any]) -> None:
    done, asked = run(Writing, **key)
    assert done.error is None
    # Where the key depends on the columns, they are looked at beside what the hook wrote.
    assert inside(asked) == (set() if key else {"open"})
    assert Log.objects.count() == 1


@pytest.mark.parametrize("key", [*KEYED.values(), *OTHERS.values()], ids=[*KEYED, *OTHERS])
def test_so_it_is_behind_one_that_leaves_the_target_alone(key: dict[str, Any]) -> None:
    done, asked = run(Reading, **key)
    assert done.error is None
    assert inside(asked) == {"hook"}


def test_rows_without_a_key_are_kept_with_what_the_first_hook_wrote_or_not_at_all() -> None:
    done, _ = run(Writing, legacy_key=(), query="SELECT id, NULL AS name, 'x' AS code FROM brands")
    assert done.error is not None
    assert (Log.objects.count(), Brand.objects.count()) == (0, 0)
    run(Writing, legacy_key=())
    assert (Log.objects.count(), Brand.objects.count()) == (1, 5)


def test_of_a_query_that_is_refused_the_ledger_remembers_no_pass() -> None:
    done, _ = run(query="SELECT nothing FROM nowhere")
    assert isinstance(done.error, SourceError)
    assert done.steps[0].status == RunStatus.FAILED
    assert MigrationState.objects.get().pass_run is None


def test_every_batch_is_read_before_its_transaction_begins() -> None:
    _, asked = run(options={"batch_size": 2})
    if connection.vendor == "sqlite":
        assert inside(asked) == set()
    assert [what for what, _ in asked].count("read") >= 5


def test_failed_rows_are_read_again_outside_too() -> None:
    without_names = "SELECT noted(id) AS id, NULL AS name, 'x' AS code FROM brands"
    run(options={"on_error": OnError.CONTINUE}, query=without_names)
    done, asked = run(options={"retry_failed": True})
    assert (done.error, done.steps[0].created) == (None, 5)
    assert inside(asked) == set()


def test_so_is_the_high_water_mark() -> None:
    for _ in range(2):
        done, asked = run(high_water="id", allow_updates=True)
        assert done.error is None
        assert inside(asked) == set()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="one writer at a time")
def test_a_site_writes_to_sqlite_while_the_query_is_executed() -> None:
    name = str(connection.settings_dict["NAME"])

    def hook_before_transformation(self: Any, row: dict[str, Any]) -> None:
        written.append(row["id"])

    written: list[int] = []
    with closing(sqlite3.connect(name, isolation_level=None, timeout=0)) as site:

        def note(self: Any, what: str) -> None:
            site.execute(
                "INSERT INTO shop_log (text) VALUES (?)", [f"{what} {Log.objects.count()}"]
            )

        done, _ = run(
            Writing,
            note=note,
            legacy_key="id",
            hook_before_transformation=hook_before_transformation,
        )
    assert (done.error, len(written)) == (None, 5)
    assert Log.objects.filter(text__startswith="read").count() >= 5


def test_a_rehearsal_is_one_transaction_all_the_same() -> None:
    done, asked = run(Writing, mode=Mode.REHEARSAL)
    assert (done.error, done.steps[0].created) == (None, 5)
    assert {is_open for _, is_open in asked} == {True}
    assert not Log.objects.exists()


def test_what_took_long_is_not_made_ahead_of_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    items = Ahead(made.append(n) or n for n in range(3))
    items.fetch_if_quick()
    assert made == [0]
    next(iter(items))
    monkeypatch.setattr(ahead, "_LONG", 0.0)
    items.fetch_if_quick()
    assert made == [0]
    assert list(items) == [1, 2]


def test_a_caller_that_holds_a_transaction_keeps_it() -> None:
    with transaction.atomic():
        done, asked = run()
    assert done.error is None
    assert inside(asked) == {"open", "count", "read"}
