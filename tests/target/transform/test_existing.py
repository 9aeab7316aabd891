"""Reruns: which object a row stands for, and what is written to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.db.models import F

from data_migration.migration import Migration
from data_migration.spec.columns import is_a
from tests.apps.shop.models import (
    Brand,
    Category,
    Country,
    Detail,
    Everything,
    Product,
    Stamped,
)
from tests.support import products
from tests.support.engine import Statements, migrate, migrate_fine, statements
from tests.support.products import make_targets

pytestmark = pytest.mark.django_db


def updateable(writer: str, model: Any = Product, **attributes: Any) -> type[Migration]:
    return products.updateable(writer, model, **{"search_attr": "sku"} | attributes)


@contextmanager
def nothing_written() -> Iterator[None]:
    with statements() as ran:
        yield
    assert ran.writing("shop_") == []


def looked_up(ran: Statements) -> list[str]:
    """The queries that read products; that a sequence goes on above them is another thing."""
    table = connection.ops.quote_name(Product._meta.db_table)
    return ran.starting(f"SELECT {table}")


def linked() -> dict[str, str]:
    return {
        product.sku: "".join(sorted(tag.name for tag in product.tags.all()))
        for product in Product.objects.all()
    }


class TestRerun:
    @pytest.fixture(autouse=True)
    def targets(self) -> None:
        make_targets("acme")

    def rows(self) -> list[dict[str, Any]]:
        return [
            {"sku": f"s{n}", "name": "x", "price": "1.50", "brand": "acme", "tags": "a;b"}
            for n in range(6)
        ]

    def test_without_a_change_nothing_is_written(self, writer: str) -> None:
        migration = updateable(writer)
        migrate_fine(migration, self.rows())
        with nothing_written():
            result = migrate_fine(migration, self.rows())
        assert result.counts == {"unchanged": 6}

    def test_only_what_changed_is_written(self, writer: str) -> None:
        migration = updateable(writer)
        migrate_fine(migration, self.rows())
        Product.objects.update(email="kept@example.org")
        rows = self.rows()
        rows[2]["name"] = "new"
        with statements() as ran:
            result = migrate_fine(migration, rows)
        assert result.counts == {"updated": 1, "unchanged": 5}
        (sql,) = ran.writing("shop_")
        assert "name" in sql
        assert "price" not in sql
        product = Product.objects.get(sku="s2")
        assert (product.name, product.email) == ("new", "kept@example.org")

    def test_creates_what_is_missing(self, writer: str) -> None:
        migration = updateable(writer)
        migrate_fine(migration, self.rows()[:3])
        result = migrate_fine(migration, self.rows())
        assert result.counts == {"created": 3, "unchanged": 3}
        assert linked() == {f"s{n}": "ab" for n in range(6)}

    def test_sets_of_links_become_those_of_the_row(self, writer: str) -> None:
        migration = updateable(writer)
        migrate_fine(migration, self.rows())
        rows = self.rows()
        for row, tags in zip(rows, ["a;b", "b;a", "c", "a;b;c", "", None], strict=True):
            row["tags"] = tags
        result = migrate_fine(migration, rows)
        assert result.counts == {"updated": 4, "unchanged": 2}
        assert linked() == {"s0": "ab", "s1": "ab", "s2": "c", "s3": "abc", "s4": "", "s5": ""}

    def test_relation_may_become_null(self, writer: str) -> None:
        migration = updateable(writer)
        migrate_fine(migration, self.rows())
        rows = [row | {"brand": None} for row in self.rows()]
        assert migrate_fine(migration, rows).counts == {"updated": 6}
        assert not Product.objects.exclude(brand=None).exists()

    def test_one_query_finds_the_existing_of_a_batch(self, writer: str) -> None:
        migration = updateable(writer)
        rows = [{"sku": f"s{n}", "name": "x"} for n in range(40)]
        migrate_fine(migration, rows)
        for row in rows:
            row["name"] = "y"
        with statements() as ran:
            migrate_fine(migration, rows, batch_size=20)
        assert len(looked_up(ran)) == 2

    def test_one_query_finds_the_existing_that_no_link_leads_to(self, writer: str) -> None:
        Product.objects.bulk_create(Product(sku=f"s{n}", name="old") for n in range(40))
        rows = [{"sku": f"s{n}", "name": "x"} for n in range(40)]
        with statements() as ran:
            result = migrate_fine(updateable(writer), rows, batch_size=20)
        assert result.counts == {"updated": 40}
        assert len(looked_up(ran)) == 2

    def test_bad_row_leaves_its_object_as_it_was(self, writer: str) -> None:
        migration = updateable(writer)
        migrate_fine(migration, self.rows())
        rows = [row | {"name": "new"} for row in self.rows()]
        rows[1]["name"] = None
        rows[4]["brand"] = "nix"
        result = migrate(migration, rows)
        assert result.counts == {"updated": 4, "failed": 2}
        assert sorted(result.told) == [('"s1"', "name", "NULL"), ('"s4"', "brand", "'nix'")]
        assert set(Product.objects.filter(name="x").values_list("sku", flat=True)) == {"s1", "s4"}

    def test_hook_before_save_may_normalise(self, writer: str) -> None:
        def hook_before_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
            instance.name = instance.name.strip().lower()

        migration = updateable(writer, hook_before_save=hook_before_save)
        rows = [row | {"name": " X "} for row in self.rows()]
        migrate_fine(migration, rows)
        with nothing_written():
            assert migrate_fine(migration, rows).counts == {"unchanged": 6}

    def test_hook_after_save_is_for_new_objects_only(self, writer: str) -> None:
        called = []

        def hook_after_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
            called.append(row["sku"])

        migration = updateable(writer, hook_after_save=hook_after_save)
        migrate_fine(migration, self.rows()[:2])
        migrate_fine(migration, [row | {"name": "new"} for row in self.rows()[:3]])
        assert called == ["s0", "s1", "s2"]

    def test_price_that_was_rounded_is_unchanged_and_told_once(self, writer: str) -> None:
        migration = updateable(writer)
        rows = [{"sku": "s1", "price": 1.005}, {"sku": "s2", "price": "2"}]
        first = migrate(migration, rows)
        assert first.counts == {"created": 2, "warnings": 1}
        assert first.told == [('"s1"', "price", "1.005")]
        assert set(Product.objects.values_list("price", flat=True)) == {Decimal("1.01"), 2}
        with nothing_written():
            assert migrate_fine(migration, rows).counts == {"unchanged": 2}


class TestHookUpdateExisting:
    def test_is_called_with_the_raw_row_of_each_existing_object(self, writer: str) -> None:
        called = []

        def hook_before_transformation(self: Any, row: dict[str, Any]) -> None:
            row["name"] = row["name"].upper()

        def hook_update_existing(self: Any, instance: Any, row: dict[str, Any]) -> None:
            called.append((instance.sku, row["name"]))
            instance.name = "hooked"
            instance.save()

        migration = updateable(
            writer,
            hook_before_transformation=hook_before_transformation,
            hook_update_existing=hook_update_existing,
        )
        migrate_fine(migration, [{"sku": "a", "name": "x"}])
        rows = [{"sku": "a", "name": "y"}, {"sku": "b", "name": "z"}]
        assert migrate_fine(migration, rows).counts == {"updated": 1, "created": 1}
        assert called == [("a", "y")]
        assert dict(Product.objects.values_list("sku", "name")) == {"a": "hooked", "b": "Z"}

    def test_is_called_with_the_raw_row_where_a_relation_identifies_the_object(
        self, writer: str
    ) -> None:
        # "sku" is no key of the product, so only the transformed row tells which detail it is.
        called = []

        def hook_before_transformation(self: Any, row: dict[str, Any]) -> None:
            row["text"] = row["text"].upper()

        def hook_update_existing(self: Any, instance: Any, row: dict[str, Any]) -> None:
            called.append((instance.text, row["text"]))

        Product.objects.create(sku="p", name="x")
        migration = updateable(
            writer,
            Detail,
            search_attr="product",
            column_description={"product": is_a(Product, "sku", o2o=True)},
            hook_before_transformation=hook_before_transformation,
            hook_update_existing=hook_update_existing,
        )
        rows = [{"product": "p", "text": "a"}]
        assert migrate_fine(migration, rows).counts == {"created": 1}
        assert migrate_fine(migration, rows).counts == {"unchanged": 1}
        assert called == [("A", "a")]

    def test_counter_is_raised_once_in_spite_of_a_bad_row(self, writer: str) -> None:
        def hook_update_existing(self: Any, instance: Any, row: dict[str, Any]) -> None:
            instance.price += 1
            instance.save()
            if row["sku"] == "s4":
                raise ValueError("not this one")

        migration = updateable(writer, hook_update_existing=hook_update_existing)
        rows = [{"sku": f"s{n}", "name": "x"} for n in range(8)]
        migrate_fine(migration, rows)
        result = migrate(migration, rows)
        assert result.counts == {"updated": 7, "failed": 1}
        prices = dict(Product.objects.values_list("sku", "price"))
        assert prices == {f"s{n}": 0 if n == 4 else 1 for n in range(8)}

    def test_that_changes_nothing_counts_as_unchanged(self, writer: str) -> None:
        def hook_update_existing(self: Any, instance: Any, row: dict[str, Any]) -> None:
            """Leave everything as it is."""

        migration = updateable(writer, hook_update_existing=hook_update_existing)
        rows = [{"sku": "a", "name": "x"}]
        migrate_fine(migration, rows)
        with nothing_written():
            assert migrate_fine(migration, rows).counts == {"unchanged": 1}

    def test_second_row_of_one_query_meets_the_first_ones_object(self, writer: str) -> None:
        def hook_update_existing(self: Any, instance: Any, row: dict[str, Any]) -> None:
            instance.name += row["name"]
            instance.save()

        migration = updateable(writer, hook_update_existing=hook_update_existing)
        rows = [{"sku": "a", "name": name} for name in "xyz"]
        migrate_fine(migration, rows)
        assert Product.objects.get().name == "xyz"


class TestIdentity:
    @pytest.mark.parametrize("batch_size", [1, 2, 100])
    def test_later_row_of_one_query_updates_the_object_of_the_first(
        self, writer: str, batch_size: int
    ) -> None:
        rows = [{"sku": "a", "name": name} for name in ("one", "two", "three")]
        result = migrate(updateable(writer), rows, batch_size=batch_size)
        assert result.counts == {"created": 1, "updated": 2, "warnings": 2}
        assert {message.cause for message in result.messages} == {
            "another row of the query has the same legacy key; this one replaces its values, in"
            " every rerun again"
        }
        assert Product.objects.get().name == "three"

    @pytest.mark.parametrize("batch_size", [1, 2, 100])
    def test_later_row_of_one_query_fails_where_nothing_is_updated(
        self, writer: str, batch_size: int
    ) -> None:
        rows = [{"sku": "a", "name": name} for name in ("one", "two", "three")]
        migration = updateable(writer, allow_updates=False)
        result = migrate(migration, rows, batch_size=batch_size)
        assert result.counts == {"created": 1, "failed": 2}
        assert {message.cause for message in result.messages} == {
            "another row of the query has the same legacy key. Each row needs a key of its own:"
            " name further columns in legacy_key, or leave the repetition out of the query"
        }
        assert Product.objects.get().name == "one"

    def test_second_row_takes_over_where_the_first_fails(self, writer: str) -> None:
        rows = [{"sku": "a", "name": None}, {"sku": "a", "name": "fine"}]
        result = migrate(updateable(writer), rows)
        assert result.counts == {"created": 1, "failed": 1}
        assert Product.objects.get().name == "fine"

    def test_null_stands_for_no_object(self, writer: str) -> None:
        migration = updateable(
            writer, Brand, search_attr="number", legacy_key="code", column_description={}
        )
        Brand.objects.create(code="there")
        rows = [{"code": "a", "number": None}, {"code": "b", "number": None}]
        assert migrate_fine(migration, rows).counts == {"created": 2}

    def test_null_as_legacy_key_fails_the_row(self, writer: str) -> None:
        migration = updateable(writer, Brand, search_attr="number", column_description={})
        rows = [{"code": "a", "number": None}, {"code": "b", "number": 1}]
        result = migrate(migration, rows)
        assert result.counts == {"created": 1, "failed": 1}
        assert [message.cause for message in result.messages] == [
            "the legacy key (number) is NULL, so the row could not be found again. Leave such rows"
            " out of the query, or name other columns in legacy_key"
        ]

    def test_value_that_no_object_can_have_fails_its_row_only(self, writer: str) -> None:
        migration = updateable(
            writer, Brand, search_attr="number", legacy_key="code", column_description={}
        )
        rows = [{"code": "a", "number": 10**30}, {"code": "b", "number": "x"}, {"code": "c"}]
        result = migrate(migration, rows)
        assert result.error is None
        assert result.counts == {"created": 1, "failed": 2}
        assert {column for _, column, _ in result.told} == {"number"}

    def test_two_objects_of_one_identity_fail_the_row(self, writer: str) -> None:
        for code in "ab":
            Brand.objects.create(code=code, name="same")
        migration = updateable(writer, Brand, search_attr="name", column_description={})
        result = migrate(migration, [{"name": "same", "code": "c"}])
        assert result.told == [('"same"', "name", "'same'")]
        assert "2 objects of shop.Brand" in result.messages[0].cause

    @pytest.mark.parametrize("search_attr", ["pk", "id", None])
    def test_by_primary_key(self, writer: str, search_attr: str | None) -> None:
        migration = updateable(writer, search_attr=search_attr)
        rows = [{"id": 9, "sku": "a", "name": "x"}]
        if search_attr == "pk":
            rows = [{"pk": 9, "sku": "a", "name": "x"}]
        migrate_fine(migration, rows)
        result = migrate_fine(migration, [rows[0] | {"name": "new"}])
        assert result.counts == {"updated": 1}
        assert Product.objects.get(pk=9).name == "new"

    def test_by_primary_key_of_text(self, writer: str) -> None:
        migration = updateable(writer, Country, search_attr=None, column_description={})
        migrate_fine(migration, [{"code": "DE", "name": "x"}])
        rows = [{"code": "DE", "name": "Germany"}, {"code": "FR", "name": "France"}]
        assert migrate_fine(migration, rows).counts == {"updated": 1, "created": 1}

    def test_by_a_relation(self, writer: str) -> None:
        brand = Brand.objects.create(code="acme")
        migration = updateable(writer, search_attr="brand")
        migrate_fine(migration, [{"sku": "a", "brand": "acme"}])
        result = migrate_fine(migration, [{"sku": "b", "brand": "acme"}])
        assert result.counts == {"updated": 1}
        assert Product.objects.get(brand=brand).sku == "b"

    def test_by_two_columns(self, writer: str) -> None:
        migration = updateable(
            writer, Brand, search_attr=None, legacy_key=("name", "number"), column_description={}
        )
        rows = [{"name": n, "number": m, "code": n + str(m)} for n, m in (("a", 1), ("b", 2))]
        migrate_fine(migration, rows)
        result = migrate_fine(migration, [rows[0] | {"code": "new"}, rows[1]])
        assert result.counts == {"updated": 1, "unchanged": 1}

    def test_tree_is_updated(self, writer: str) -> None:
        described = {"parent": is_a(Category, "name", fk=True)}
        migration = updateable(writer, Category, search_attr="name", column_description=described)
        rows = [{"name": "a", "parent": "b"}, {"name": "b", "parent": "c"}, {"name": "c"}]
        migrate_fine(migration, rows)
        with nothing_written():
            assert migrate_fine(migration, rows).counts == {"unchanged": 3}
        turned = [{"name": "a"}, {"name": "b", "parent": "a"}, {"name": "c", "parent": "b"}]
        assert migrate_fine(migration, turned).counts == {"updated": 3}
        assert dict(Category.objects.values_list("name", "parent__name")) == {
            "a": None,
            "b": "a",
            "c": "b",
        }


def test_option_updates_a_migration_that_does_not_say_so(writer: str) -> None:
    migration = updateable(writer, allow_updates=False)
    migrate_fine(migration, [{"sku": "a", "name": "x"}])
    result = migrate_fine(migration, [{"sku": "a", "name": "y"}], update=True)
    assert result.counts == {"updated": 1}


def test_given_times_of_automatic_fields_are_compared_and_kept(writer: str) -> None:
    migration = updateable(writer, Stamped, search_attr="name", column_description={})
    rows = [{"name": "a", "added": "2001-02-03 04:05:06", "changed": "2002-02-03 04:05:06"}]
    migrate_fine(migration, rows)
    with nothing_written():
        assert migrate_fine(migration, rows).counts == {"unchanged": 1}
    rows[0]["changed"] = "2003-06-01 00:00:00"
    assert migrate_fine(migration, rows).counts == {"updated": 1}
    stamped = Stamped.objects.get()
    assert (stamped.added.year, stamped.changed.year) == (2001, 2003)


def test_values_of_every_type_are_unchanged_in_a_rerun(writer: str) -> None:
    migration = updateable(writer, Everything, search_attr="text", column_description={})
    rows = [
        {
            "text": "a",
            "binary": b"\x00\xff",
            "json": '{"a": [1.5, null]}',
            "real": 0.1,
            "decimal": 0.1,
            "date": "1962-02-18 00:00:00",
            "date_time": "2020-07-01 12:00:00.123456",
            "time": "13:05:01",
            "duration": "1 02:03:04",
            "uuid": "12345678123446789234567812345678",
            "boolean": "t",
            "file": "a/b.png",
            "address": "2001:0db8:0000::0001",
        }
    ]
    migrate_fine(migration, rows)
    with nothing_written():
        assert migrate_fine(migration, rows).counts == {"unchanged": 1}


def test_update_reaches_an_expression_that_a_hook_sets(writer: str) -> None:
    def hook_before_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
        if instance.pk:
            instance.price = F("price") + 1

    migration = updateable(writer, hook_before_save=hook_before_save)
    migrate_fine(migration, [{"sku": "a", "name": "x"}])
    migrate_fine(migration, [{"sku": "a", "name": "y"}])
    assert Product.objects.get().price == 1
    migrate_fine(migration, [{"sku": "a", "name": "y"}])
    assert Product.objects.get().price == 1  # the row did not change, so no hook was called
