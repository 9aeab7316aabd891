"""Columns of rows that are there: as Django would write them, in one statement."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DatabaseError, connection, models, transaction
from django.db.models import F, FileField, Model
from django.test.utils import isolate_apps
from hypothesis import given, settings
from hypothesis import strategies as st

from data_migration.tables import TableUpdate, Unsuitable, Updates, django_has_to_update
from data_migration.utils.databases import MySQL
from data_migration.writers.inserts import django_has_to
from tests.apps.modern.models import Seat, Tenant
from tests.apps.shop.models import (
    Brand,
    Country,
    Custom,
    Everything,
    Product,
    Restaurant,
    Token,
    UpperField,
)
from tests.support.engine import statements, undone
from tests.support.examples import examples
from tests.target.tables.test_forms import FIELDS, outcome
from tests.target.tables.values import columns

pytestmark = pytest.mark.django_db

IS_POSTGRESQL = connection.vendor == "postgresql"
only_mysql = pytest.mark.skipif(connection.vendor != "mysql", reason="no other has the limit")


def updating(model: type[Model], *names: str) -> TableUpdate:
    fields = [model._meta.get_field(name) for name in names]
    return TableUpdate(model, fields, database="default")


# ------------------------------------------------------------------ what Django writes


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
@settings(max_examples=examples(60))
@given(data=st.data())
def test_what_is_written_is_what_django_writes(field: Any, data: Any) -> None:
    values = data.draw(columns(field.name))
    if isinstance(field, FileField):  # the object stands between the value and its column
        values = [field.pre_save(Everything(file=value), True) for value in values]
    with undone():
        objects = [Everything.objects.create() for _ in values]
        for each, value in zip(objects, values, strict=True):
            vars(each)[field.attname] = value
        rows = Everything.objects.all()

        def one_by_one() -> None:
            for each, value in zip(objects, values, strict=True):
                rows.filter(pk=each.pk).update(**{field.attname: value})

        update = updating(Everything, field.name)
        keys = [[each.pk for each in objects]]
        ours = outcome(lambda: update(keys, [values]), field)
        by_django = outcome(one_by_one, field)
        in_bulk = outcome(lambda: rows.bulk_update(objects, [field.name]), field)
    if isinstance(by_django, Exception):
        assert isinstance(ours, Exception), by_django
    elif not isinstance(ours, Unsuitable):
        assert ours == by_django
        if not isinstance(in_bulk, Exception):  # it cannot write all that update() can
            assert ours == in_bulk


def test_every_column_of_every_row_gets_its_own_value_and_no_other_does() -> None:
    objects = [Everything.objects.create(text="old", integer=n, slug="s") for n in range(4)]

    with statements() as ran:
        found = updating(Everything, "text", "real")(
            [[each.pk for each in objects[:3]]], [["a", None, "c'\\%s"], [0.5, 1.5, None]]
        )

    assert found == 3
    assert len(ran.starting("UPDATE")) == 1
    stored = Everything.objects.order_by("pk").values_list("text", "real", "integer", "slug")
    assert list(stored) == [
        ("a", 0.5, 0, "s"),
        (None, 1.5, 1, "s"),
        ("c'\\%s", None, 2, "s"),
        ("old", None, 3, "s"),
    ]


def test_rows_that_are_gone_are_not_counted() -> None:
    there = Brand.objects.create(name="x", code="1")

    assert updating(Brand, "name")([[there.pk, there.pk + 1]], [["x", "z"]]) == 1


# ------------------------------------------------------------------ keys


def test_rows_are_found_by_keys_of_any_type() -> None:
    tokens = [Token.objects.create(name="x") for _ in range(3)]
    for code in ("de", "DE", "fr"):
        Country.objects.create(code=code, name="x")

    assert updating(Token, "name")([[each.pk for each in tokens[:2]]], [["a", "b"]]) == 2
    assert updating(Country, "name")([["DE", "fr"]], [["a", "b"]]) == 2

    assert [Token.objects.get(pk=each.pk).name for each in tokens] == ["a", "b", "x"]
    assert dict(Country.objects.values_list()) == {"de": "x", "DE": "a", "fr": "b"}


def test_rows_are_found_by_a_key_of_several_columns() -> None:
    one, two = (Tenant.objects.create(name="x") for _ in range(2))
    for tenant, code in ((one, "a"), (one, "b"), (two, "a")):
        Seat.objects.create(tenant=tenant, code=code, price=0)

    assert updating(Seat, "price")([[one.pk, two.pk], ["b", "a"]], [[1, 2]]) == 2

    prices = Seat.objects.order_by("pk").values_list("code", "price")
    assert list(prices) == [("a", 0), ("b", 1), ("a", 2)]


# ------------------------------------------------------------------ what the database says


def test_a_row_that_is_refused_takes_all_with_it_and_the_connection_stays() -> None:
    first, second, third = (Brand.objects.create(name="x", code=code) for code in "123")
    update = updating(Brand, "code")

    with pytest.raises(DatabaseError), transaction.atomic():
        update([[first.pk, second.pk]], [["4", "3"]])

    assert sorted(Brand.objects.values_list("code", flat=True)) == ["1", "2", "3"]
    assert update([[third.pk]], [["5"]]) == 1


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite keeps any length")
def test_a_text_that_is_too_long_is_refused_and_not_cut() -> None:
    objects = [Brand.objects.create(name="x", code=code) for code in "12"]
    for each in objects:
        each.name = "y" * 51

    with pytest.raises(DatabaseError), transaction.atomic():
        updating(Brand, "name")([[each.pk for each in objects]], [["y" * 51] * 2])
    with pytest.raises(DatabaseError), transaction.atomic():
        Updates(Brand, database="default")(objects, ["name"])
    for each in objects:  # which only Django can write
        vars(each)["number"] = F("number") + 1
    with pytest.raises(DatabaseError), transaction.atomic():
        Updates(Brand, database="default")(objects, ["name", "number"])

    assert set(Brand.objects.values_list("name", flat=True)) == {"x"}


def test_an_expression_is_refused_before_anything_is_written() -> None:
    with statements() as ran, pytest.raises(Unsuitable, match="number is an expression"):
        updating(Brand, "number")([[1, 2]], [[1, F("id")]])

    assert ran == []


@only_mysql
def test_no_statement_is_longer_than_a_packet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MySQL, "longest_statement", 16 * 1024)
    rows = [Brand(name="x", code=str(number)) for number in range(600)]
    Brand.objects.bulk_create(rows)
    keys = list(Brand.objects.order_by("pk").values_list("pk", flat=True))
    names = ["é'\\😀" * (number % 12) for number in range(600)]

    with statements() as ran:
        assert updating(Brand, "name")([keys], [names]) == 600

    assert 5 < len(ran.starting("UPDATE")) < 40
    assert max(len(sql.encode()) for sql in ran.starting("UPDATE")) <= 16 * 1024
    assert list(Brand.objects.order_by("pk").values_list("name", flat=True)) == names


@only_mysql
def test_keys_are_compared_in_the_collation_of_their_column() -> None:
    Country.objects.create(code="É", name="x")
    with connection.cursor() as cursor:
        cursor.execute("SELECT COLLATION(code), @@collation_connection FROM shop_country")
        own, of_connection = cursor.fetchone()
    assert own != of_connection

    assert updating(Country, "name")([["É", "é"]], [["a", "b"]]) == 1


# ------------------------------------------------------------------ objects


def save(objects: Any, *names: str) -> int:
    return Updates(type(objects[0]), database="default")(objects, names)


def test_objects_are_saved_in_one_statement() -> None:
    brands = [Brand.objects.create(name="x", code=code) for code in "123"]
    for each in brands:
        each.name, each.code = f"name {each.code}", "not asked for"

    with statements() as ran:
        assert save(brands, "name") == 3

    # MySQL is asked once for its longest statement.
    assert len(ran.starting("UPDATE")) == 1 == len(ran.starting("UPDATE", "SAVEPOINT", "INSERT"))
    assert list(Brand.objects.order_by("pk").values_list("name", "code")) == [
        ("name 1", "1"),
        ("name 2", "2"),
        ("name 3", "3"),
    ]


def test_what_only_django_can_write_is_written_by_django() -> None:
    brands = [Brand.objects.create(name="x", code=str(n), number=n) for n in range(3)]
    for each in brands:
        vars(each)["number"] = F("number") + 10

    assert save(brands, "number") == 3

    assert sorted(Brand.objects.values_list("number", flat=True)) == [10, 11, 12]


def test_objects_in_two_tables_are_written_by_django() -> None:
    places = [Restaurant.objects.create(name="x", stars=1) for _ in range(2)]
    for stars, each in enumerate(places, start=2):
        each.name, each.stars = "y", stars

    assert save(places, "name", "stars") == 2
    assert sorted(Restaurant.objects.values_list("name", "stars")) == [("y", 2), ("y", 3)]
    with statements() as ran:
        assert save(places, "stars") == 2
    assert len(ran.starting("UPDATE")) == 1


def test_the_key_of_an_object_that_was_saved_after_it_was_assigned_is_written() -> None:
    products = [Product.objects.create(sku=sku, name="x", price=1) for sku in "12"]
    for each in products:
        each.brand = Brand(name="x", code=each.sku)
        each.brand.save()

    assert save(products, "brand") == 2

    assert Product.objects.filter(brand=None).count() == 0
    products[0].brand = Brand(name="y", code="y")
    with pytest.raises(ValueError, match="unsaved related object 'brand'"):
        save(products, "brand")


@pytest.mark.once
def test_what_django_has_to_update() -> None:
    def reason(model: type[Model], *names: str) -> str:
        fields = [model._meta.get_field(name) for name in names]
        return django_has_to_update(model, fields, database="default")

    assert reason(Brand, "name", "number") == ""
    assert reason(Product, "brand", "maker") == ""
    assert reason(Seat, "price", "neighbour") == ""
    assert reason(Restaurant, "name") == "name stands in the table of shop.Place"
    assert "methods of its own" in reason(Custom, "upper")


@pytest.mark.skipif(not IS_POSTGRESQL, reason="no other takes keys as texts")
@isolate_apps("tests.apps.shop")
def test_a_foreign_key_to_a_field_with_methods_of_its_own_is_left_to_django() -> None:
    class Owner(models.Model):
        code = UpperField(max_length=20, primary_key=True)

        class Meta:
            app_label = "shop"

    class Owned(models.Model):
        owner = models.ForeignKey(Owner, models.CASCADE)

        class Meta:
            app_label = "shop"

    reason = "code is a UpperField, which has a form of its own"
    fields = [Owned._meta.get_field("owner")]
    assert django_has_to_update(Owned, fields, database="default") == reason
    assert django_has_to(Owned, database="default") == reason
