"""Which fields are Django's own in all that matters to their columns."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import models

from data_migration.fields.lookup import target_field_of
from data_migration.fields.stock import copy_refusal, is_stock, written_type_of
from tests.apps.shop.models import Custom, Everything, Product, Token

STOCK = [field.name for field in Everything._meta.concrete_fields]


class Shouted(models.CharField):  # type: ignore[type-arg]
    def get_prep_value(self, value: Any) -> Any:
        return str(value).upper()


class Named(models.CharField):  # type: ignore[type-arg]
    """A subclass that leaves every conversion as it is."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, max_length=10, **kwargs)


class Packed(models.JSONField):
    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return value


class Strange(models.Field):  # type: ignore[type-arg]
    """Django's own methods, of a type that is not known here."""

    def db_type(self, connection: Any) -> str:
        return "text"


def named(field: Any) -> Any:
    field.set_attributes_from_name("it")
    return field


@pytest.mark.parametrize("name", STOCK)
def test_each_of_djangos_fields_is_stock_and_goes_by_copy(name: str) -> None:
    field = Everything._meta.get_field(name)
    assert is_stock(field)
    assert copy_refusal(field) == ""
    assert (written_type_of(field) is None) is (name == "json")


@pytest.mark.parametrize("field", [Shouted(), Packed(), Custom._meta.get_field("upper")])
def test_a_conversion_of_its_own_makes_a_field_that_has_to_be_asked(field: Any) -> None:
    field = field if field.name else named(field)
    assert not is_stock(field)
    assert written_type_of(field) is None
    assert "which has a form of its own" in copy_refusal(field)


def test_a_subclass_without_conversions_is_stock() -> None:
    assert is_stock(Named())
    assert written_type_of(Named()) is str


def test_a_type_that_is_not_known_is_refused_by_name() -> None:
    assert copy_refusal(named(Strange())) == "it is a Strange, which has a form of its own"


@pytest.mark.parametrize(
    ("field", "target"),
    [
        (Product._meta.get_field("maker"), "code"),
        (Product._meta.get_field("brand"), "id"),
        (Token._meta.pk, "id"),
    ],
)
def test_a_foreign_key_is_what_it_refers_to(field: Any, target: str) -> None:
    assert target_field_of(field).name == target
    assert copy_refusal(field) == ""
