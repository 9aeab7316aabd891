"""Many-to-many rows: what is stored, by the managers and in bulk."""

from __future__ import annotations

from typing import Any

import pytest

from data_migration.migration import Migration
from data_migration.rows.drafts import Draft
from data_migration.spec.columns import is_a
from data_migration.tables.joins import join_table
from data_migration.writers.joins import Joins, ManagerJoins, ThroughJoins
from tests.apps.shop.models import Category, Product, Supplier, Supply, Tag
from tests.support.engine import migrate, migrate_fine, statements

pytestmark = pytest.mark.django_db


def links_of(kind: str, model: Any) -> Joins:
    return ManagerJoins() if kind == "managers" else ThroughJoins(model, database="default")


def draft(instance: Any, *, new: bool = False, **links: list[int]) -> Draft:
    made = Draft(instance.pk, {})
    made.m2m = links
    if new:
        made.instance = instance
    else:
        made.existing = instance
    return made


@pytest.fixture(params=["managers", "through"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def tags() -> list[int]:
    return [Tag.objects.create(name=name).pk for name in "abc"]


def test_created_links_are_stored(kind: str, tags: list[int]) -> None:
    first, second = (Product.objects.create(sku=sku) for sku in "xy")
    links = links_of(kind, Product)
    links.create([draft(first, new=True, tags=tags[:2]), draft(second, new=True, tags=[])])
    assert set(first.tags.values_list("pk", flat=True)) == set(tags[:2])
    assert not second.tags.exists()


def test_update_adds_and_removes_and_says_whom_it_touched(kind: str, tags: list[int]) -> None:
    products = [Product.objects.create(sku=sku) for sku in "wxyz"]
    for product in products:
        product.tags.set(tags[:2])
    wanted = [tags[:2], tags[1:], [], tags]
    drafts = [draft(p, tags=w) for p, w in zip(products, wanted, strict=True)]
    touched = links_of(kind, Product).update(drafts)
    assert touched == set(drafts[1:])
    for product, expected in zip(products, wanted, strict=True):
        assert set(product.tags.values_list("pk", flat=True)) == set(expected)


def test_update_leaves_other_objects_alone(kind: str, tags: list[int]) -> None:
    mine, other = (Product.objects.create(sku=sku) for sku in "xy")
    other.tags.set(tags)
    links_of(kind, Product).update([draft(mine, tags=[tags[0]])])
    assert other.tags.count() == 3


def test_bulk_takes_one_insert_and_one_delete_for_all(tags: list[int]) -> None:
    products = [Product.objects.create(sku=str(n)) for n in range(20)]
    for product in products:
        product.tags.set(tags[:2])
    drafts = [draft(product, tags=tags[1:]) for product in products]
    with statements() as ran:
        ThroughJoins(Product, database="default").update(drafts)
    through = Product.tags.through
    assert len(ran.starting("INSERT", table=through)) == 1
    assert len(ran.starting("DELETE", table=through)) == 1
    assert len(ran.starting("SELECT", table=through)) <= 2


def test_other_side(kind: str) -> None:
    tag = Tag.objects.create(name="a")
    product = Product.objects.create(sku="x")
    links_of(kind, Tag).create([draft(tag, new=True, products=[product.pk])])
    assert product.tags.get() == tag


def test_join_table_of_its_own_keeps_its_columns_in_a_rerun(kind: str) -> None:
    product = Product.objects.create(sku="x")
    old, new = (Supplier.objects.create(name=name) for name in "ab")
    Supply.objects.create(product=product, supplier=old, kind="special")
    links_of(kind, Product).update([draft(product, suppliers=[old.pk, new.pk])])
    kinds = dict(Supply.objects.values_list("supplier__name", "kind"))
    assert kinds == {"a": "special", "b": "regular"}


def test_symmetrical_links_are_left_to_the_manager() -> None:
    assert join_table(Category, "related", database="default") is None
    assert join_table(Category, "followers", database="default") is not None


def test_bad_row_keeps_the_links_of_the_others(writer: str, tags: list[int]) -> None:
    described = {"tags": is_a(Tag, "name", m2m=True)}
    attributes = {"model": Product, "writer": writer, "column_description": described}
    rows = [{"id": n, "sku": f"s{n if n != 4 else 1}", "tags": "a;b"} for n in range(1, 8)]
    result = migrate(type("M", (Migration,), attributes), rows)
    assert result.counts == {"created": 6, "failed": 1}
    assert Product.tags.through.objects.count() == 12


def test_other_side_of_a_foreign_key(writer: str) -> None:
    """``children`` of a tree are no many-to-many, but may be described as one."""
    Category.objects.create(name="a")
    described = {"children": is_a(Category, "name", m2m=True)}
    attributes = {"model": Category, "writer": writer, "column_description": described}
    migrate_fine(type("M", (Migration,), attributes), [{"name": "top", "children": "a"}])
    assert Category.objects.get(name="a").parent == Category.objects.get(name="top")
