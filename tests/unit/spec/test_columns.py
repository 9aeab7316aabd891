"""``is_a()``: what it returns and what it refuses."""

from __future__ import annotations

import inspect
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from data_migration import Migration, is_a
from data_migration.spec.columns import Column, Relation
from tests.apps.shop.models import Brand, Tag


@pytest.mark.parametrize("relation", Relation)
def test_each_relation_is_chosen_by_its_keyword(relation: Relation) -> None:
    options: dict[str, Any] = {relation.value: True}
    column = is_a(Brand, search_attr="id", **options)
    assert (column.klass, column.search_attr, column.relation) == (Brand, "id", relation)


def test_the_defaults_are_those_of_the_older_package() -> None:
    column = is_a(Brand, search_attr="id", fk=True)
    assert (column.delimiter, column.prefetch) == (";", True)
    flags = (column.exclude, column.skip_missing, column.assign_by_id, column.legacy)
    assert flags == (False,) * 4


def test_every_option_arrives() -> None:
    options: dict[str, Any] = {
        "delimiter": "|",
        "skip_missing": True,
        "prefetch": False,
        "assign_by_id": True,
    }
    column = is_a(Tag, search_attr="name", m2m=True, **options)
    assert {name: getattr(column, name) for name in options} == options


def test_the_order_of_the_arguments_is_that_of_the_older_package() -> None:
    assert list(inspect.signature(is_a).parameters) == [
        *("klass", "search_attr", "fk", "m2m", "o2o", "exclude"),
        *("delimiter", "skip_missing", "prefetch", "assign_by_id"),
        *("legacy", "columns", "deferred"),
    ]
    assert is_a(Tag, "name", False, True).relation is Relation.M2M


def test_every_argument_has_its_place_in_the_column() -> None:
    arguments = set(inspect.signature(is_a).parameters) - set(Relation)
    assert {field.name for field in fields(Column)} == arguments | {"relation"}


def test_a_target_may_be_found_by_its_legacy_key() -> None:
    column = is_a(Brand, fk=True, legacy=True, columns=("country", "number"), deferred=True)
    assert (column.legacy, column.columns, column.deferred) == (True, ("country", "number"), True)
    assert column.search_attrs == ()


@pytest.mark.parametrize("legacy", ["shop.BrandMigration", Migration])
def test_a_legacy_key_may_name_its_migration(legacy: Any) -> None:
    assert is_a(Brand, fk=True, legacy=legacy).legacy == legacy


@pytest.mark.parametrize("attrs", [("name", "state__code"), ["name", "state__code"]])
def test_a_target_may_be_found_by_several_attributes(attrs: Any) -> None:
    column = is_a(Brand, search_attr=attrs, fk=True, columns=["city", "state"])
    assert column.search_attrs == ("name", "state__code")
    assert column.columns == ("city", "state")


def test_a_single_attribute_may_have_a_column_of_another_name() -> None:
    column = is_a(Brand, search_attr="name", fk=True, columns=("brand_name",))
    assert (column.search_attrs, column.columns) == (("name",), ("brand_name",))


def test_an_excluded_column_needs_nothing_else() -> None:
    assert is_a(exclude=True) == Column(exclude=True)
    assert is_a(Brand, search_attr="id", exclude=True).klass is None


def test_a_column_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        is_a(Brand, search_attr="id", fk=True).search_attr = "name"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"klass": Brand, "search_attr": "id"}, "got none"),
        ({"klass": Brand, "search_attr": "id", "fk": True, "m2m": True}, "fk=True and m2m=True"),
        ({"search_attr": "id", "fk": True}, "has to be a model class, got None"),
        ({"klass": "shop.Brand", "search_attr": "id", "fk": True}, "got 'shop.Brand'"),
        ({"klass": Migration, "search_attr": "id", "fk": True}, "model class, got <class"),
        ({"klass": Brand, "fk": True}, r"is_a\(Brand\): name the attribute"),
        ({"klass": Brand, "search_attr": "", "fk": True}, r"is_a\(Brand\): name the attribute"),
        ({"klass": Tag, "search_attr": "id", "m2m": True, "delimiter": ""}, "a text, got ''"),
        ({"klass": Tag, "search_attr": "id", "m2m": True, "delimiter": 5}, "a text, got 5"),
        ({"klass": Brand, "search_attr": "id", "fk": True, "legacy": True}, "leave one of them"),
        ({"klass": Brand, "fk": True, "legacy": "BrandMigration"}, "got 'BrandMigration'"),
        ({"klass": Brand, "fk": True, "legacy": Brand}, "a Migration class or its label"),
        ({"klass": Brand, "fk": True, "legacy": True, "columns": "a"}, r'columns=\("a",\)'),
        ({"klass": Brand, "fk": True, "legacy": True, "columns": ("a", 7)}, "tuple of names"),
        ({"klass": Brand, "fk": True, "legacy": True, "columns": ("a", "a")}, "twice"),
        ({"klass": Tag, "m2m": True, "legacy": True, "columns": ("a", "b")}, "from one column"),
        (
            {"klass": Brand, "search_attr": ("name", "code"), "fk": True},
            "search_attr names 2 and columns 0",
        ),
        (
            {"klass": Brand, "search_attr": "id", "fk": True, "columns": ("a", "b")},
            "search_attr names 1 and columns 2",
        ),
    ],
)
def test_misuse_is_refused_with_what_to_do(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=said):
        is_a(**arguments)
