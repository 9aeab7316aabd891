"""A fault of the database ends the step with one error; a fault of a row does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import DatabaseError, Error, connection, connections

from data_migration.exceptions import StepFailed
from data_migration.migration import Migration
from data_migration.models import RowError, RunStep
from data_migration.outcomes import OnError, RunStatus
from data_migration.utils.databases import database_of
from tests import settings
from tests.apps.shop.models import Brand, Product
from tests.support.engine import Result, migrate, statements


def products(writer: str, **attributes: Any) -> type[Migration]:
    return type("M", (Migration,), {"model": Product, "writer": writer, **attributes})


def rows(count: int = 300) -> list[dict[str, Any]]:
    return [{"id": n, "sku": f"s{n}", "name": "x" * 20} for n in range(1, count + 1)]


def assert_one_error_and_nothing_written(result: Result) -> None:
    assert result.error is not None
    assert result.step.status == RunStatus.FAILED
    assert result.messages == []
    assert not Product.objects.exists()
    assert RunStep.objects.get().status == RunStatus.FAILED
    assert RunStep.objects.get().error


@contextmanager
def without_table(name: str) -> Iterator[None]:
    quoted, away = connection.ops.quote_name(name), connection.ops.quote_name("away")
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {quoted} RENAME TO {away}")
        yield
        cursor.execute(f"ALTER TABLE {away} RENAME TO {quoted}")


@pytest.mark.django_db(transaction=True)
def test_missing_table_is_told_once(writer: str) -> None:
    with without_table("shop_product"), statements() as ran:
        result = migrate(products(writer), rows())
    assert_one_error_and_nothing_written(result)
    assert "shop_product" in result.step.error
    # On PostgreSQL the question for the sequence comes first, on MySQL the INSERT is not seen.
    is_seen = settings.TARGET == "sqlite" or writer == "save"
    assert len(ran.starting("INSERT", table=Product)) == (1 if is_seen else 0)


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(settings.TARGET == "sqlite", reason="SQLite has no server to lose")
def test_lost_connection_is_told_once(writer: str) -> None:
    def hook_after_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
        if row["id"] == 150:
            kill(connection)

    result = migrate(products(writer, hook_after_save=hook_after_save), rows())
    assert_one_error_and_nothing_written(result)


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(settings.TARGET == "sqlite", reason="SQLite has no server to lose")
def test_what_fails_after_the_loss_is_no_fault_of_a_row() -> None:
    connection.ensure_connection()
    kill(connection)
    try:
        for _ in range(2):  # psycopg's second error has no SQLSTATE, psycopg2's is another
            with pytest.raises(Error) as caught:
                Brand.objects.exists()
            assert database_of("default").is_at_fault(caught.value)
    finally:
        connection.close()


def kill(victim: Any) -> None:
    """End the server's side of the connection, from another one."""
    other = connections.create_connection("default")
    other.settings_dict = victim.settings_dict
    statement = {
        "postgresql": "SELECT pg_terminate_backend(%s)",
        "mysql": "KILL %s",
    }[victim.vendor]
    number = {
        "postgresql": lambda: victim.connection.info.backend_pid,
        "mysql": lambda: victim.connection.thread_id(),
    }[victim.vendor]()
    try:
        with other.cursor() as cursor:
            cursor.execute(statement, [number])
    finally:
        other.close()


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(settings.TARGET != "sqlite", reason="only SQLite's space can be limited")
def test_full_disk_is_told_once(writer: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")  # pages that earlier tests freed would be used first
        (pages,) = cursor.execute("PRAGMA page_count").fetchone()
        (before,) = cursor.execute("PRAGMA max_page_count").fetchone()
        cursor.execute(f"PRAGMA max_page_count = {pages + 1}")
        try:
            result = migrate(products(writer), rows(2000))
        finally:
            cursor.execute(f"PRAGMA max_page_count = {before}")
    assert_one_error_and_nothing_written(result)
    assert "full" in result.step.error


@pytest.mark.django_db
def test_what_a_row_does_wrong_is_no_fault_of_the_database() -> None:
    seen: list[BaseException] = []

    def hook_error_creating_instance(self: Any, exception: Exception, row: Any) -> None:
        seen.append(exception)

    Brand.objects.create(code="a")
    migration = type(
        "M",
        (Migration,),
        {"model": Brand, "hook_error_creating_instance": hook_error_creating_instance},
    )
    migrate(migration, [{"code": "a", "name": "x"}, {"code": "b", "name": None}])
    assert [isinstance(error, DatabaseError) for error in seen] == [True, True]
    assert not any(database_of("default").is_at_fault(error) for error in seen)
    assert not database_of("default").is_at_fault(ValueError("no"))


@pytest.mark.django_db
def test_failure_that_stops_the_step_leaves_the_database_usable(writer: str) -> None:
    bad = [*rows(5), {"id": 9, "sku": "s1", "name": "x"}]
    result = migrate(products(writer), bad, on_error=OnError.STOP)
    assert isinstance(result.error, StepFailed)
    assert not Product.objects.exists()
    assert RowError.objects.count() == 1
