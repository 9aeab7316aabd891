"""The bulk writer: one INSERT per batch, bad rows found by halving, the good ones kept."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import ceil, log2
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from data_migration.exceptions import StepFailed
from data_migration.migration import Migration
from data_migration.outcomes import OnError
from data_migration.spec.columns import is_a
from tests.apps.shop.models import Brand, Log, Product, Review, Tag
from tests.support.engine import Result, migrate, migrate_fine, statements, undone
from tests.support.writers import WRITERS

pytestmark = pytest.mark.django_db

Rows = list[dict[str, Any]]


class BulkMigration(Migration):
    model = Product
    writer = "bulk"
    column_description = {
        "brand": is_a(Brand, "code", fk=True, prefetch=False),
        "tags": is_a(Tag, "name", m2m=True),
    }


def good_rows(count: int) -> Rows:
    return [{"id": n, "sku": f"s{n}", "name": "x", "price": "1.50"} for n in range(1, count + 1)]


#: The writers of this module.
IN_BULK = [name for name in WRITERS if name != "save"]

_NOTE_INSERTS = """
    CREATE SEQUENCE attempts;
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql
        AS 'BEGIN PERFORM nextval(''attempts''); RETURN NULL; END';
    CREATE TRIGGER note BEFORE INSERT ON shop_product FOR EACH STATEMENT EXECUTE FUNCTION note();
"""


@contextmanager
def inserts_into_products() -> Iterator[list[int]]:
    """How many INSERTs and COPYs the block tried; PostgreSQL counts, since COPY is not seen here.

    A sequence keeps what it gave when all else is rolled back.
    """
    found: list[int] = []
    with undone(), statements() as ran, connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_NOTE_INSERTS)
        yield found
        if connection.vendor == "postgresql":
            cursor.execute("SELECT nextval('attempts') - 1")
            found.append(cursor.fetchone()[0])
        else:
            found.append(len(ran.starting("INSERT", table=Product)))


@pytest.mark.parametrize("name", IN_BULK)
class TestTenThousandRowsWithThreeBadOnes:
    ROWS, BATCH = 10_000, 2000

    def inserts(self, name: str, rows: Rows) -> tuple[int, Result]:
        chosen = type("Chosen", (BulkMigration,), {"writer": name})
        with inserts_into_products() as found:
            result = migrate(chosen, rows, batch_size=self.BATCH)
            assert Product.objects.count() == result.step.created
        return found[0], result

    @pytest.mark.slow
    def test_only_they_fail_and_few_statements_are_needed(self, name: str) -> None:
        Brand.objects.create(code="acme")
        rows = good_rows(self.ROWS)
        without, result = self.inserts(name, [dict(row) for row in rows])
        assert result.counts == {"created": self.ROWS}
        rows[1233]["name"] = None
        rows[5677]["sku"] = rows[5600]["sku"]
        rows[9876]["id"] = 10**30  # more than the column takes
        with_bad, result = self.inserts(name, rows)
        assert result.error is None
        assert result.told == [
            ("1234", "name", "NULL"),
            ("5678", "sku", "'s5601'"),
            (str(10**30), "id", str(10**30)),
        ]
        assert result.counts == {"created": self.ROWS - 3, "failed": 3}
        assert with_bad - without <= 3 * 2 * ceil(log2(self.BATCH))

    @pytest.mark.slow
    def test_rows_that_cannot_be_transformed_cost_no_statement(self, name: str) -> None:
        Brand.objects.create(code="acme")
        rows = good_rows(self.ROWS)
        for row in rows:
            row["brand"] = "acme"
        without, _ = self.inserts(name, [dict(row) for row in rows])
        rows[10]["price"] = "dear"
        rows[5000]["brand"] = "nix"
        rows[9999]["price"] = b"\xff"
        with_bad, result = self.inserts(name, rows)
        assert result.told == [
            ("11", "price", "'dear'"),
            ("5001", "brand", "'nix'"),
            ("10000", "price", r"b'\xff'"),
        ]
        assert with_bad == without


#: What each further batch of new rows with links and joins asks of the database. What is sent
#: without waiting for the server is not seen: what goes by COPY, and on MySQL the links.
_INSERTS = {"INSERT shop_product": 1, "INSERT shop_product_tags": 1}
_LINKS = {"INSERT data_migration_rowlink": 1}
COSTS: dict[str, dict[str, dict[str, int]]] = {
    "postgresql": {
        "copy": {"SELECT nextval": 1},
        "bulk": {**_INSERTS, "SELECT nextval": 1},
    },
    "mysql": {"bulk": _INSERTS},
    "sqlite": {
        "bulk": {
            **_INSERTS,
            **_LINKS,
            "SELECT shop_product": 1,
            "SELECT sqlite_master": 1,
            "SELECT sqlite_sequence": 1,
        }
    },
}


def _verb(sql: str) -> str:
    """``INSERT shop_product``: what a statement does, and where."""
    table = re.search(r"shop_\w+|data_migration_rowlink|@@max\w+|nextval|sqlite_\w+", sql)
    return f"{sql.split()[0]} {table.group()}" if table and "SAVEPOINT" not in sql else ""


@pytest.mark.parametrize("name", IN_BULK)
def test_what_a_batch_costs(name: str) -> None:
    """One INSERT or COPY for each table, and the keys; savepoints and the run's record apart."""
    Tag.objects.create(name="a")
    with_tags = {"id": is_a(exclude=True), "tags": is_a(Tag, "name", m2m=True)}
    chosen = type("Chosen", (BulkMigration,), {"writer": name, "column_description": with_tags})
    several = [row | {"tags": "a"} for row in good_rows(20)]
    counted = []
    for size in (20, 5):
        with undone(), statements() as ran:
            migrate_fine(chosen, several, batch_size=size)
        counted.append(Counter(map(_verb, ran)))

    more = counted[1] - counted[0]
    del more[""]
    assert {verb: number / 3 for verb, number in more.items()} == COSTS[connection.vendor][name]


