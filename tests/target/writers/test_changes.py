"""Which fields of a stored object differ from its row."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from decimal import Decimal
from typing import Any

import pytest

from data_migration.fields.changes import changed_fields
from data_migration.fields.lookup import stored_values
from data_migration.rows.drafts import Draft
from data_migration.writers.changes import apply_to_existing
from tests.apps.shop.models import Brand, Product, Stamped

pytestmark = pytest.mark.django_db


def changed_by(instance: Any, **values: Any) -> tuple[str, ...]:
    draft = Draft(1, {})
    draft.existing, draft.values = instance, values
    before = stored_values(instance)
    apply_to_existing(draft)
    return changed_fields(instance, before)


@pytest.fixture
def product() -> Product:
    brand = Brand.objects.create(code="a")
    created = Product.objects.create(sku="x", name="n", price=Decimal("1.50"), brand=brand)
    return Product.objects.get(pk=created.pk)


def test_equal_values_are_no_change(product: Product) -> None:
    assert changed_by(product, sku="x", name="n", brand_id=product.brand_id) == ()


def test_changed_fields_in_the_order_of_the_model(product: Product) -> None:
    other = Brand.objects.create(code="b")
    assert changed_by(product, brand=other, name="new", sku="x") == ("name", "brand")


def test_null_is_a_value(product: Product) -> None:
    assert changed_by(product, brand_id=None) == ("brand",)


def test_zero_and_empty_text_differ_from_null() -> None:
    brand = Brand(code="a", number=None)
    assert changed_by(brand, number=0) == ("number",)
    assert changed_by(brand, name="") == ()


@pytest.mark.parametrize("price", ["1.5", "1.500", "1.504", "1.495"])
def test_decimal_that_rounds_to_the_stored_one_is_no_change(product: Product, price: str) -> None:
    assert changed_by(product, price=Decimal(price)) == ()


@pytest.mark.parametrize("price", ["1.506", "1.494", "-1.5", "0"])
def test_decimal_that_rounds_to_another_is_a_change(product: Product, price: str) -> None:
    assert changed_by(product, price=Decimal(price)) == ("price",)


@pytest.mark.parametrize("name", ["pk", "id"])
def test_key_of_the_object_stays(product: Product, name: str) -> None:
    key = product.pk
    assert changed_by(product, **{name: 999}) == ()
    assert product.pk == key


def test_deferred_fields_are_not_loaded(django_assert_num_queries: Any) -> None:
    Stamped.objects.create(name="a")
    found = Stamped.objects.only("id").get()
    with django_assert_num_queries(0):
        assert stored_values(found) == {"id": found.pk}


@pytest.mark.parametrize(("fold", "hour"), [(0, 0), (1, 1)])
def test_the_same_moment_in_the_hour_that_comes_twice_is_no_change(fold: int, hour: int) -> None:
    # Python finds it unequal to the same moment in any other zone.
    in_vienna = dt.datetime(
        2007, 10, 28, 2, 17, fold=fold, tzinfo=zoneinfo.ZoneInfo("Europe/Vienna")
    )
    stored = dt.datetime(2007, 10, 28, hour, 17, tzinfo=dt.UTC)

    assert changed_by(Stamped(added=stored), added=in_vienna) == ()
    an_hour_off = in_vienna.replace(fold=1 - fold)
    assert changed_by(Stamped(added=stored), added=an_hour_off) == ("added",)
