"""What a person commits while something is undone is not undone with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db.models.signals import pre_delete

from data_migration import Migration
from data_migration.ledger import Ledger
from data_migration.plan.graph import build_plan
from data_migration.undo import Selection, roll_back
from tests.apps.shop.models import Product, Review
from tests.support.engine import label_of, migrate, migrate_fine
from tests.support.person import Person

pytestmark = pytest.mark.django_db(transaction=True)


class ProductMigration(Migration):
    model = Product
    legacy_key = "sku"
    allow_updates = True
    search_attr = "sku"


ROWS = [{"sku": sku, "name": "old"} for sku in "xyz"]


@contextmanager
def comes(person: Person) -> Iterator[None]:
    """The person comes when it is decided what goes, before the first object does."""

    def meet(**kwargs: Any) -> None:
        person()

    pre_delete.connect(meet, sender=Product)
    try:
        yield
    finally:
        pre_delete.disconnect(meet, sender=Product)


def renames(sku: str) -> Person:
    return Person(lambda: Product.objects.filter(sku=sku).update(name="mine"))


def back(run: int | None = None) -> None:
    plan = build_plan({label_of(ProductMigration): ProductMigration})
    roll_back(Selection(run=run), plan, Ledger("default"))


def test_an_edit_of_an_object_that_a_rollback_deletes_finds_it_gone() -> None:
    migrate_fine(ProductMigration, ROWS)
    person = renames("y")
    with comes(person):
        back()
    assert not person.did(), "the edit was committed, and went with the object"
    assert not Product.objects.exists()


def test_an_edit_of_an_object_that_a_rollback_restores_comes_after_it() -> None:
    migrate_fine(ProductMigration, ROWS)
    changed = [{"sku": "x", "name": "new"}, *ROWS[1:], {"sku": "more", "name": "x"}]
    run = migrate_fine(ProductMigration, changed).run.pk
    person = renames("x")
    with comes(person):
        back(run)
    expected = "mine" if person.did() else "old"
    assert Product.objects.get(sku="x").name == expected
    assert not Product.objects.filter(sku="more").exists()


def test_an_edit_of_an_object_whose_row_is_gone() -> None:
    gone = type(
        "ProductMigration", (ProductMigration,), {"removed": "delete", "removed_limit": 99}
    )
    migrate_fine(gone, ROWS)
    person = renames("y")
    with comes(person):
        migrate(gone, ROWS[:1])
    assert not person.did(), "the edit was committed, and went with the object"
    assert list(Product.objects.values_list("sku", flat=True)) == ["x"]


def test_whoever_refers_to_an_object_that_goes_does_not_go_with_it() -> None:
    migrate_fine(ProductMigration, ROWS)
    product = Product.objects.get(sku="y")
    person = Person(lambda: Review.objects.create(product=product, text="mine").pk)
    with comes(person):
        try:
            back()
        finally:
            assert person.did() is None or Review.objects.get().product == product