class TestHooks:
    def test_each_runs_for_every_row_in_order(self) -> None:
        called = []

        class Noting(BulkMigration):
            def hook_before_all(self) -> None:
                called.append("all")

            def hook_before_transformation(self, row: dict[str, Any]) -> None:
                called.append(f"transform {row['id']}")

            def hook_before_save(self, instance: Any, row: dict[str, Any]) -> None:
                called.append(f"save {row['id']}")

            def hook_after_save(self, instance: Any, row: dict[str, Any]) -> None:
                assert instance.pk == row["id"]
                assert Product.objects.filter(pk=instance.pk).exists()
                called.append(f"after {row['id']}")

            def hook_after_all(self) -> None:
                called.append("end")

        migrate_fine(Noting, good_rows(2))
        assert called == [
            "all",
            *("transform 1", "transform 2", "save 1", "save 2", "after 1", "after 2"),
            "end",
        ]

    def test_links_are_there_when_hook_after_save_runs(self) -> None:
        seen = []

        class Noting(BulkMigration):
            def hook_after_save(self, instance: Any, row: dict[str, Any]) -> None:
                seen.append([tag.name for tag in instance.tags.all()])

        Tag.objects.create(name="a")
        migrate_fine(Noting, [{"sku": 1, "tags": "a"}])
        assert seen == [["a"]]

    def test_returning_false_skips_the_row(self) -> None:
        class Skipping(BulkMigration):
            def hook_before_save(self, instance: Any, row: dict[str, Any]) -> bool:
                return bool(row["id"] != 2)

        result = migrate(Skipping, good_rows(3))
        assert result.counts == {"created": 2, "skipped": 1}
        assert not Product.objects.filter(pk=2).exists()

    def test_error_of_the_database_after_the_save_pins_only_its_row(self, writer: str) -> None:
        class Logging(BulkMigration):
            def hook_after_save(self, instance: Any, row: dict[str, Any]) -> None:
                Log.objects.create(text="there" if row["id"] == 5 else f"row {row['id']}")

        Log.objects.create(text="there")
        result = migrate(type("Chosen", (Logging,), {"writer": writer}), good_rows(9))
        assert result.error is None
        assert result.counts == {"created": 8, "failed": 1}
        assert [message.key for message in result.messages] == ["5"]
        assert "hook_after_save, line " in result.messages[0].cause
        assert Log.objects.count() == 9
        assert not Product.objects.filter(pk=5).exists()

    @pytest.mark.parametrize("number", [1, 5, 9])
    def test_swallowing_an_error_of_the_database_fails_the_row(
        self, writer: str, number: int
    ) -> None:
        """Django would roll the row back at the end of the savepoint, and say nothing."""

        class Swallowing(BulkMigration):
            def hook_after_save(self, instance: Any, row: dict[str, Any]) -> None:
                if row["id"] == number:
                    with suppress(IntegrityError):
                        Log.objects.create(text="there")

        Log.objects.create(text="there")
        result = migrate(type("Chosen", (Swallowing,), {"writer": writer}), good_rows(9))
        assert result.error is None
        assert [message.key for message in result.messages] == [str(number)]
        assert "hook_after_save" in result.messages[0].cause
        assert "transaction.atomic()" in result.messages[0].cause
        assert Product.objects.count() == result.step.created == 8

    def test_swallowing_within_a_transaction_of_its_own_is_fine(self, writer: str) -> None:
        class Guarded(BulkMigration):
            def hook_after_save(self, instance: Any, row: dict[str, Any]) -> None:
                with suppress(IntegrityError), transaction.atomic():
                    Log.objects.create(text="there")

        Log.objects.create(text="there")
        migrate_fine(type("Chosen", (Guarded,), {"writer": writer}), good_rows(3))
        assert Product.objects.count() == 3

    def test_hook_that_changes_instance_and_row_sees_them_fresh_when_repeated(
        self, writer: str
    ) -> None:
        class Changing(BulkMigration):
            column_description = {"extra": is_a(exclude=True)}

            def hook_after_save(self, instance: Any, row: dict[str, Any]) -> None:
                instance.price += row.pop("extra")
                instance.save()
                if row["id"] == 6:
                    raise ValueError("not this one")

        rows = [row | {"extra": 1} for row in good_rows(8)]
        result = migrate(type("Chosen", (Changing,), {"writer": writer}), rows)
        assert [message.key for message in result.messages] == ["6"]
        assert set(Product.objects.values_list("price", flat=True)) == {2.5}

    @pytest.mark.parametrize("hook", ["hook_before_save", "hook_after_save"])
    def test_nonsense_in_a_foreign_key_is_told(self, writer: str, hook: str) -> None:
        def nonsense(self: Any, instance: Any, row: dict[str, Any]) -> None:
            if row["id"] == 3:
                instance.brand_id = 404
                if hook == "hook_after_save":
                    instance.save()

        chosen = type("Chosen", (BulkMigration,), {"writer": writer, hook: nonsense})
        result = migrate(chosen, good_rows(5))
        assert result.told == [("3", "brand", "404")]
        assert result.counts == {"created": 4, "failed": 1}
        assert not Product.objects.filter(pk=3).exists()


