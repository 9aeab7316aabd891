"""Which querysets can be read in pages by key, and what is said of the others."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.models import Count, F, Q, Window
from django.db.models.functions import RowNumber

from data_migration.tables.walk import comes_once, why_not_walked
from tests.apps.shop.models import Brand, Product, Restaurant

pytestmark = pytest.mark.once

PAGES = "It is read in pages by the keys of its objects"


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (
            [Brand()],
            "queryset() returns a list. It has to return a QuerySet, such as"
            " Item.objects.filter(...), which is then read in pages.",
        ),
        (
            Brand.objects.raw("SELECT * FROM shop_brand"),
            "queryset() returns a RawQuerySet. It has to return a QuerySet, such as"
            " Item.objects.filter(...), which is then read in pages.",
        ),
        (
            Brand.objects.values("name"),
            "queryset() of shop.Brand has values() or values_list(), so it gives no objects. Leave"
            " them out; only() reads few columns, too.",
        ),
        (
            Brand.objects.all()[:10],
            f"queryset() of shop.Brand is sliced. {PAGES}, so it cannot have a beginning and an"
            " end of its own. Leave the slice out: batch_size is how many are read at once,"
            " --limit how many at all.",
        ),
        (
            Brand.objects.filter(name="a").union(Brand.objects.filter(name="b")),
            f"queryset() of shop.Brand is a union(). {PAGES}, and Django cannot narrow that. Write"
            " filter(Q(...) | Q(...)), or filter(pk__in=...) with the keys of the parts.",
        ),
        (
            Brand.objects.distinct("name"),
            f"queryset() of shop.Brand has distinct() with fields. {PAGES}, and which objects are"
            " the first ones would differ from page to page. Write filter(pk__in=...) with the"
            " keys of these.",
        ),
        (
            Brand.objects.annotate(place=Window(RowNumber())).filter(place=1),
            f"queryset() of shop.Brand has a Window(). {PAGES}, and its values would be those of"
            " the page. Write filter(pk__in=...) with the keys of the objects you mean.",
        ),
        (
            Brand.objects.using("other"),
            "queryset() of shop.Brand reads from the database 'other', and the patch runs on"
            " 'default'. Leave using() out, or name the other one with --database.",
        ),
    ],
    ids=lambda each: "" if isinstance(each, str) else type(each).__name__,
)
def test_what_cannot_be_walked_is_told_why_and_what_to_do(rows: Any, reason: str) -> None:
    assert why_not_walked(rows, database="default") == reason


@pytest.mark.parametrize(
    "rows",
    [
        Brand.objects.all(),
        Brand.objects.none(),
        Brand.objects.using("default").order_by("name").reverse(),
        Product.objects.filter(Q(brand__name="a") | Q(maker=None)).select_related("brand"),
        Product.objects.filter(tags__name="a").distinct(),
        Brand.objects.annotate(n=Count("products")).filter(n__gt=1).only("name"),
    ],
)
def test_what_can_be_walked(rows: Any) -> None:
    assert why_not_walked(rows, database="default") == ""


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (Brand.objects.all(), True),
        (Product.objects.filter(brand__name="a"), True),
        (Product.objects.select_related("brand"), True),
        (Product.objects.filter(brand__in=Brand.objects.filter(products=None)), True),
        (Product.objects.filter(detail__text="a"), True),
        (Product.objects.exclude(tags__name="a"), True),
        (Restaurant.objects.filter(name="a"), True),
        (Product.objects.annotate(of=F("brand__name")), True),
        (Product.objects.filter(tags__name="a"), False),
        (Brand.objects.filter(products__name="a"), False),
        (Product.objects.filter(supply__kind="a"), False),
        (Brand.objects.distinct(), False),
        (Brand.objects.annotate(n=Count("products")), False),
        (Brand.objects.extra(tables=["shop_tag"]), False),
    ],
)
def test_whether_each_object_is_one_row_of_the_query(rows: Any, expected: bool) -> None:
    assert comes_once(rows) is expected
