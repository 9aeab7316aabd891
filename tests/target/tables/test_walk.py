"""The objects of a queryset in pages by key: each once, none left out, nobody in between."""

from __future__ import annotations

import datetime as dt
import itertools
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, connection, connections, models, transaction
from django.db.models import Count, F, QuerySet
from hypothesis import given, settings
from hypothesis import strategies as st

from data_migration.exceptions import SpecError
from data_migration.tables.walk import Page, Walk
from tests.apps.modern.models import Seat, Tenant
from tests.apps.shop.models import (
    Brand,
    Product,
    Restaurant,
    Tag,
)
from tests.support.engine import Statements, statements, undone
from tests.support.examples import examples

pytestmark = pytest.mark.django_db

LOCKS = connection.vendor != "sqlite"


def walk(rows: Any, *, wants_objects: bool = True) -> Walk:
    return Walk(rows, database="default", wants_objects=wants_objects)


def pages(walk: Walk, size: int) -> Iterator[Page]:
    after, upper = None, walk.upper()
    while (page := walk.page(after, upper, size)).keys:
        yield page
        after = walk.from_text(walk.to_text(page.keys[-1]))


def walked(rows: Any, size: int = 2) -> list[Any]:
    found = list(pages(walk(rows), size))
    assert all(len(page.keys) == size for page in found[:-1])
    assert [page.keys for page in pages(walk(rows, wants_objects=False), size)] == [
        page.keys for page in found
    ]
    return [item.pk for page in found for item in page.objects]


# ------------------------------------------------------------------ keys of any kind


@contextmanager
def keyed_by(field: models.Field[Any, Any]) -> Iterator[type[models.Model]]:
    """A table whose key is ``field``."""

    class Meta:
        app_label = "shop"
        db_table = f"shop_keyed_{uuid.uuid4().hex[:8]}"

    name = f"Keyed{Meta.db_table[-8:]}"
    model: Any = type(name, (models.Model,), {"__module__": __name__, "Meta": Meta, "id": field})
    try:
        with connection.schema_editor() as editor:
            editor.create_model(model)
        yield model
    finally:
        with connection.schema_editor() as editor:
            editor.delete_model(model)
        del model._meta.apps.all_models["shop"][name.lower()]
        model._meta.apps.clear_cache()


KEYS: dict[str, tuple[Any, list[Any]]] = {
    "negative": (models.BigIntegerField, [-(2**62), -10, -9, -1, 0, 1, 9, 10, 2**62]),
    "text": (
        models.CharField,
        ["", " x", "10", "9", "A", "B", "a", "b", "é", "z", "ß", "😀", "%"],
    ),
    "uuid": (models.UUIDField, [uuid.UUID(int=n * 2**100 + n) for n in range(9)]),
    "decimal": (
        models.DecimalField,
        list(map(Decimal, ("-1.50", "0.00", "0.01", "9.00", "10.00", "99.00"))),
    ),
    "date": (models.DateField, [dt.date(1, 1, 1), *(dt.date(2024, n, 3) for n in range(1, 8))]),
    "date_time": (
        models.DateTimeField,
        [dt.datetime(2024, 10, 27, 0, n, 0, n, dt.UTC) for n in range(7)],
    ),
    "time": (models.TimeField, [dt.time(n, 0, 0, n) for n in range(7)]),
    "duration": (
        models.DurationField,
        [dt.timedelta(days=n, microseconds=n) for n in range(-3, 3)],
    ),
    "address": (
        models.GenericIPAddressField,
        ["10.0.0.1", "9.0.0.1", "::1", "fe80::1", "1.1.1.1"],
    ),
}
OPTIONS: dict[str, Any] = {
    "text": {"max_length": 20},
    "decimal": {"max_digits": 9, "decimal_places": 2},
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", KEYS)
def test_a_walk_goes_by_keys_of_any_type(kind: str) -> None:
    make, keys = KEYS[kind]
    with keyed_by(make(primary_key=True, **OPTIONS.get(kind, {}))) as model:
        rows: Any = model._default_manager
        rows.bulk_create([model(pk=key) for key in keys])
        with transaction.atomic():
            found = walked(rows.all())
        assert sorted(map(str, found)) == sorted(map(str, keys))
        assert found == list(rows.order_by("pk").values_list("pk", flat=True))


@pytest.mark.skipif(connection.vendor != "mysql", reason="no other compares texts like this")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("collation", ["utf8mb4_general_ci", "utf8mb4_unicode_ci", "utf8mb4_bin"])
def test_a_walk_follows_the_collation_of_the_key(collation: str) -> None:
    field = models.CharField(primary_key=True, max_length=20, db_collation=collation)
    keys = ["a", "B", "c", "É", "f", "ä1", "A2", "b3", "_", "Z", "1", ""]
    with keyed_by(field) as model:
        rows: Any = model._default_manager
        rows.bulk_create([model(pk=key) for key in keys])
        with transaction.atomic():
            assert sorted(walked(rows.all(), 3)) == sorted(keys)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="no other sorts by a locale")
