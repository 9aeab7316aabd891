"""Who refers to objects that are to go."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import models

from data_migration.undo.references import join_end, references
from data_migration.utils import chunks
from tests.apps.ledger.models import Customer, Node, Order, Staff, Store, Term
from tests.apps.ledger.models import Tag as Label
from tests.apps.remarks.models import Remark, Subject
from tests.apps.shop.models import (
    Brand,
    Category,
    Product,
    Restaurant,
    Supplier,
    Supply,
    Tag,
)

pytestmark = pytest.mark.django_db


def group(*objects: models.Model) -> dict[type[models.Model], set[Any]]:
    found: dict[type[models.Model], set[Any]] = {}
    for each in objects:
        found.setdefault(type(each), set()).add(each.pk)
    return found


def told(*objects: models.Model, **options: Any) -> list[str]:
    return sorted(map(str, references(group(*objects), database="default", **options)))


@pytest.fixture(name="small_chunks")
def small_chunks_fixture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two keys to a query, so that few objects show what many would."""
    monkeypatch.setattr(chunks, "_KEYS", 2)


def test_a_foreign_key_from_outside_is_told() -> None:
    customer = Customer.objects.create(name="C")
    order = Order.objects.create(customer=customer)

    (found,) = references(group(customer), database="default")

    assert found == (Customer, customer.pk, Order, order.pk, "customer")
    assert str(found) == f"ledger.Order {order.pk} refers to it (customer)"


def test_nothing_is_told_of_what_goes_together() -> None:
    customer = Customer.objects.create(name="C")
    order = Order.objects.create(customer=customer)
    store = Store.objects.create(name="S")
    staff = Staff.objects.create(name="A", store=store)
    Store.objects.update(manager=staff)

    assert told(customer, order, store, staff) == []


def test_a_foreign_key_to_another_column_than_the_key() -> None:
    brand = Brand.objects.create(name="B", code="b")
    product = Product.objects.create(sku="1", name="P", maker=brand)

    assert told(brand) == [f"shop.Product {product.pk} refers to it (maker)"]


def test_own_join_rows_go_along_and_those_of_others_are_told() -> None:
    label = Label.objects.create(name="x")
    order = Order.objects.create(customer=Customer.objects.create(name="C"))
    order.tags.add(label)

    assert told(order) == []
    assert told(label) == [f"ledger.Order {order.pk} refers to it (tags)"]
    assert told(label, order) == []


def test_join_rows_that_the_migration_wrote_from_the_other_side_go_along() -> None:
    label = Label.objects.create(name="x")
    order = Order.objects.create(customer=Customer.objects.create(name="C"))
    label.orders.add(order)

    end = join_end(Label, "orders")
    assert end == (Order.tags.through, "tag")
    assert told(label, own={end}) == []


def test_joins_of_a_model_to_itself() -> None:
    parent, child = Term.objects.create(name="p"), Term.objects.create(name="c")
    child.parents.add(parent)
    first, second = Category.objects.create(name="1"), Category.objects.create(name="2")
    first.related.add(second)

    assert told(child) == []
    assert told(parent) == [f"ledger.Term {child.pk} refers to it (parents)"]
    assert told(first) == []
    assert join_end(Term, "parents") == (Term.parents.through, "from_term")
    assert join_end(Term, "children") == (Term.parents.through, "to_term")
    assert join_end(Term, "name") is None


def test_rows_of_a_join_model_are_objects_of_their_own() -> None:
    product = Product.objects.create(sku="1", name="P")
    supplier = Supplier.objects.create(name="S")
    supply = Supply.objects.create(product=product, supplier=supplier)

    assert told(product) == [f"shop.Supply {supply.pk} refers to it (product)"]
    end = join_end(Product, "suppliers")
    assert end is not None
    assert told(product, own={end}) == []


def test_a_row_of_a_join_model_that_a_migration_wrote_belongs_to_the_object() -> None:
    product = Product.objects.create(sku="1", name="P")
    supplier = Supplier.objects.create(name="S")
    product.suppliers.add(supplier)
    suppliers, products = join_end(Product, "suppliers"), join_end(Supplier, "product_set")
    assert suppliers is not None
    assert products is not None

    assert told(product, supplier, own={suppliers}) == []
    assert told(product, supplier, own={products}) == []
    assert told(supplier, own={suppliers}) == [
        f"shop.Product {product.pk} refers to it (suppliers)"
    ]
    assert told(product, own={products}) == [
        f"shop.Supplier {supplier.pk} refers to it (product_set)"
    ]


def test_both_tables_of_an_inherited_model_are_looked_at() -> None:
    inn = Restaurant.objects.create(name="I", stars=1)

    assert told(inn) == []
    assert told(inn.place_ptr) == [f"shop.Restaurant {inn.pk} refers to it (place_ptr)"]
    assert told(inn, inn.place_ptr) == []


def test_what_is_put_back_refers_no_more() -> None:
    customer = Customer.objects.create(name="C")
    order, other = Order.objects.create(customer=customer), Order.objects.create(customer=customer)
    still = f"ledger.Order {other.pk} refers to it (customer)"

    put_back = {Order: {order.pk: {"customer", "number"}, other.pk: {"number"}}}
    assert told(customer, put_back=put_back) == [still]


def test_every_chunk_is_asked_for(small_chunks: None) -> None:
    nodes = [Node.objects.create(name=str(number)) for number in range(5)]
    for node in nodes:
        Node.objects.create(name="child", parent=node)

    assert len(told(*nodes)) == 5


def test_a_generic_relation_is_followed() -> None:
    subject, other = Subject.objects.create(name="s"), Subject.objects.create(name="o")
    remark = Remark.objects.create(about=subject, text="t")
    Remark.objects.create(about=Tag.objects.create(pk=other.pk, name="same key"), text="t")

    assert told(subject) == [f"remarks.Remark {remark.pk} refers to it (object_id)"]
    assert told(subject, remark) == []
    assert told(other) == []


def test_a_table_that_the_database_does_not_have_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    customer = Customer.objects.create(name="C")
    monkeypatch.setattr(Order._meta, "db_table", "absent")

    assert told(customer) == []
