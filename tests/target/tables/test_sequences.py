"""After numbers were written, those that the database gives by itself lie above them."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from data_migration.migration import Migration
from data_migration.outcomes import Mode
from data_migration.tables import go_on_above
from tests.apps.shop.models import Brand, Country, Custom, Log, Place, Restaurant
from tests.support.engine import migrate_fine

only_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="no sequence")
pytestmark = pytest.mark.django_db

#: Ways to draw a key from a sequence that the column does not own.
DEFAULTS = {
    "of nobody": "nextval('somebodys')",
    "with a schema": "nextval('public.somebodys')",
    "with a cast, as before 8.1": "nextval(('\"somebodys\"'::text)::regclass)",
}


def execute(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def draws(table: str, default: str = "nextval('somebodys')", column: str = "id") -> None:
    """The column draws from the default from now on; an identity of its own is gone."""
    execute(
        f"ALTER TABLE {table} ALTER {column} DROP IDENTITY IF EXISTS",
        f"ALTER TABLE {table} ALTER {column} SET DEFAULT {default}",
    )


def value(sequence: str = "somebodys") -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT nextval('{sequence}')")
        return int(cursor.fetchone()[0])


def brands(*keys: int) -> Any:
    return [{"id": key, "name": "x", "code": str(key), "number": key + 1000} for key in keys]


@only_postgresql
@pytest.mark.parametrize("mode", [Mode.COMMIT, Mode.ATOMIC])
@pytest.mark.parametrize("default", DEFAULTS.values(), ids=DEFAULTS)
def test_a_sequence_that_no_column_owns_goes_on_above_the_keys(default: str, mode: Mode) -> None:
    execute("CREATE SEQUENCE somebodys")
    draws("shop_brand", default)

    migrate_fine(type("M", (Migration,), {"model": Brand}), brands(7, 41, 9), mode=mode)

    assert Brand.objects.create(name="y", code="y").pk == 42


@only_postgresql
def test_one_that_other_tables_draw_from_is_not_set_back() -> None:
    execute("CREATE SEQUENCE somebodys", "SELECT setval('somebodys', 500)")
    draws("shop_brand")
    draws("shop_log")

    migrate_fine(type("M", (Migration,), {"model": Brand}), brands(41))

    assert Log.objects.create(text="a").pk == 501


@only_postgresql
def test_one_that_another_table_owns_is_not_set_back() -> None:
    execute("CREATE SEQUENCE somebodys", "SELECT setval('somebodys', 500)")
    draws("shop_brand")
    execute("ALTER SEQUENCE somebodys OWNED BY shop_brand.id")
    draws("shop_log")

    migrate_fine(type("M", (Migration,), {"model": Brand}), brands(41))

    assert Log.objects.create(text="a").pk == 501


@only_postgresql
def test_so_does_that_of_a_column_which_is_no_key() -> None:
    execute('CREATE SEQUENCE "Of Numbers"')
    draws("shop_brand", "nextval('\"Of Numbers\"')", "number")

    migrate_fine(
        type("M", (Migration,), {"model": Brand, "legacy_key": "code"}),
        [{"name": "x", "code": "a", "number": 77}],
    )

    assert value('"Of Numbers"') == 78


@only_postgresql
def test_a_sequence_that_counts_down_or_has_ended_is_left_to_its_owner() -> None:
    execute("CREATE SEQUENCE somebodys INCREMENT -1", "CREATE SEQUENCE short MAXVALUE 50")
    draws("shop_brand")
    draws("shop_log", "nextval('short')")
    Brand.objects.create(pk=4711, name="x", code="x")
    Log.objects.create(pk=4711, text="x")

    go_on_above([Brand, Log], database="default")

    assert value() == -1
    with connection.cursor() as cursor:
        cursor.execute("SELECT last_value, is_called FROM short")
        assert cursor.fetchone() == (50, True)


@only_postgresql
def test_the_first_number_of_a_sequence_may_have_been_written() -> None:
    execute("CREATE SEQUENCE somebodys")
    draws("shop_log")
    Log.objects.create(pk=1, text="x")
    go_on_above([Log], database="default")
    assert value() == 2


def test_of_an_empty_table_and_of_one_without_numbers_nothing_is_asked() -> None:
    go_on_above([Brand, Country, Custom], database="default")
    assert Brand.objects.create(name="x", code="x").pk > 0


def test_the_table_of_a_parent_goes_on_too() -> None:
    migrate_fine(
        type("M", (Migration,), {"model": Restaurant}), [{"id": 900, "name": "x", "stars": 1}]
    )
    assert Place.objects.create(name="y").pk == 901


@pytest.mark.skipif(connection.vendor != "mysql", reason="MariaDB has sequences of its own")
@pytest.mark.django_db(transaction=True)
def test_a_sequence_of_mariadb_goes_on_above_the_keys() -> None:
    if not connection.mysql_is_mariadb:  # type: ignore[attr-defined]
        pytest.skip("MySQL has none")
    execute(
        "CREATE SEQUENCE somebodys",
        "ALTER TABLE shop_log MODIFY id BIGINT NOT NULL DEFAULT NEXTVAL(somebodys)",
    )
    try:
        rows = [{"id": 7, "text": "a"}, {"id": 41, "text": "b"}]
        migrate_fine(type("M", (Migration,), {"model": Log}), rows)
        execute("INSERT INTO shop_log (text) VALUES ('c')")
        assert Log.objects.get(text="c").pk > 41
    finally:
        execute(
            "ALTER TABLE shop_log MODIFY id BIGINT NOT NULL AUTO_INCREMENT",
            "DROP SEQUENCE somebodys",
        )