@pytest.mark.django_db(transaction=True)
def test_a_walk_follows_the_locale_of_the_key() -> None:
    field = models.CharField(primary_key=True, max_length=20, db_collation="und-x-icu")
    keys = ["a", "B", "c", "É", "f", "ä1", "A2", "b3", "_", "Z", "1", ""]
    with keyed_by(field) as model:
        rows: Any = model._default_manager
        rows.bulk_create([model(pk=key) for key in keys])
        with transaction.atomic():
            assert sorted(walked(rows.all(), 3)) == sorted(keys)


def test_a_walk_goes_by_a_key_of_several_columns() -> None:
    tenants = [Tenant.objects.create(name="x") for _ in range(3)]
    for tenant, code in itertools.product(tenants, ("b", "a", "c")):
        Seat.objects.create(tenant=tenant, code=code)
    rows = Seat.objects.all()
    found = walked(rows.select_related("tenant"), 2)

    assert found == [(tenant.pk, code) for tenant in tenants for code in "abc"]
    first, last = found[1], found[6]
    assert walk(rows).total(first, last) == 5
    assert walk(rows).upper() == found[-1]


def test_a_walk_goes_by_a_key_that_is_a_relation() -> None:
    places = [Restaurant.objects.create(name=name, stars=1) for name in "cab"]

    assert walked(Restaurant.objects.all()) == [each.pk for each in places]
    assert walked(Restaurant.objects.filter(name__gt="a")) == [places[0].pk, places[2].pk]
    assert walked(Restaurant.objects.only("stars")) == [each.pk for each in places]


# ------------------------------------------------------------------ querysets of any kind


def products(number: int = 5) -> list[Product]:
    tags = [Tag.objects.create(name=name) for name in ("a", "a", "b")]
    brand = Brand.objects.create(name="x", code="1")
    found = [
        Product.objects.create(sku=str(n), name="x", brand=brand if n % 2 else None)
        for n in range(number)
    ]
    for each in found:
        each.tags.set(tags)
    return found


def test_an_object_that_a_join_brings_several_times_comes_once() -> None:
    keys = [each.pk for each in products()]
    rows = Product.objects.filter(tags__name="a")

    assert rows.count() == 10
    assert walked(rows) == keys
    assert walk(rows).total(None, keys[-1]) == 5
    assert [item.pk for item in walk(rows).only(keys[:2]).again()] == keys[:2]
    assert walk(rows, wants_objects=False).only(keys[:3]).keys == keys[:3]


def test_the_users_own_order_counts_for_nothing() -> None:
    keys = [each.pk for each in products()]

    assert walked(Product.objects.order_by("-sku")) == keys
    assert walked(Product.objects.order_by("tags__name", "?")) == keys
    assert walked(Product.objects.all().reverse()) == keys


