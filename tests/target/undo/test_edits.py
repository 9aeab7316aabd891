"""What people changed is found, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from data_migration import Migration
from data_migration.fields.digests import FieldDigests
from data_migration.ledger import Link, LinkBook
from data_migration.models import MigrationState
from data_migration.plan.graph import build_plan
from data_migration.rows.keys import identify
from data_migration.undo.edits import Edits, Sharing, all_targets, targets_of
from tests.apps.shop.models import Brand, Category, Product, Tag

pytestmark = pytest.mark.django_db


@pytest.fixture
def book() -> LinkBook:
    return LinkBook(MigrationState.objects.create(label="shop.X"), database="default")


def written(book: LinkBook, instance: Any, m2m: Mapping[str, Iterable[Any]] | None = None) -> Link:
    """The link of an instance that was just written."""
    digests = FieldDigests(type(instance), tuple(m2m or ()), database="default")
    book.know_layout(digests.layout, digests.names)
    key_hash, key = identify(instance.pk)
    return Link(
        key_hash, key, str(instance.pk), 0, digests.packed([vars(instance)], [m2m or {}])[0], 1
    )


def found(book: LinkBook, link: Link, instance: Any) -> set[str]:
    stored = type(instance).objects.get(pk=instance.pk)
    return Edits(type(instance), book).find([(link, stored)]).get(link.key_hash, set())


def test_an_object_as_it_was_written_has_no_edits(book: LinkBook) -> None:
    tags = [Tag.objects.create(name=name) for name in "ab"]
    product = Product.objects.create(sku="1", name="P")
    product.tags.set(tags)
    link = written(book, product, {"tags": [tag.pk for tag in tags]})

    assert found(book, link, product) == set()


def test_fields_and_joins_that_changed_are_named(book: LinkBook) -> None:
    product = Product.objects.create(sku="1", name="P")
    link = written(book, product, {"tags": []})
    Product.objects.update(name="Q", brand=Brand.objects.create(name="B", code="b"))
    product.tags.add(Tag.objects.create(name="t"))

    assert found(book, link, product) == {"name", "brand", "tags"}


def test_joins_that_the_migration_did_not_write_are_not_compared(book: LinkBook) -> None:
    product = Product.objects.create(sku="1", name="P")
    link = written(book, product)
    product.tags.add(Tag.objects.create(name="t"))

    assert found(book, link, product) == set()


def test_a_symmetrical_relation_is_seen_from_the_object(book: LinkBook) -> None:
    first, second = (Category.objects.create(name=name) for name in "ab")
    first.related.add(second)
    link = written(book, first, {"related": [second.pk]})
    assert found(book, link, first) == set()

    second.related.clear()

    assert found(book, link, first) == {"related"}


def test_a_many_to_many_that_the_model_lost_is_not_compared(book: LinkBook) -> None:
    tag = Tag.objects.create(name="t")
    link = written(book, tag, {"lost": [1]})

    assert found(book, link, tag) == set()


def test_targets_from_both_sides() -> None:
    tag, product = Tag.objects.create(name="t"), Product.objects.create(sku="1", name="P")
    lonely = Tag.objects.create(name="u")
    product.tags.add(tag)

    assert targets_of([tag, lonely], "products", database="default") == {
        tag.pk: {product.pk},
        lonely.pk: set(),
    }
    assert targets_of([], "products", database="default") == {}
    assert all_targets([product], database="default") == {product.pk: {"tags": {tag.pk}}}
    assert all_targets([tag, lonely], database="default") == {
        tag.pk: {"products": {product.pk}},
        lonely.pk: {},
    }
    assert all_targets([], database="default") == {}


class ProductMigration(Migration):
    model = Product


class PriceMigration(ProductMigration):
    pass


class BrandMigration(Migration):
    model = Brand


def sharing() -> Sharing:
    classes = (ProductMigration, PriceMigration, BrandMigration)
    return Sharing(build_plan({f"shop.{c.__name__}": c for c in classes}), database="default")


def linked(label: str, instance: Any) -> LinkBook:
    """The book of a migration that wrote the instance as it is."""
    state, _ = MigrationState.objects.get_or_create(label=label)
    made = LinkBook(state, database="default")
    made.add([written(made, instance)])
    return made


def test_every_migration_that_fills_a_model_is_asked_for_links_to_its_objects() -> None:
    product = Product.objects.create(sku="1", name="P")
    books = [linked(f"shop.{name}Migration", product) for name in ("Product", "Price")]
    linked("shop.BrandMigration", Brand.objects.create(pk=product.pk, name="B", code="b"))
    linked("shop.GoneMigration", product)

    found = list(sharing().links_to(Product, [str(product.pk), None, "4711"]))

    assert sorted(each.state.label for each in found) == [
        "shop.PriceMigration",
        "shop.ProductMigration",
    ]
    key_hash, key = identify(product.pk)
    assert {each[1:] for each in found} == {(key_hash, 1, key, str(product.pk))}
    without = sharing().links_to(Product, [str(product.pk)], without={books[0].state.pk})
    assert [each.state.label for each in without] == ["shop.PriceMigration"]


def test_what_another_migration_wrote_is_nobodys_edit() -> None:
    product = Product.objects.create(sku="1", name="P")
    linked("shop.ProductMigration", product)
    product.name, product.email = "Q", "q@example.org"
    product.save()
    linked("shop.PriceMigration", product)
    product.email = "edited@example.org"
    product.save()
    shared = sharing()
    others = [
        each
        for each in shared.links_to(Product, [str(product.pk)])
        if each.state.label == "shop.PriceMigration"
    ]

    stored = Product.objects.get()
    assert shared.unexplained(stored, {"name", "email"}, others) == {"email"}
    assert shared.unexplained(stored, {"name", "email"}, []) == {"name", "email"}
