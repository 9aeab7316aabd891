"""``column_description`` against the model."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.checks import CheckMessage
from django.db.models import Model

from data_migration import is_a
from tests.apps.shop.models import (
    Brand,
    Category,
    Detail,
    Place,
    Product,
    Restaurant,
    Review,
    Supplier,
    Tag,
)
from tests.support.checking import check, column, only


def test_e038_a_target_is_searched_by_a_property() -> None:
    found = only("E038", column(LogEntry, "user", is_a(User, "is_anonymous", fk=True)))
    assert "the search_attr of column 'user' is 'is_anonymous'" in found


def test_e020_column_description_is_no_mapping() -> None:
    only("E020", check(column_description=[is_a(Brand, "id", fk=True)]))


def test_e021_a_description_not_made_by_is_a() -> None:
    assert "'brand'" in only("E021", column(Product, "brand", Brand))


def test_e022_a_described_column_that_is_no_relation() -> None:
    brand = is_a(Brand, search_attr="id", fk=True)
    assert "Did you mean 'brand'?" in only("E022", column(Product, "brnad", brand))
    assert "no relation" in only("E022", column(Product, "name", brand))
    assert column(Product, "whatever", is_a(exclude=True)) == {}


def test_e023_one_object_where_many_belong_and_the_other_way_round() -> None:
    assert "Use m2m=True" in only("E023", column(Product, "tags", is_a(Tag, "id", fk=True)))
    assert "Use fk=True" in only("E023", column(Product, "brand", is_a(Brand, "id", m2m=True)))


def test_e023_is_silent_about_the_other_side_of_a_relation() -> None:
    assert column(Brand, "products", is_a(Product, "sku", m2m=True)) == {}
    assert column(Tag, "products", is_a(Product, "sku", m2m=True)) == {}
    assert column(Product, "detail", is_a(Detail, "id", o2o=True)) == {}


def test_e024_a_class_that_the_relation_does_not_refer_to() -> None:
    found = column(Product, "brand", is_a(Supplier, "id", fk=True))
    assert "refers to shop.Brand. Use is_a(Brand, ...)" in only("E024", found)


def test_e024_is_silent_about_a_proxy() -> None:
    class Proxy(Brand):
        class Meta:
            proxy = True
            app_label = "shop"

    assert column(Product, "brand", is_a(Proxy, "id", fk=True)) == {}


def test_e025_a_search_attr_that_the_class_does_not_have() -> None:
    found = column(Product, "brand", is_a(Brand, "nmae", fk=True))
    assert "Did you mean 'name'?" in only("E025", found)
    only("E025", column(Product, "brand", is_a(Brand, "name__nonsense", fk=True)))
    only("E025", column(Product, "brand", is_a(Brand, "profile__cod", fk=True)))


@pytest.mark.parametrize("attr", ["pk", "id", "code", "number", "code__iexact", "profile__brand"])
def test_e025_and_w028_are_silent_about_unique_attributes(attr: str) -> None:
    assert column(Product, "brand", is_a(Brand, attr, fk=True)) == {}


def test_w026_a_one_to_one_described_as_foreign_key() -> None:
    product = is_a(Product, "sku", fk=True)
    assert "is a OneToOneField. Use o2o=True" in only("W026", column(Detail, "product", product))
    only("W026", column(Review, "product", is_a(Product, "sku", o2o=True)))


def test_w027_skip_missing_where_null_is_not_allowed() -> None:
    description = is_a(Product, "sku", fk=True, skip_missing=True)
    only("W027", column(Review, "product", description))
    assert column(Product, "brand", is_a(Brand, "id", fk=True, skip_missing=True)) == {}
    hook = {"hook_before_save": lambda self, instance, row: False}
    assert check(model=Review, column_description={"product": description}, **hook) == {}


@pytest.mark.parametrize("attr", ["name", "name__iexact", "profile__code", "profile__brand__name"])
def test_w028_a_search_attr_that_is_not_unique(attr: str) -> None:
    assert repr(attr) in only("W028", column(Product, "brand", is_a(Brand, attr, fk=True)))


def several(*attrs: str, klass: type[Model] = Brand) -> dict[str, CheckMessage]:
    columns = tuple(f"brand_{number}" for number in range(len(attrs)))
    return column(Product, "brand", is_a(klass, attrs, fk=True, columns=columns))


def test_e025_each_of_several_attributes_has_to_exist() -> None:
    assert "'nmae'" in only("E025", several("code", "nmae"))


def test_w028_several_attributes_that_are_not_unique_together() -> None:
    assert "'name, profile__code'" in only("W028", several("name", "profile__code"))
    assert several("name", "code") == {}


def test_a_child_of_the_related_model_is_fine() -> None:
    assert column(Restaurant, "place_ptr", is_a(Place, "id", o2o=True)) == {}
    assert column(Category, "related", is_a(Category, "name", m2m=True)) == {}