@pytest.mark.parametrize("kind", ["distinct", "groups", "joins", "subquery", "manager"])
def test_querysets_that_cannot_be_locked_as_they_are_are_walked_as_well(kind: str) -> None:
    keys = [each.pk for each in products()]
    every: dict[str, Any] = {
        "distinct": Product.objects.distinct(),
        "groups": Product.objects.annotate(n=Count("tags")).filter(n=3),
        "joins": Product.objects.annotate(of=F("brand__name")).exclude(brand__name="y"),
        "subquery": Product.objects.filter(pk__in=Product.objects.filter(tags__name="b")),
        "manager": Product.objects,
    }

    assert walked(every[kind]) == keys
    if kind == "groups":
        (page, *_) = pages(walk(every[kind]), 9)
        assert {item.n for item in page.objects} == {3}


def test_what_is_selected_or_prefetched_along_needs_no_query_of_its_own() -> None:
    products()
    rows = Product.objects.select_related("brand", "maker").prefetch_related("tags")
    for each in (rows, rows.filter(tags__name="b"), rows.annotate(n=Count("tags"))):
        (page, *_) = pages(walk(each), 9)

        with statements() as ran:
            found = [
                (item.brand and item.brand.code, len(item.tags.all())) for item in page.objects
            ]

        assert ran == []
        assert found == [(None, 3), ("1", 3), (None, 3), ("1", 3), (None, 3)]


def test_nothing_is_walked_where_there_is_nothing() -> None:
    for rows in (Brand.objects.all(), Brand.objects.none(), Brand.objects.distinct()):
        nothing = walk(rows)
        assert (nothing.upper(), nothing.lower(None, None), nothing.total(None, None)) == (
            None,
            None,
            0,
        )
        assert nothing.page(None, None, 5).keys == nothing.only([]).keys == []


def test_what_cannot_be_walked_is_refused() -> None:
    with pytest.raises(SpecError, match="is sliced"):
        walk(Brand.objects.all()[:5])


# ------------------------------------------------------------------ pages


@settings(max_examples=examples(40))
@given(gone=st.lists(st.booleans(), min_size=12, max_size=12), size=st.integers(1, 5))
def test_a_queryset_that_shrinks_as_it_is_processed_loses_nothing(
    gone: list[bool], size: int
) -> None:
    with undone():
        Brand.objects.bulk_create([Brand(name="", code=str(n)) for n in range(12)])
        rows = Brand.objects.filter(name="")
        seen = []
        for page in pages(walk(rows), size):
            for item in page.objects:
                if gone[int(item.code)]:
                    Brand.objects.filter(pk=item.pk).update(name="done")
                seen.append(int(item.code))
        assert seen == list(range(12))


def test_rows_that_are_made_meanwhile_are_above_the_upper_key() -> None:
    for code in "123":
        Brand.objects.create(name="x", code=code)
    seen = []
    for page in pages(walk(Brand.objects.all()), 2):
        for item in page.objects:
            seen.append(item.code)
            Brand.objects.create(name="x", code=f"of {item.code}")

    assert seen == ["1", "2", "3"]


def test_a_page_keeps_to_its_bounds() -> None:
    keys = [Brand.objects.create(name="x", code=str(n)).pk for n in range(6)]
    ours = walk(Brand.objects.all())

    assert ours.page(keys[0], keys[4], 9).keys == keys[1:5]
    assert ours.page(None, keys[4], 9, lower=keys[2], below=keys[4]).keys == keys[2:4]
    assert ours.total(keys[0], keys[4]) == 4
    assert ours.total(keys[0], keys[4], below=keys[3]) == 2
    assert ours.lower(keys[0], keys[4]) == keys[1]


# ------------------------------------------------------------------ queries and locks


def queries(rows: QuerySet[Any]) -> Statements:
    with statements() as ran:
        assert walk(rows).page(None, None, 100).keys
    return ran


def locking(ran: Statements) -> list[str]:
    return [sql for sql in ran if " FOR " in sql and " UPDATE" in sql]


