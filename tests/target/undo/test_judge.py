"""What speaks against objects that are to go: edited, shared, referred to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from data_migration import Migration
from data_migration.fields.digests import FieldDigests
from data_migration.ledger import Link, LinkBook
from data_migration.models import MigrationState
from data_migration.plan.graph import build_plan
from data_migration.rows.keys import identify
from data_migration.undo.judge import Candidate, Edited, Judge, Shared
from data_migration.undo.references import Reference
from data_migration.undo.selection import models_of
from data_migration.undo.shared_links import SharedLinks
from tests.apps.shop.models import Brand, Product, Review, Supplier, Tag

pytestmark = pytest.mark.django_db


class ProductMigration(Migration):
    model = Product


class PriceMigration(ProductMigration):
    pass


class TagMigration(Migration):
    model = Tag


class BrandMigration(Migration):
    model = Brand


PLAN = build_plan(
    {
        f"shop.{each.__name__}": each
        for each in (ProductMigration, PriceMigration, TagMigration, BrandMigration)
    }
)


@dataclass
class Links:
    """The links of one migration, all of which go but for ``staying`` keys."""

    label: str
    model: Any
    staying: Sequence[Any] = ()
    is_whole: bool = False

    @property
    def book(self) -> LinkBook:
        state, _ = MigrationState.objects.get_or_create(label=f"shop.{self.label}Migration")
        return LinkBook(state, database="default")

    def includes(self, key_hash: str, run: int) -> bool:
        return key_hash not in [identify(key)[0] for key in self.staying]

    def write(self, *objects: Any, **m2m: Any) -> None:
        """Link the objects as if the migration had just written them, each by its own key."""
        book = self.book
        digests = FieldDigests(self.model, tuple(m2m), database="default")
        book.know_layout(digests.layout, digests.names)
        for each in objects:
            packed = digests.packed([vars(each)], [m2m])[0]
            book.add([_link(each, packed)])

    def candidates(self, names: frozenset[str] | None = None) -> list[Candidate]:
        stored = self.model.objects.in_bulk()
        return [
            Candidate(link, stored[int(link.object_pk)], names)
            for link in self.book.all()
            if link.object_pk
        ]


def _link(instance: Any, written: bytes) -> Link:
    key_hash, key = identify(instance.pk)
    return Link(key_hash, key, str(instance.pk), 0, written, 1)


def judge(*parts: Links) -> Judge:
    return Judge(parts, models_of(PLAN), database="default")


def product(sku: str = "1") -> Product:
    return Product.objects.create(sku=sku, name="P")


def test_every_migration_that_fills_a_model_is_asked_for_links_to_its_objects() -> None:
    made = product()
    prices = Links("Price", Product)
    for each in (Links("Product", Product), prices, Links("Gone", Product)):
        each.write(made)
    Links("Brand", Brand).write(Brand.objects.create(pk=made.pk, name="B", code="b"))
    links = SharedLinks(models_of(PLAN), database="default")

    found = list(links.to(Product, [made.pk, 4711]))

    assert sorted(each.state.label for each in found) == [
        "shop.PriceMigration",
        "shop.ProductMigration",
    ]
    key_hash, key = identify(made.pk)
    assert {each[1:] for each in found} == {(key_hash, 1, key, made.pk)}
    without = links.to(Product, [made.pk], without={prices.book.state.pk})
    assert [each.state.label for each in without] == ["shop.ProductMigration"]


# --------------------------------------------------------------------- edited


def test_what_is_as_it_was_written_is_not_edited() -> None:
    products = Links("Product", Product)
    products.write(product(), tags=[])

    assert list(judge(products).edited(products, products.candidates())) == []


def test_what_somebody_changed_is_named() -> None:
    products = Links("Product", Product)
    made = product()
    products.write(made, product("2"), tags=[])
    Product.objects.filter(pk=made.pk).update(name="Q")
    made.tags.add(Tag.objects.create(name="t"))

    (found,) = judge(products).edited(products, products.candidates())

    assert isinstance(found, Edited)
    assert found[:2] == (Product, made.pk)
    assert (found.link.key, found.names) == (str(made.pk), {"name", "tags"})


def test_only_edits_that_would_be_lost_count() -> None:
    products = Links("Product", Product)
    products.write(product(), tags=[])
    Product.objects.update(name="Q", price=3)
    judging = judge(products)

    (found,) = judging.edited(products, products.candidates(frozenset({"price", "tags"})))

    assert found.names == {"price"}
    assert not list(judging.edited(products, products.candidates(frozenset({"tags"}))))


def written_in_turn() -> Product:
    """An object that the products wrote, then the prices, and then somebody."""
    made = product()
    Links("Product", Product).write(made)
    made.name, made.email = "Q", "q@example.org"
    made.save()
    Links("Price", Product).write(made)
    made.email = "edited@example.org"
    made.save()
    return made


def test_what_another_link_that_goes_wrote_is_nobodys_edit() -> None:
    written_in_turn()
    products, prices = Links("Product", Product), Links("Price", Product)

    (found,) = judge(products, prices).edited(products, products.candidates())

    assert found.names == {"email"}


def test_what_a_link_that_stays_wrote_is_an_edit() -> None:
    made = written_in_turn()
    products, prices = Links("Product", Product), Links("Price", Product, staying=[made.pk])

    for judging in (judge(products), judge(products, prices)):
        (found,) = judging.edited(products, products.candidates())
        assert found.names == {"name", "email"}


def test_edits_are_asked_for_batch_by_batch(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    products, prices = Links("Product", Product), Links("Price", Product)
    for number in range(20):
        products.write(made := product(str(number)))
        prices.write(made)
    Product.objects.update(name="Q")
    judging, candidates = judge(products, prices), products.candidates()

    # The products' state, twice; which migrations there are, links to the objects, the prices'.
    with django_assert_num_queries(5):
        assert len(list(judging.edited(products, candidates))) == 20


# --------------------------------------------------------------------- shared


def test_what_a_link_that_stays_leads_to_is_named_once_for_each() -> None:
    made, other = product(), product("2")
    products, prices = Links("Product", Product), Links("Price", Product, staying=[made.pk])
    products.write(made, other)
    prices.write(made, other)
    group = {Product: {made.pk, other.pk}}

    def found(*parts: Links) -> list[tuple[Any, str]]:
        shared = list(judge(*parts).shared(group))
        assert all(isinstance(each, Shared) and each.model is Product for each in shared)
        return sorted((each.pk, each.link.state.label) for each in shared)

    assert found(products, prices) == [(made.pk, "shop.PriceMigration")]
    assert found(products) == [(each, "shop.PriceMigration") for each in (made.pk, other.pk)]
    assert len(found()) == 4


def test_links_of_a_migration_that_goes_as_a_whole_are_not_read(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    made = product()
    parts = [Links(label, Product, is_whole=True) for label in ("Product", "Price")]
    for each in parts:
        each.write(made)
    judging = judge(*parts)

    with django_assert_num_queries(1):  # which migrations there are
        assert list(judging.shared({Product: {made.pk}})) == []


# --------------------------------------------------------------------- referred to


def test_what_stays_and_refers_is_named_with_its_migrations() -> None:
    made = product()
    review = Review.objects.create(product=made)
    brand = Brand.objects.create(name="B", code="b")
    Product.objects.update(brand=brand)
    products = Links("Product", Product)
    products.write(made)
    judging = judge()

    (found,) = judging.referred_to({Product: {made.pk}}, [])
    assert found == Reference(Product, made.pk, Review, review.pk, "product")
    assert judging.owners(found) == []
    (found,) = judging.referred_to({Brand: {brand.pk}}, [])
    assert judging.owners(found) == ["shop.ProductMigration"]
    assert not list(judging.referred_to({Brand: {brand.pk}}, [], {Product: {made.pk: {"brand"}}}))


def test_join_rows_that_a_migration_wrote_go_with_its_objects() -> None:
    made, supplier = product(), Supplier.objects.create(name="S")
    made.suppliers.add(supplier)
    products = Links("Product", Product)
    products.write(made, suppliers=[supplier.pk])
    group = {Product: {made.pk}}

    assert list(judge().referred_to(group, [products])) == []
    assert len(list(judge().referred_to(group, []))) == 1
