"""The session of a run: strict, a writer from its beginning, patient; as it was after it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from data_migration.migration import Migration
from data_migration.outcomes import Mode
from data_migration.utils import sessions
from data_migration.utils.databases import MySQL, TooLong
from data_migration.utils.sessions import writing
from tests.apps.shop.models import Everything, Log, Product, Shouting, Supplier
from tests.support.engine import migrate, migrate_fine

only_mysql = pytest.mark.skipif(connection.vendor != "mysql", reason="modes are MySQL's")
only_sqlite = pytest.mark.skipif(connection.vendor != "sqlite", reason="one writer at a time")


def a_migration(model: Any, **attributes: Any) -> type[Migration]:
    return type("M", (Migration,), {"model": model, **attributes})


def ask(statement: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]


# ------------------------------------------------------------------ strict


@contextmanager
def mode(value: str) -> Iterator[None]:
    before = ask("SELECT @@SESSION.sql_mode")
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = %s", [value])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION sql_mode = %s", [before])


@only_mysql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("own", ["", "ANSI", "NO_ZERO_DATE"])
@pytest.mark.parametrize("how", [Mode.COMMIT, Mode.REHEARSAL])
def test_a_server_that_cuts_and_clips_refuses_in_a_run(writer: str, own: str, how: Mode) -> None:
    rows = [
        {"id": 1, "text": "x" * 101, "small": 1},
        {"id": 2, "text": "fine", "small": 2},
        {"id": 3, "text": "y", "small": 70_000},
    ]
    with mode(own):
        before = ask("SELECT @@SESSION.sql_mode")
        result = migrate(a_migration(Everything, writer=writer), rows, mode=how)
        assert ask("SELECT @@SESSION.sql_mode") == before

    assert result.counts == {"created": 1, "failed": 2}
    assert [told[:2] for told in result.told] == [("1", "text"), ("3", "small")]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("how", [Mode.COMMIT, Mode.ATOMIC])
def test_a_key_of_zero_stays_zero(writer: str, how: Mode) -> None:
    rows = [{"id": 0, "name": "nobody"}, {"id": 7, "name": "a"}]
    migrate_fine(a_migration(Supplier, writer=writer), rows, mode=how)
    assert list(Supplier.objects.order_by("pk").values_list("pk", "name")) == [
        (0, "nobody"),
        (7, "a"),
    ]
    assert Supplier.objects.create(name="new").pk > 7


@only_mysql
@pytest.mark.django_db(transaction=True)
def test_what_a_hook_writes_is_not_cut_either() -> None:
    def hook_after_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
        Log.objects.create(text="x" * 51)

    with mode(""):
        result = migrate(
            a_migration(Everything, hook_after_save=hook_after_save), [{"id": 1, "text": "x"}]
        )
    assert result.counts == {"failed": 1}
    assert not Log.objects.exists()


@only_mysql
@pytest.mark.django_db(transaction=True)
def test_a_connection_that_is_opened_again_is_strict_too() -> None:
    with writing("default"):
        connection.close()
        assert "STRICT" in ask("SELECT @@SESSION.sql_mode")


# ------------------------------------------------------------------ too long


@only_mysql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("writer", ["save", "bulk"])
def test_a_value_above_a_packet_fails_its_row_and_rows_behind_it_are_reached(writer: str) -> None:
    limit = ask("SELECT @@max_allowed_packet")
    rows = [{"id": n, "slug": "s", "long_text": "x"} for n in range(1, 6)]
    rows[2]["long_text"] = "y" * limit

    result = migrate(a_migration(Everything, writer=writer), rows)

    assert result.error is None
    assert result.counts == {"created": 4, "failed": 1}
    (message,) = result.messages
    assert (message.key, message.column) == ("3", "long_text")
    assert f"takes less than max_allowed_packet = {limit:,}. Raise that" in message.cause


@pytest.fixture
def small_packets(monkeypatch: pytest.MonkeyPatch) -> int:
    """The server is taken to accept no more than that, so that tests are quick."""
    limit = 20_000
    monkeypatch.setattr(MySQL, "longest_statement", limit)
    return limit


@only_mysql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "value", ["'" * 11_000, "ü" * 11_000, "\U0001f600" * 6_000], ids=["escapes", "two", "four"]
)
def test_it_is_bytes_that_count(small_packets: int, writer: str, value: str) -> None:
    rows = [{"id": 1, "long_text": "x"}, {"id": 2, "long_text": value}, {"id": 3, "text": "z"}]
    result = migrate(a_migration(Everything, writer=writer), rows)
    assert (result.error, result.counts) == (None, {"created": 2, "failed": 1})
    assert [told[:2] for told in result.told] == [("2", "long_text")]


@only_mysql
@pytest.mark.django_db(transaction=True)
def test_so_it_is_with_what_a_rerun_changes(small_packets: int, writer: str) -> None:
    cls = a_migration(Everything, writer=writer, allow_updates=True)
    migrate_fine(cls, [{"id": n, "long_text": "x"} for n in (1, 2, 3)])
    rows = [{"id": 1, "long_text": "y"}, {"id": 2, "long_text": "z" * 20_000}]

    result = migrate(cls, [*rows, {"id": 3, "long_text": "y"}])

    assert (result.error, result.counts) == (None, {"updated": 2, "failed": 1})
    assert [told[:2] for told in result.told] == [("2", "long_text")]


@only_mysql
@pytest.mark.django_db(transaction=True)
def test_what_just_fits_is_written() -> None:
    limit = ask("SELECT @@max_allowed_packet")
    begin, end = "SELECT LENGTH('", "')"
    fits = limit - 2 - len(begin) - len(end)
    with writing("default"), connection.cursor() as cursor:
        cursor.execute(begin + "x" * fits + end)
        assert cursor.fetchone() == (fits,)
        with pytest.raises(TooLong):
            cursor.execute(begin + "x" * (fits + 1) + end)
        cursor.execute("SELECT 1")  # the connection is alive


# ------------------------------------------------------------------ one writer


@contextmanager
def as_projects_have_it(timeout: int = 50) -> Iterator[None]:
    """Without the transaction_mode of the tests' own settings; ``timeout`` in milliseconds."""
    connection.ensure_connection()
    before, connection.transaction_mode = connection.transaction_mode, None  # type: ignore[attr-defined]
    execute(f"PRAGMA busy_timeout = {timeout}")
    try:
        yield
    finally:
        connection.transaction_mode = before  # type: ignore[attr-defined]
        execute("PRAGMA busy_timeout = 5000")


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def site() -> sqlite3.Connection:
    """As another process has the file."""
    name = str(connection.settings_dict["NAME"])
    return sqlite3.connect(name, isolation_level=None, check_same_thread=False, timeout=10)