def test_a_page_is_one_query_wherever_the_database_can_lock_it() -> None:
    products()

    assert len(queries(Product.objects.filter(name="x"))) == 1
    assert len(queries(Product.objects.only("sku").order_by("name"))) == 1
    # MariaDB would lock the brands as well.
    own = 1 if connection.features.has_select_for_update_of or not LOCKS else 3
    assert len(queries(Product.objects.select_related("brand"))) == own
    assert len(queries(Product.objects.exclude(brand__name="y"))) == own
    assert len(queries(Product.objects.filter(tags__name="a"))) == (3 if LOCKS else 2)


@pytest.mark.skipif(connection.vendor != "mysql", reason="no other reads old rows unseen")
def test_where_a_transaction_may_read_old_rows_they_are_read_with_a_lock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    products()
    rows = Product.objects.filter(tags__name="a")

    assert len(locking(queries(rows))) == 1
    monkeypatch.setattr(connections["default"], "isolation_level", "repeatable read")
    assert len(locking(queries(rows))) == 2


@pytest.mark.skipif(not LOCKS, reason="SQLite has one writer, and no locks of rows")
def test_only_the_rows_of_the_model_are_locked() -> None:
    products()

    for rows in (
        Product.objects.all(),
        Product.objects.select_related("brand"),
        Product.objects.filter(tags__name="a").select_related("brand"),
        Product.objects.annotate(n=Count("tags")),
    ):
        (sql,) = locking(queries(rows))
        assert "JOIN" not in sql or 'OF "shop_product"' in sql or "OF `shop_product`" in sql
    assert (
        "skip" not in locking(queries(Product.objects.select_for_update(nowait=True)))[0].lower()
    )


@contextmanager
def others_edit(keys: list[Any]) -> Iterator[None]:
    """After the keys of a page were read, and before their rows are locked, they are edited."""

    def edit(execute: Any, sql: str, *rest: Any) -> Any:
        result = execute(sql, *rest)
        if waiting and sql.startswith("SELECT DISTINCT"):
            waiting.clear()
            Product.objects.filter(pk__in=keys).update(name="edited")
        return result

    waiting = [True]
    with connection.execute_wrapper(edit):
        yield
    assert not waiting


def test_what_others_changed_before_it_was_locked_is_asked_for_again() -> None:
    keys = [each.pk for each in products()]
    ours = walk(Product.objects.filter(tags__name="a", name="x"))

    with others_edit([keys[0]]):
        page = ours.page(None, keys[-1], 2)
    assert page.keys == [item.pk for item in page.objects] == [keys[1]]
    with others_edit(keys[2:4]):  # all that would have come: it is not the end
        page = ours.page(keys[1], keys[-1], 2)
    assert page.keys == [keys[4]]


@pytest.mark.skipif(not LOCKS, reason="SQLite has one writer, and no locks of rows")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["plain", "related", "joins", "groups"])
@pytest.mark.parametrize("wants_objects", [True, False])
def test_nobody_else_changes_the_objects_of_a_page(kind: str, wants_objects: bool) -> None:
    keys = [each.pk for each in products()]
    rows = {
        "plain": Product.objects.all(),
        "related": Product.objects.select_related("brand"),
        "joins": Product.objects.filter(tags__name="a"),
        "groups": Product.objects.annotate(n=Count("tags")),
    }[kind]
    wait = "FOR UPDATE NOWAIT"
    other: Any = connection.copy()
    try:
        with transaction.atomic():
            assert walk(rows, wants_objects=wants_objects).page(None, None, 2).keys == keys[:2]
            with other.cursor() as cursor:
                cursor.execute(f"SELECT 1 FROM shop_product WHERE id = {keys[2]} {wait}")
                cursor.execute(f"SELECT 1 FROM shop_brand {wait}")
                with pytest.raises(DatabaseError):
                    cursor.execute(f"SELECT 1 FROM shop_product WHERE id = {keys[1]} {wait}")
    finally:
        other.close()
