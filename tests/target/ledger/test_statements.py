"""Rows in bulk: what differs between the databases."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from data_migration.ledger.statements import RowInsert, delete_by_hash, select_by_hash
from data_migration.models import BeforeImage, MigrationState, RowLink
from data_migration.rows.keys import key_hash
from tests.support.engine import undone

COLUMNS = ("key_hash", "key", "object_pk", "checksum", "written", "run", "kind", "unsettled")
only_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="about its planner")

pytestmark = pytest.mark.django_db


@pytest.fixture
def migration() -> int:
    return MigrationState.objects.create(label="shop.A").pk


def row(key: Any, text: str = "", written: bytes = b"") -> tuple[Any, ...]:
    return (key_hash(key), text, str(key), -1, written, 1, 1, 0)


def select(migrations: list[int], keys: list[Any]) -> list[tuple[Any, ...]]:
    hashes = [key_hash(key) for key in keys]
    return list(select_by_hash(connection, RowLink, COLUMNS, migrations, hashes))


def test_rows_of_several_migrations_are_selected_together(migration: int) -> None:
    other, third = (MigrationState.objects.create(label=f"shop.{name}").pk for name in "BC")
    for each in (migration, other, third):
        RowInsert(connection, RowLink, COLUMNS)(each, [row(1, str(each)), row(2)])

    found = select([migration, third], [1])

    assert sorted(text for _, text, *_ in found) == sorted([str(migration), str(third)])


def test_only_the_named_columns_are_selected(migration: int) -> None:
    RowInsert(connection, RowLink, COLUMNS)(migration, [row("a")])

    found = select_by_hash(connection, RowLink, ("key_hash", "object_pk"), [migration], [HASH])

    assert list(found) == [(HASH, "a")]


HASH = key_hash("a")


def test_rows_of_another_table_with_booleans_and_null(migration: int) -> None:
    columns = ("key_hash", "run", "object_pk", "is_deleted", "values", "m2m", "link", "deferred")
    rows = [
        (key_hash(1), 1, "1", False, '{"a": "tab\\t\\\\"}', "{}", None, "[]"),
        (key_hash(2), 1, "2", True, "{}", "{}", '{"run": 7}', "[]"),
    ]

    RowInsert(connection, BeforeImage, columns)(migration, rows)

    images = BeforeImage.objects.order_by("object_pk").values_list("is_deleted", "values", "link")
    assert list(images) == [(False, {"a": "tab\t\\"}, None), (True, {}, {"run": 7})]


@settings(max_examples=100)
@given(st.sets(st.one_of(st.integers(), st.text(), st.binary(), st.uuids()), max_size=50))
def test_every_hash_is_one_that_the_database_takes(keys: set[Any]) -> None:
    with undone():
        migration = MigrationState.objects.create(label="shop.D").pk
        rows = [(key_hash(key), *row("a")[1:]) for key in keys]
        RowInsert(connection, RowLink, COLUMNS)(migration, rows)
        found = {digits for digits, *_ in select([migration], list(keys))}
        assert found == {key_hash(key) for key in keys}


def test_rows_are_deleted_in_their_migration_only(migration: int) -> None:
    other = MigrationState.objects.create(label="shop.B").pk
    for each in (migration, other):
        RowInsert(connection, RowLink, COLUMNS)(each, [row(1), row(2)])

    delete_by_hash(connection, RowLink, migration, [key_hash(1), key_hash(3)])

    assert [digits for digits, *_ in select([migration], [1, 2, 3])] == [key_hash(2)]
    assert len(select([other], [1, 2])) == 2


@only_postgresql
def test_every_key_is_looked_up_in_the_index_even_with_old_statistics(migration: int) -> None:
    RowInsert(connection, RowLink, COLUMNS)(migration, [row(number) for number in range(2000)])
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {RowLink._meta.db_table}")
    later = MigrationState.objects.create(label="shop.B").pk  # the statistics know none of it
    RowInsert(connection, RowLink, COLUMNS)(later, [row(number) for number in range(20_000)])
    plans: list[str] = []

    def explain(execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        with connection.connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {sql}", params)
            plans.append("\n".join(line for (line,) in cursor.fetchall()))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        assert len(select([later], list(range(2000)))) == 2000
        delete_by_hash(connection, RowLink, later, [key_hash(number) for number in range(2000)])

    assert len(plans) == 2
    for plan in plans:
        assert "Index Scan using data_migration_rowlink_pkey" in plan
        assert "Seq Scan" not in plan
        assert "Filter" not in plan
