"""Which column and value are to blame for a row that the database refused."""

from __future__ import annotations

from typing import Any

import pytest

from data_migration.migration import Migration
from tests import settings
from tests.apps.shop.models import Bounded, Brand, Country, Detail, Everything, Product
from tests.support.engine import migrate

pytestmark = pytest.mark.django_db
STRICT = pytest.mark.skipif(settings.TARGET == "sqlite", reason="SQLite stores whatever comes")


def blamed(
    model: Any, writer: str, *rows: dict[str, Any], **attributes: Any
) -> tuple[str, str, str, str]:
    """Key, column, value and cause of the only failure."""
    migration = type("M", (Migration,), {"model": model, "writer": writer, **attributes})
    (message,) = migrate(migration, rows).messages
    return message.key, message.column, message.value, message.cause


def test_null(writer: str) -> None:
    key, column, value, cause = blamed(Brand, writer, {"id": 1, "code": "a", "name": None})
    assert (key, column, value) == ("1", "name", "NULL")
    assert "name may not be NULL" in cause


def test_duplicate_of_a_stored_object(writer: str) -> None:
    Brand.objects.create(code="a")
    key, column, value, cause = blamed(Brand, writer, {"id": 7, "code": "a"})
    assert (key, column, value) == ("7", "code", "'a'")
    assert "already exists" in cause


def test_duplicate_within_the_query(writer: str) -> None:
    rows = [{"id": 1, "code": "a"}, {"id": 2, "code": "b"}, {"id": 3, "code": "a"}]
    assert blamed(Brand, writer, *rows)[:3] == ("3", "code", "'a'")


def test_duplicate_primary_key(writer: str) -> None:
    rows = [{"code": "DE", "name": "x"}, {"code": "DE", "name": "y"}]
    key, column, value, cause = blamed(Country, writer, *rows)
    assert (key, column, value) == ('"DE"', "", "")
    assert cause.startswith("another row of the query has the same legacy key. ")


@pytest.mark.parametrize("legacy_key", ["name", ()])
def test_duplicate_primary_key_of_rows_with_other_legacy_keys(
    writer: str, legacy_key: Any
) -> None:
    rows = [{"code": "DE", "name": "x"}, {"code": "DE", "name": "y"}]
    key, *found = blamed(Country, writer, *rows, legacy_key=legacy_key)
    assert (key, found[:2]) == ('"y"' if legacy_key else "", ["code", "'DE'"])


def test_duplicate_is_blamed_and_not_a_column_that_a_validator_dislikes(writer: str) -> None:
    Product.objects.create(sku="a")
    row = {"id": 7, "sku": "a", "name": "x", "email": "no address"}
    assert blamed(Product, writer, row)[:3] == ("7", "sku", "'a'")


def test_second_one_to_one(writer: str) -> None:
    product = Product.objects.create(sku="a")
    rows = [{"id": 1, "product_id": product.pk}, {"id": 2, "product_id": product.pk}]
    assert blamed(Detail, writer, *rows)[:3] == ("2", "product_id", str(product.pk))


def test_constraint_over_two_fields(writer: str) -> None:
    row = {"id": 1, "name": "a", "low": 7, "high": 3}
    key, column, value, cause = blamed(Bounded, writer, row)
    assert (key, column, value) == ("1", "high", "3")
    assert "in_order" in cause


@pytest.mark.skipif(settings.TARGET == "mysql", reason="MySQL has no conditional constraints")
def test_constraint_with_a_condition(writer: str) -> None:
    rows = [{"id": n, "name": "a", "low": low} for n, low in [(1, 0), (2, 5), (3, 0), (4, 6)]]
    assert blamed(Bounded, writer, *rows)[:3] == ("4", "name", "'a'")


@STRICT
def test_text_that_is_too_long(writer: str) -> None:
    key, column, value, cause = blamed(
        Product, writer, {"id": 1, "sku": "a", "name": "x" * 21, "email": "no address"}
    )
    assert (key, column, value) == ("1", "name", repr("x" * 21))
    assert "at most 20 characters" in cause


@STRICT
@pytest.mark.parametrize("column", ["small", "integer", "positive", "decimal"])
def test_number_that_is_too_large(writer: str, column: str) -> None:
    row = {"id": 1, column: 10**15}
    assert blamed(Everything, writer, row)[:3] == ("1", column, str(10**15))


def test_negative_number_in_a_positive_field(writer: str) -> None:
    assert blamed(Everything, writer, {"id": 1, "positive": -1})[:3] == ("1", "positive", "-1")


def test_number_that_no_driver_takes(writer: str) -> None:
    assert blamed(Everything, writer, {"id": 1, "big": 10**30})[:3] == ("1", "big", str(10**30))


@pytest.mark.skipif(settings.TARGET != "postgresql", reason="the others store a NUL")
def test_nul_character(writer: str) -> None:
    key, column, value, cause = blamed(Everything, writer, {"id": 1, "text": "a\x00b"})
    assert (key, column, value) == ("1", "text", r"'a\x00b'")
    assert "NUL character, at place 2 of 3" in cause


def test_value_of_a_hook_is_shown_where_the_query_has_no_such_column(writer: str) -> None:
    def hook_before_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
        instance.name = None

    attributes = {"model": Brand, "writer": writer, "hook_before_save": hook_before_save}
    (message,) = migrate(type("M", (Migration,), attributes), [{"id": 1, "code": "a"}]).messages
    assert (message.column, message.value) == ("name", "NULL")
    assert "the query has no such column" in message.cause


def test_hook_is_named_with_its_line(writer: str) -> None:
    class Raising(Migration):
        model = Brand

        def hook_after_save(self, instance: Any, row: dict[str, Any]) -> None:
            raise LookupError("which one?")

    chosen = type("Chosen", (Raising,), {"writer": writer})
    (message,) = migrate(chosen, [{"id": 1, "code": "a"}]).messages
    assert message.cause.startswith("hook_after_save, line ")
    assert message.cause.endswith("LookupError: which one?")
    assert message.column == ""


def test_default_of_another_type_than_the_fields_does_no_harm(writer: str) -> None:
    """``default=0`` of a DecimalField is an int, which its validators cannot take."""
    Product.objects.create(sku="a")
    assert blamed(Product, writer, {"id": 7, "sku": "a"})[:3] == ("7", "sku", "'a'")
