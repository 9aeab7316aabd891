"""How objects that are to go together go."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, models
from django.db.models import ProtectedError
from django.db.models.signals import post_delete

from data_migration.undo.deletion import delete
from tests.apps.ledger.models import Country, Customer, Node, Order, Parcel, Staff, Store
from tests.apps.ledger.models import Tag as Label
from tests.apps.shop.models import (
    Place,
    Product,
    Restaurant,
    Review,
    Rooted,
    Tag,
)
from tests.target.undo.test_references import group, small_chunks_fixture  # noqa: F401

pytestmark = pytest.mark.django_db


def gone(*objects: models.Model) -> None:
    delete(group(*objects), database="default")
    assert not any(type(each)._base_manager.filter(pk=each.pk).exists() for each in objects)
    if connection.vendor != "mysql":
        connection.check_constraints()


def test_dependants_go_first_and_signals_are_sent() -> None:
    country = Country.objects.create(name="C")
    parcel = Parcel.objects.create(number="1", country=country)
    seen = []

    def note(sender: Any, instance: Any, **kwargs: Any) -> None:
        seen.append((sender, instance.name if sender is Country else instance.number))

    post_delete.connect(note)
    try:
        gone(country, parcel)
    finally:
        post_delete.disconnect(note)

    assert seen == [(Parcel, "1"), (Country, "C")]


def test_a_circle_of_two_models() -> None:
    store = Store.objects.create(name="S")
    staff = Staff.objects.create(name="A", store=store)
    Store.objects.update(manager=staff)

    gone(store, staff)


def test_a_tree_goes_leaf_by_leaf(small_chunks: None) -> None:
    nodes: list[Node] = []
    for number in range(9):
        parent = nodes[number // 2] if number else None
        nodes.append(Node.objects.create(name=str(number), parent=parent))
    order: list[int] = []

    def note(instance: Node, **kwargs: Any) -> None:
        assert not Node.objects.filter(parent=instance.pk).exists()
        order.append(instance.pk)

    post_delete.connect(note, sender=Node)
    try:
        gone(*nodes)
    finally:
        post_delete.disconnect(note, sender=Node)

    assert sorted(order) == [node.pk for node in nodes]


def test_a_chain_in_which_each_replaces_another(small_chunks: None) -> None:
    country = Country.objects.create(name="C")
    parcels = [Parcel.objects.create(number=str(n), country=country) for n in range(5)]
    for parcel, replaced in zip(parcels, parcels[1:] + parcels[:1], strict=True):
        parcel.replaces = replaced
        parcel.save()

    gone(*parcels, country)


def test_a_root_that_names_itself() -> None:
    Rooted.objects.bulk_create([Rooted(pk=5, parent_id=5), Rooted(pk=6, parent_id=5)])

    gone(*Rooted.objects.all())


def test_a_node_that_is_its_own_parent() -> None:
    node = Node.objects.create(name="n")
    Node.objects.update(parent=node)
    child = Node.objects.create(name="c", parent=node)

    gone(node, child)


def test_what_is_not_in_the_group_stays() -> None:
    first, second = Node.objects.create(name="1"), Node.objects.create(name="2")
    child = Node.objects.create(name="c", parent=second)
    order = Order.objects.create(customer=Customer.objects.create(name="C"))
    order.tags.add(label := Label.objects.create(name="x"))

    gone(first, order)

    assert set(Node.objects.all()) == {second, child}
    assert Label.objects.get() == label


def test_both_tables_of_an_inherited_model_are_emptied() -> None:
    gone(Restaurant.objects.create(name="I", stars=1))

    assert not Place.objects.exists()


def test_what_is_protected_from_outside_is_not_deleted() -> None:
    customer = Customer.objects.create(name="C")
    Order.objects.create(customer=customer)

    with pytest.raises(ProtectedError):
        delete(group(customer), database="default")


def test_what_hangs_on_it_from_outside_goes_with_it() -> None:
    product = Product.objects.create(sku="1", name="P")
    product.tags.add(Tag.objects.create(name="t"))
    Review.objects.create(product=product)

    gone(product)

    assert not Review.objects.exists()
    assert Tag.objects.count() == 1