def in_a_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


@only_sqlite
@pytest.mark.django_db(transaction=True)
def test_a_transaction_is_a_writers_from_its_beginning() -> None:
    with as_projects_have_it(), closing(site()) as other:
        other.execute("PRAGMA busy_timeout = 0")
        with writing("default"), transaction.atomic():
            assert not Log.objects.exists()
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("BEGIN IMMEDIATE")
        assert connection.transaction_mode is None  # type: ignore[attr-defined]
        assert ask("PRAGMA busy_timeout") == 50


@only_sqlite
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("how", [Mode.COMMIT, Mode.REHEARSAL])
def test_a_run_waits_until_others_have_written(writer: str, how: Mode) -> None:
    """Far longer than the ``timeout`` of the project, and before each batch."""
    rows = [{"id": n, "sku": str(n), "name": "x"} for n in range(1, 5)]
    with as_projects_have_it(), closing(site()) as other:
        waiting: list[threading.Thread] = []

        def hook_before_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
            if not waiting:  # when this batch is over, the site writes for a while

                def write() -> None:
                    other.execute("BEGIN IMMEDIATE")
                    time.sleep(0.4)
                    other.execute("INSERT INTO shop_log (text) VALUES ('theirs')")
                    other.execute("COMMIT")

                waiting.append(in_a_thread(write))

        cls = a_migration(Product, writer=writer, hook_before_save=hook_before_save)
        result = migrate_fine(cls, rows, batch_size=1, mode=how)
        waiting[0].join()

    assert result.counts == {"created": 4}
    assert Log.objects.count() == 1


@only_sqlite
@pytest.mark.django_db(transaction=True)
def test_a_commit_waits_for_readers_longer_than_the_project_would() -> None:
    with as_projects_have_it(), closing(site()) as other:
        execute("INSERT INTO shop_log (text) VALUES ('a')")

        other.execute("BEGIN")
        other.execute("SELECT * FROM shop_log").fetchone()

        def end() -> None:
            time.sleep(0.4)
            other.execute("COMMIT")

        thread = in_a_thread(end)
        with writing("default"), transaction.atomic():
            Log.objects.create(text="b")
        thread.join()
    assert Log.objects.count() == 2


@only_sqlite
@pytest.mark.django_db(transaction=True)
def test_patience_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "PATIENCE", 0.2)
    with as_projects_have_it(), closing(site()) as other:
        other.execute("BEGIN IMMEDIATE")
        with writing("default"), pytest.raises(OperationalError, match="locked"):
            Shouting.objects.create(name="x")
        other.execute("ROLLBACK")


@only_sqlite
@pytest.mark.django_db(transaction=True)
def test_only_where_others_write_they_are_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(sessions.time, "sleep", slept.append)
    with as_projects_have_it(), closing(site()) as other, writing("default"):

        def write() -> None:
            for _ in range(3):
                with transaction.atomic():
                    Log.objects.create(text=f"ours {Log.objects.count()}")

        write()
        assert slept == []
        other.execute("INSERT INTO shop_log (text) VALUES ('theirs')")
        write()
    assert len(slept) == 3
    assert max(slept) <= sessions.LET_IN


WRITING_SITE = """
import sqlite3, sys, time
site = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=5)
print("writing", flush=True)
number = 0
while True:
    site.execute("INSERT INTO shop_category (name) VALUES (?)", [f"theirs {number}"])
    number += 1
    time.sleep(0.02)
"""


@only_sqlite
@pytest.mark.django_db(transaction=True)
def test_a_site_that_writes_all_the_time_and_a_run_do_not_hinder_each_other(
    writer: str,
) -> None:
    name = str(connection.settings_dict["NAME"])
    rows = [{"id": n, "sku": str(n), "name": "x"} for n in range(1, 2001)]
    with (
        as_projects_have_it(timeout=5000),
        subprocess.Popen(
            [sys.executable, "-c", WRITING_SITE, name], stdout=subprocess.PIPE, text=True
        ) as other,
    ):
        assert other.stdout is not None
        other.stdout.readline()
        try:
            result = migrate_fine(a_migration(Product, writer=writer), rows, batch_size=50)
            assert other.poll() is None
        finally:
            other.kill()
    assert result.counts == {"created": 2000}
