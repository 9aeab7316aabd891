"""Foreign keys that hooks set: a key that leads nowhere fails its row, before the commit."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from data_migration.migration import Migration
from data_migration.spec.columns import is_a
from tests.apps.shop.models import Brand, Category, Detail, Product, Review
from tests.support.engine import Result, Rows, migrate, migrate_fine, statements

pytestmark = pytest.mark.django_db
NOWHERE = 404


def products(writer: str, **attributes: Any) -> type[Migration]:
    defaults = {
        "model": Product,
        "writer": writer,
        "batch_size": 3,
        "column_description": {"brand": is_a(Brand, "code", fk=True)},
    }
    return type("ProductMigration", (Migration,), defaults | attributes)


def rows(**more: Any) -> Rows:
    return [{"id": n, "sku": f"s{n}", "name": "x"} | more for n in range(1, 7)]


def before_save(attribute: str, value: Any, only: int = 5) -> dict[str, Any]:
    def hook_before_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
        if row["id"] == only:
            setattr(instance, attribute, value)

    return {"hook_before_save": hook_before_save}


def pinned(result: Result, column: str, value: Any) -> None:
    assert result.error is None
    assert result.told == [("5", column, repr(value))]
    assert result.counts == {"created": 5, "failed": 1}


def test_in_place_of_the_rows_own(writer: str) -> None:
    Brand.objects.create(code="acme")
    migration = products(writer, **before_save("brand_id", NOWHERE))
    pinned(migrate(migration, rows(brand="acme")), "brand", "acme")


def test_where_the_row_has_none(writer: str) -> None:
    pinned(migrate(products(writer, **before_save("brand_id", NOWHERE)), rows()), "brand", NOWHERE)


def test_to_a_field_that_is_no_primary_key(writer: str) -> None:
    migration = products(writer, **before_save("maker_id", "nobody"))
    pinned(migrate(migration, rows()), "maker", "nobody")


def test_in_an_update(writer: str) -> None:
    migrate_fine(products(writer), rows())
    migration = products(writer, allow_updates=True, **before_save("brand_id", NOWHERE))
    result = migrate(migration, rows(name="new"))
    assert result.told == [("5", "brand", "404")]
    assert result.counts == {"updated": 5, "failed": 1}
    assert Product.objects.get(pk=5).name == "x"


def test_in_an_update_by_hook(writer: str) -> None:
    def hook_update_existing(self: Any, instance: Any, row: dict[str, Any]) -> None:
        instance.name = "new"
        instance.brand_id = NOWHERE if row["id"] == 5 else None
        instance.save()

    migration = products(writer, allow_updates=True, hook_update_existing=hook_update_existing)
    migrate_fine(migration, rows())
    result = migrate(migration, rows())
    assert result.counts == {"updated": 5, "failed": 1}
    assert list(Product.objects.filter(name="x").values_list("pk", flat=True)) == [5]


@pytest.mark.parametrize("as_object", [False, True])
def test_that_lead_somewhere_are_fine(writer: str, as_object: bool) -> None:
    brand = Brand.objects.create(code="acme")
    value = ("brand", brand) if as_object else ("brand_id", str(brand.pk))
    migrate_fine(products(writer, **before_save(*value)), rows())
    assert Product.objects.get(pk=5).brand == brand


def test_to_the_rows_before_are_fine(writer: str) -> None:
    def hook_before_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
        instance.parent_id = row["id"] - 1 or None

    attributes = {
        "model": Category,
        "hook_before_save": hook_before_save,
        "column_description": {},
    }
    migration = products(writer, **attributes)
    migrate_fine(migration, [{"id": n, "name": f"c{n}"} for n in range(1, 7)])
    assert Category.objects.filter(parent=None).count() == 1


def test_that_may_not_be_null(writer: str) -> None:
    product = Product.objects.create(sku="there")
    described = {"product": is_a(Product, "sku", fk=True)}
    attributes = {"model": Review, "column_description": described}
    migration = products(writer, **attributes, **before_save("product_id", NOWHERE))
    data: Rows = [{"id": n, "product": "there"} for n in range(1, 7)]
    pinned(migrate(migration, data), "product", "there")
    assert Review.objects.filter(product=product).count() == 5


def test_cost_no_statement_where_a_hook_sets_none(writer: str) -> None:
    Brand.objects.create(code="acme")
    described = {"brand": is_a(Brand, "code", fk=True, assign_by_id=True)}
    quiet = products(writer, column_description=described)
    hooked = products(writer, column_description=described, **before_save("name", "y"))
    with statements() as without:
        migrate_fine(quiet, rows(brand="acme"))
    Product.objects.all().delete()
    hooked.__name__ = "Other"
    with statements() as ran:
        migrate_fine(hooked, rows(brand="acme"))
    found = len(ran.starting("SELECT", table=Brand))
    assert found == len(without.starting("SELECT", table=Brand))


@pytest.mark.django_db(transaction=True)
def test_in_other_objects_end_the_batch_at_the_latest(writer: str) -> None:
    """SQLite finds them at the commit, when no row can be blamed; the others at once."""

    def hook_after_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
        if row["id"] == 5:
            Detail.objects.create(product_id=NOWHERE)

    result = migrate(products(writer, hook_after_save=hook_after_save), rows())
    assert not Detail.objects.exists()
    if connection.vendor == "sqlite":
        assert result.step.error == (
            "shop.ProductMigration: the target database says: IntegrityError: FOREIGN KEY"
            " constraint failed."
        )
        assert result.counts == {"created": 3}
        assert Product.objects.count() == 3
    else:
        assert [message.key for message in result.messages] == ["5"]
        assert result.counts == {"created": 5, "failed": 1}
