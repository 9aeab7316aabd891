"""What people changed is found, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from data_migration.fields.digests import FieldDigests
from data_migration.ledger import Link, LinkBook
from data_migration.models import MigrationState
from data_migration.rows.keys import identify
from data_migration.undo.edits import find_edits
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
    return find_edits(type(instance), [(link, stored)], book).get(link.key_hash, set())


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
