"""What identifies a row, and by what an existing object is found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from data_migration.exceptions import SpecError
from data_migration.migration import Migration
from data_migration.spec.legacy_key import key_columns_of, search_attrs_of
from tests.apps.modern.models import Seat
from tests.apps.shop.models import Country, Custom, Product, Restaurant, Token


def migration(model: Any = Product, **attributes: Any) -> Migration:
    return type("M", (Migration,), {"model": model, **attributes})()


@pytest.mark.parametrize(
    ("model", "attributes", "columns", "key"),
    [
        (Product, {}, ["id", "sku"], ("id",)),
        (Product, {}, ["pk", "sku"], ("pk",)),
        (Product, {}, ["sku"], ()),
        (Product, {"search_attr": "sku"}, ["id", "sku"], ("sku",)),
        (Product, {"search_attr": "sku"}, ["id"], ("id",)),
        (Product, {"legacy_key": "name", "search_attr": "sku"}, ["id", "sku", "name"], ("name",)),
        (Product, {"legacy_key": ("name", "sku")}, ["name", "sku"], ("name", "sku")),
        (Product, {"legacy_key": ["name"]}, ["name"], ("name",)),
        (Country, {}, ["code"], ("code",)),
        (Token, {}, ["id"], ("id",)),
        (Restaurant, {}, ["id"], ("id",)),
        (Restaurant, {}, ["place_ptr_id"], ("place_ptr_id",)),
        (Restaurant, {}, ["place_ptr"], ("place_ptr",)),
        (Seat, {}, ["code", "price", "tenant"], ("tenant", "code")),
        (Seat, {}, ["tenant_id", "code"], ("tenant_id", "code")),
        (Seat, {}, ["code"], ()),
    ],
)
def test_legacy_key(
    model: Any, attributes: dict[str, Any], columns: Sequence[str], key: tuple[str, ...]
) -> None:
    assert key_columns_of("shop.M", migration(model, **attributes), columns) == key


def test_legacy_key_that_the_query_lacks_is_told_with_the_columns_there_are() -> None:
    with pytest.raises(SpecError, match=r"shop\.M: legacy_key names b, .*It returns: a, c\."):
        key_columns_of("shop.M", migration(legacy_key=("a", "b")), ["a", "c"])


@pytest.mark.parametrize(
    ("attributes", "columns", "attrs"),
    [
        ({"search_attr": "sku"}, ["id", "sku"], ("sku",)),
        ({}, ["id", "sku"], ("id",)),
        ({"search_attr": "pk"}, ["pk"], ("pk",)),
        ({"legacy_key": ("sku", "name")}, ["sku", "name"], ("sku", "name")),
    ],
)
def test_search_attributes(
    attributes: dict[str, Any], columns: Sequence[str], attrs: tuple[str, ...]
) -> None:
    assert search_attrs_of("shop.M", migration(**attributes), columns) == attrs


@pytest.mark.parametrize(
    ("model", "attributes", "columns"),
    [
        (Product, {}, ["sku"]),
        (Product, {"search_attr": "colour"}, ["colour"]),
        (Product, {"legacy_key": "number"}, ["number"]),
        (Custom, {"search_attr": "centimetres"}, ["centimetres"]),
    ],
)
def test_updateable_migration_without_a_way_to_find_objects_is_refused(
    model: Any, attributes: dict[str, Any], columns: Sequence[str]
) -> None:
    wanted = f"or search_attr to a field of {model._meta.label} that the query returns"
    with pytest.raises(SpecError, match=wanted):
        search_attrs_of("shop.M", migration(model, **attributes), columns)


def test_a_key_that_is_no_field_will_do_where_the_ledger_finds_the_objects() -> None:
    keyed = migration(legacy_key="number")
    assert search_attrs_of("shop.M", keyed, ["number"], has_links=True) == ()


def test_a_search_attribute_has_to_be_a_field_even_where_the_ledger_finds_objects() -> None:
    with pytest.raises(SpecError, match=r"search_attr to a field of shop\.Product"):
        search_attrs_of("shop.M", migration(search_attr="colour"), ["colour"], has_links=True)
