"""What is known of the target database, and what its errors mean."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, connection, connections
from django.db.models import F, IntegerField

from data_migration.utils.databases import Database, database_of
from tests.apps.shop.models import Brand

VENDOR = connection.vendor


class FromDriver(Exception):
    """An error as the drivers raise it, with every name that one of them has for its code."""

    def __init__(self, *, state: str = "", number: int = 0, name: str = "") -> None:
        super().__init__(number, "no")
        self.sqlstate, self.sqlite_errorname = state, name


DEADLOCK = FromDriver(state="40P01", number=1213)
FULL = FromDriver(state="53100", number=1021, name="SQLITE_FULL")
DUPLICATE = FromDriver(state="23505", number=1062, name="SQLITE_CONSTRAINT_UNIQUE")


def raised(cause: Exception) -> OperationalError:
    error = OperationalError("no")
    error.__cause__ = cause
    return error


def test_each_vendor_is_told_by_what_it_can_do() -> None:
    database = database_of("default")
    assert database.takes_copy is (VENDOR == "postgresql")
    assert database.has_one_writer is (VENDOR == "sqlite")
    assert database.checks_keys_at_once is (VENDOR == "mysql")


def test_of_any_other_vendor_nothing_special_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections["default"], "vendor", "oracle")
    database = database_of("default")
    assert type(database) is Database
    assert database.longest_statement is None


@pytest.mark.django_db
def test_only_mysql_has_a_longest_statement() -> None:
    assert (database_of("default").longest_statement is not None) is (VENDOR == "mysql")


def test_a_query_takes_what_the_database_takes() -> None:
    def limited_to(number: int | None) -> Database:
        connection: Any = SimpleNamespace(features=SimpleNamespace(max_query_params=number))
        return Database(connection)

    assert limited_to(25).values_in_query(at_most=1000) == 25
    assert limited_to(25).values_in_query(at_most=10) == 10
    assert limited_to(None).values_in_query(at_most=1000) == 1000


def test_the_range_of_a_column() -> None:
    lowest, highest = database_of("default").range_of(IntegerField())
    assert lowest is not None
    assert highest is not None
    assert lowest <= -(2**31) < 2**31 <= highest + 1


@pytest.mark.django_db
def test_a_fault_of_the_database_is_told_by_its_code() -> None:
    list(Brand.objects.filter(pk=F("pk")))
    database = database_of("default")
    assert database.is_at_fault(raised(FULL))
    assert not database.is_at_fault(raised(DUPLICATE))
    assert not database.is_at_fault(FULL)  # not Django's, so not the target's


@pytest.mark.skipif(VENDOR == "sqlite", reason="SQLite takes one writer at a time")
def test_a_deadlock_is_found_behind_what_was_raised_because_of_it() -> None:
    database = database_of("default")
    error = ValueError("raised by a hook")
    error.__context__ = raised(DEADLOCK)
    assert database.is_deadlock(error)
    assert not database.is_deadlock(raised(DUPLICATE))
    assert not database.is_deadlock(DatabaseError("no"))


@pytest.mark.skipif(VENDOR != "sqlite", reason="servers have deadlocks")
def test_sqlite_has_no_deadlocks() -> None:
    assert not database_of("default").is_deadlock(raised(DEADLOCK))