class TestKeys:
    def test_are_handed_out(self) -> None:
        keys = []

        class Noting(BulkMigration):
            def hook_after_save(self, instance: Any, row: dict[str, Any]) -> None:
                keys.append(instance.pk)

        migrate_fine(Noting, [{"sku": n} for n in range(4)])
        assert sorted(keys) == sorted(Product.objects.values_list("pk", flat=True))
        assert None not in keys

    def test_new_object_comes_above_explicit_ones(self, writer: str) -> None:
        chosen = type("Chosen", (BulkMigration,), {"writer": writer})
        migrate_fine(chosen, [{"id": 1000, "sku": "a"}, {"id": 7, "sku": "b"}])
        assert Product.objects.create(sku="c").pk > 1000

    def test_key_that_is_taken_fails_instead_of_overwriting(self, writer: str) -> None:
        Product.objects.create(pk=2, sku="mine", name="old")
        chosen = type("Chosen", (BulkMigration,), {"writer": writer})
        result = migrate(chosen, good_rows(3))
        assert [message.key for message in result.messages] == ["2"]
        assert Product.objects.get(pk=2).name == "old"
        assert Product.objects.count() == 3


def test_stop_keeps_nothing_and_names_the_row(writer: str) -> None:
    rows = good_rows(5)
    rows[3]["name"] = None
    chosen = type("Chosen", (BulkMigration,), {"writer": writer, "hook_after_save": _pass})
    result = migrate(chosen, rows, on_error=OnError.STOP)
    assert isinstance(result.error, StepFailed)
    assert "key 4" in result.step.error
    assert "name" in result.step.error
    assert not Product.objects.exists()


def _pass(self: Any, instance: Any, row: dict[str, Any]) -> None:
    """An overridden hook."""


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite stores whatever comes")
@pytest.mark.parametrize("number", [1, 3])
def test_an_update_refuses_what_is_too_long_instead_of_cutting_it(
    writer: str, number: int
) -> None:
    chosen = type("Chosen", (BulkMigration,), {"writer": writer, "allow_updates": True})
    migrate_fine(chosen, good_rows(number))
    rows = [row | {"name": "y"} for row in good_rows(number)]
    rows[0]["name"] = "x" * 21

    result = migrate(chosen, rows)

    assert result.told == [("1", "name", repr("x" * 21))]
    names = Product.objects.order_by("pk").values_list("name", flat=True)
    assert list(names) == ["x", "y", "y"][:number]


def test_missing_required_column_is_told_for_each_row(writer: str) -> None:
    class ReviewMigration(Migration):
        model = Review

    chosen = type("Chosen", (ReviewMigration,), {"writer": writer})
    result = migrate(chosen, [{"id": 1, "text": "x"}, {"id": 2, "text": "y"}])
    assert result.told == [("1", "product", "NULL"), ("2", "product", "NULL")]
