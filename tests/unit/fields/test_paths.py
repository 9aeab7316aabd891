"""Attribute paths: where they lead, and whether to one object only."""

from __future__ import annotations

import pytest
from django.db import models
from django.db.models import Q, UniqueConstraint
from django.db.models.functions import Lower
from django.test.utils import isolate_apps

from data_migration.fields.paths import AttributePath, are_unique
from tests.apps.shop.models import Brand, Category, Product, Tag


def is_unique(model: type[models.Model], attr: str) -> bool:
    path = AttributePath.follow(model, attr)
    assert path is not None
    return path.is_unique


@pytest.mark.parametrize(
    ("model", "attr", "names"),
    [
        (Product, "pk", ["id"]),
        (Product, "brand_id", ["brand"]),
        (Product, "brand__code", ["brand", "code"]),
        (Product, "brand__profile__code__iexact", ["brand", "profile", "code"]),
        (Product, "brand__isnull", ["brand"]),
        (Brand, "products__sku", ["products", "sku"]),
    ],
)
def test_a_path_leads_over_fields_and_leaves_lookups_out(
    model: type[models.Model], attr: str, names: list[str]
) -> None:
    path = AttributePath.follow(model, attr)
    assert path is not None
    assert [field.name for field in path.fields] == names


@pytest.mark.parametrize("attr", ["", "nothing", "iexact", "brand__nothing", "sku__code", "sku__"])
def test_what_leads_nowhere_is_no_path(attr: str) -> None:
    assert AttributePath.follow(Product, attr) is None


@pytest.mark.parametrize(
    ("model", "attr", "unique"),
    [
        (Brand, "products__sku", True),  # one product, and so one brand
        (Product, "brand__code", False),  # one brand, and so any number of products
        (Product, "detail__id", True),
        (Tag, "products__sku", False),
        (Category, "related", False),
    ],
)
def test_a_path_is_unique_if_each_step_back_leads_to_one_object(
    model: type[models.Model], attr: str, unique: bool
) -> None:
    assert is_unique(model, attr) is unique


@isolate_apps("tests.apps.shop")
def test_constraints_make_a_field_unique_if_they_hold_for_all_rows_and_it_alone() -> None:
    class Coded(models.Model):
        alone = models.IntegerField()
        together = models.IntegerField()
        listed = models.IntegerField()
        partly = models.IntegerField()

        class Meta:
            app_label = "shop"
            unique_together = [("listed",), ("together", "alone")]
            constraints = [
                UniqueConstraint(fields=["alone"], name="a"),
                UniqueConstraint(fields=["together", "partly"], name="b"),
                UniqueConstraint(fields=["partly"], condition=Q(partly__gt=0), name="c"),
            ]

    found = {name: is_unique(Coded, name) for name in ("alone", "listed", "together", "partly")}
    assert found == {"alone": True, "listed": True, "together": False, "partly": False}


@isolate_apps("tests.apps.shop")
def test_a_unique_expression_is_trusted() -> None:
    class Named(models.Model):
        name = models.TextField()

        class Meta:
            app_label = "shop"
            constraints = [UniqueConstraint(Lower("name"), name="lower_name")]

    assert is_unique(Named, "name__iexact")


@isolate_apps("tests.apps.shop")
@pytest.mark.parametrize(
    ("attrs", "unique"),
    [
        (("name", "state"), True),
        (("name", "state__code"), True),
        (("state__code", "name", "zip"), True),
        (("name", "state__name"), False),
        (("name", "zip"), False),
        (("zip", "street"), True),
        (("id", "name"), True),
    ],
)
def test_several_paths_are_unique_where_the_model_says_so(
    attrs: tuple[str, ...], unique: bool
) -> None:
    class State(models.Model):
        code = models.CharField(max_length=2, unique=True)
        name = models.CharField(max_length=20)

        class Meta:
            app_label = "shop"

    class City(models.Model):
        name = models.CharField(max_length=20)
        zip = models.CharField(max_length=20)
        street = models.CharField(max_length=20)
        state = models.ForeignKey(State, models.CASCADE)

        class Meta:
            app_label = "shop"
            unique_together = (("zip", "street"),)
            constraints = (UniqueConstraint(fields=["name", "state"], name="one_of_a_name"),)

    paths = [AttributePath.follow(City, attr) for attr in attrs]
    assert are_unique(City, [path for path in paths if path]) is unique
