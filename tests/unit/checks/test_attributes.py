"""Query, model, keys, dependencies, writing: the attributes of a migration."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import AbstractUser, User

from data_migration import Migration
from data_migration.checks import check_specs
from tests.apps.shop.models import (
    Brand,
)
from tests.support.checking import Sound, check, numbered, only, spec


def test_e010_no_model() -> None:
    only(
        "E010",
        numbered(check_specs({"shop.A": spec(Migration, query="SELECT 1", source="legacy")})),
    )
    only("E010", check(model=None))


def test_e011_model_is_no_model_class() -> None:
    assert "'shop.Product'" in only("E011", check(model="shop.Product"))
    assert "Sound" in only("E011", check(model=Sound))


def test_e012_model_without_a_table(settings: Any) -> None:
    assert "it is abstract" in only("E012", check(model=AbstractUser))
    assert check(model=User) == {}
    settings.AUTH_USER_MODEL = "shop.Brand"
    assert "it is swapped for shop.Brand" in only("E012", check(model=User))


def test_e013_query_is_no_string() -> None:
    assert "b'SELECT 1'" in only("E013", check(query=b"SELECT 1"))


def test_w039_a_query_and_rows() -> None:
    only("W039", check(rows=lambda self: iter(())))
    assert check(query=None, source=None, rows=lambda self: iter(())) == {}
    assert check(rows=[]) == {}  # a name of an older spec's own


@pytest.mark.parametrize("query", ["products", "UPDATE products SET id = 1", "   "])
def test_e014_query_without_a_select(query: str) -> None:
    only("E014", check(query=query))


@pytest.mark.parametrize(
    "query",
    ["select 1", "/* all */ (SELECT 1)", "WITH x AS (VALUES (1)) TABLE x", " EXEC dbo.products"],
)
def test_e014_is_silent_about_whatever_returns_rows(query: str) -> None:
    assert check(query=query) == {}


def test_e015_query_params_that_no_driver_takes() -> None:
    assert "(value,)" in only("E015", check(query_params=5))
    only("E015", check(query_params="de"))
    assert check(query_params=["de"]) == check(query_params={"language": "de"}) == {}


def test_e030_search_attr_that_the_model_does_not_have() -> None:
    assert "Did you mean 'sku'?" in only("E030", check(allow_updates=True, search_attr="skuu"))
    only("E030", check(search_attr=5))
    assert check(search_attr="sku") == check(search_attr="pk") == {}


def test_e038_search_attr_is_a_property() -> None:
    found = only("E038", check(model=User, search_attr="is_anonymous"))
    assert "search_attr is 'is_anonymous', which auth.User works out in Python" in found


def test_e031_legacy_key_that_is_no_column() -> None:
    for key in (5, ["id", 5], {"id"}, ("",)):
        only("E031", check(legacy_key=key))
    for fine in ("id", ("id", "name"), ["id"], None, ()):
        assert check(legacy_key=fine) == {}


def test_w032_an_updateable_migration_that_cannot_find_its_objects() -> None:
    query = "SELECT sku, name FROM old"
    assert "'id'" in only("W032", check(query=query, allow_updates=True))
    assert check(query=query, allow_updates=True, search_attr="sku") == {}
    assert check(query=query, allow_updates=True, legacy_key="sku") == {}


@pytest.mark.parametrize("query", ["SELECT * FROM old", "SELECT Nr AS id FROM old", "CALL old()"])
def test_w032_is_silent_where_the_query_may_return_the_key(query: str) -> None:
    assert check(query=query, allow_updates=True) == {}


def test_w037_rows_that_are_gone_cannot_be_noticed_without_a_key() -> None:
    query = "SELECT sku, name FROM old"
    assert "'delete'" in only("W037", check(query=query, removed="delete"))
    assert "'report'" in only("W037", check(removed="report", legacy_key=()))
    assert check(query=query, removed="keep") == {}
    assert check(query=query, removed="delete", legacy_key="sku") == {}
    assert check(query=query, removed="delete", search_attr="sku") == {}
    assert check(query="SELECT * FROM old", removed="delete") == {}


def test_e040_depends_on_is_no_list() -> None:
    only("E040", check(depends_on=Brand))
    only("E040", check(depends_on="shop.Brand"))


def test_e041_an_entry_of_the_wrong_type() -> None:
    assert "5" in only("E041", check(depends_on=[Brand, 5]))


def test_e042_a_dependency_that_nothing_fills() -> None:
    found = check(depends_on=["shop.Prodcut"])
    assert "shop.SomeMigration depends on 'shop.Prodcut'" in only("E042", found)
    assert found["E042"].obj == "shop.SomeMigration"
    assert check(depends_on=["shop.Brand", User]) == {}


def test_e043_migrations_that_wait_for_each_other() -> None:
    one, other = spec(depends_on=["shop.B"]), spec(depends_on=["shop.A"])
    found = numbered(check_specs({"shop.B": other, "shop.A": one}))
    assert "shop.A -> shop.B -> shop.A" in only("E043", found)
    assert found["E043"].obj == "shop.A"


def test_e050_a_writer_that_does_not_exist() -> None:
    assert "Did you mean 'bulk'?" in only("E050", check(writer="bluk"))
    assert check(writer="save") == check(writer="bulk") == check(writer="copy") == {}


def test_e052_a_batch_size_that_is_no_number_of_rows() -> None:
    for size in (0, -1, "2000", 1.5, True):
        assert "which is 2000" in only("E052", check(batch_size=size))
    assert check(batch_size=1) == {}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("on_conflict", "'keep', 'overwrite', 'report'"),
        ("deleted", "'create', 'keep', 'report'"),
        ("removed", "'keep', 'report', 'delete'"),
        ("high_water_null", "'include', 'exclude', 'raise'"),
    ],
)
def test_e054_a_word_that_the_attribute_does_not_know(name: str, words: str) -> None:
    found = only("E054", check(**{name: "drop"}))
    assert f"{name} has to be one of {words}, got 'drop'" in found
    assert check(**{name: words.split("'")[3]}) == {}


def test_e053_split_is_no_truth_value() -> None:
    only("E053", check(split="id"))
    assert check(split=True) == check(split=None) == {}


def test_e055_track_changes_is_no_truth_value() -> None:
    only("E055", check(track_changes="yes"))
    assert check(track_changes=True) == {}


@pytest.mark.parametrize("limit", [None, "10", True, -1, 101, [10]])
def test_e056_removed_limit_is_no_percentage(limit: Any) -> None:
    only("E056", check(removed_limit=limit))


@pytest.mark.parametrize("limit", [0, 12.5, 100])
def test_e056_is_silent_about_percentages(limit: Any) -> None:
    assert check(removed_limit=limit) == {}


def test_e057_high_water_is_no_column() -> None:
    only("E057", check(high_water=("modified",)))
    only("E057", check(high_water=""))
    assert check(high_water="modified") == {}


@pytest.mark.parametrize("lag", ["5 minutes", True, -5, timedelta(seconds=-1)])
def test_e058_a_lag_that_cannot_be_subtracted(lag: Any) -> None:
    only("E058", check(high_water="modified", high_water_lag=lag))


@pytest.mark.parametrize("lag", [0, 2.5, timedelta(minutes=5)])
def test_e058_is_silent_about_spans(lag: Any) -> None:
    assert check(high_water="modified", high_water_lag=lag) == {}


def test_e059_sensitive_columns_that_are_no_tuple_of_names() -> None:
    assert "needs a comma" in only("E059", check(sensitive_columns="iban"))
    only("E059", check(sensitive_columns=[7]))
    assert check(sensitive_columns=["iban"]) == {}


def test_e036_the_legacy_key_cannot_be_hidden() -> None:
    only("E036", check(legacy_key=("country", "iban"), sensitive_columns=("iban",)))
    only("E036", check(search_attr="name", sensitive_columns=("name",)))
    assert check(legacy_key="id", search_attr="name", sensitive_columns=("name",)) == {}
