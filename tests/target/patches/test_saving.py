"""What was changed of the objects of a page is saved in bulk, and who is refused is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.files.base import ContentFile
from django.db import DatabaseError, connection, models
from django.db.models import F, FileField

from data_migration.patches.saving import Changes, Saved, Saving
from tests.apps.modern.models import Computed, Tenant
from tests.apps.modern.models import Seat as Composite
from tests.apps.shop.models import (
    Brand,
    Everything,
    Product,
    Restaurant,
    Seat,
    Stamped,
    Watched,
)
from tests.support.engine import Statements, statements

pytestmark = pytest.mark.django_db

CHECKS_KEYS_LATE = connection.vendor != "mysql"


def save(
    objects: list[Any], process: Callable[[Any], Any], *, but: set[int] = frozenset()
) -> Saved:  # type: ignore[assignment]
    changes = Changes(objects, Saving(database="default"))
    for item in objects:
        process(item)
    return changes.written(but=but)


def brands(number: int) -> list[Brand]:
    rows = [Brand(name="x", code=str(n), number=n) for n in range(number)]
    Brand.objects.bulk_create(rows)
    return list(Brand.objects.order_by("pk"))


def writing(ran: Statements) -> list[str]:
    return ran.starting("UPDATE", "INSERT", "DELETE", "SELECT")


def causes(saved: Saved) -> dict[Any, str]:
    assert all(isinstance(error, Exception) for _, error in saved.failed)
    return {getattr(item, "code", item.pk): str(error) for item, error in saved.failed}


# ------------------------------------------------------------------ what is written


def test_the_objects_that_changed_are_saved_in_one_statement_for_each_set_of_columns() -> None:
    def process(item: Brand) -> None:
        number = int(item.code)
        if number % 3 == 1:
            item.name = f"name {number}"
        if number % 3 == 2:
            item.name, item.number = f"both {number}", -number

    objects = brands(30)
    saving = Saving(database="default")
    for _ in range(2):  # what is asked of the server once is asked for the first page
        changes = Changes(objects, saving)
        for item in objects:
            process(item)
            item.name += "!"
        with statements() as ran:
            saved = changes.written()
        process = str  # type: ignore[assignment]

    assert saved == (30, 0, [])
    assert len(ran.starting("UPDATE")) == len(writing(ran)) == 1
    assert save(objects, lambda item: None) == (0, 30, [])
    stored = list(Brand.objects.order_by("pk").values_list("name", "number"))[:3]
    assert stored == [("x!!", 0), ("name 1!!", 1), ("both 2!!", -2)]


def test_only_the_columns_that_changed_are_written() -> None:
    objects = brands(3)
    Brand.objects.update(number=F("number") + 100)

    with statements() as ran:
        saved = save(objects, lambda item: setattr(item, "name", "y"))

    assert saved == (3, 0, [])
    assert len(ran.starting("UPDATE")) == 1
    assert set(Brand.objects.values_list("name", "number")) == {("y", n) for n in range(100, 103)}


def test_nothing_is_sent_where_nothing_changed() -> None:
    objects = brands(3)

    with statements() as ran:
        assert save(objects, lambda item: item.name.upper()) == (0, 3, [])
        assert Changes([], Saving(database="default")).written() == (0, 0, [])

    assert ran == []


def test_objects_that_failed_before_are_left_out() -> None:
    objects = brands(3)

    saved = save(objects, lambda item: setattr(item, "name", "y"), but={id(objects[1])})

    assert saved == (2, 0, [])
    assert [each.name for each in Brand.objects.order_by("pk")] == ["y", "x", "y"]


def test_expressions_are_written() -> None:
    saved = save(brands(3), lambda item: setattr(item, "number", F("number") + 100))

    assert saved == (3, 0, [])
    assert sorted(Brand.objects.values_list("number", flat=True)) == [100, 101, 102]


def test_no_signal_is_sent_and_no_time_is_set() -> None:
    sent: list[Any] = []

    def note(**signal: Any) -> None:
        sent.append(signal)

    models.signals.post_save.connect(note, sender=Watched)
    try:
        Watched.objects.create(name="x")
        sent.clear()
        assert save(list(Watched.objects.all()), lambda item: setattr(item, "name", "y")).updated
    finally:
        models.signals.post_save.disconnect(note, sender=Watched)
    assert sent == []
    times = [field.name for field in Stamped._meta.fields if getattr(field, "auto_now", False)]
    Stamped.objects.create(name="x")
    before = Stamped.objects.values_list(*times).get()
    assert save(list(Stamped.objects.all()), lambda item: setattr(item, "name", "y")).updated
    assert Stamped.objects.values_list(*times).get() == before


# ------------------------------------------------------------------ columns of any kind


def test_what_was_changed_in_place_is_written() -> None:
    rows = [Everything.objects.create(json={"a": [n]}) for n in range(3)]

    saved = save(rows, lambda item: item.json["a"].append(True))

    assert saved == (3, 0, [])
    found = Everything.objects.order_by("pk").values_list("json", flat=True)
    assert list(found) == [{"a": [n, True]} for n in range(3)]


@pytest.fixture
def media(settings: LazySettings, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = str(tmp_path)
    return tmp_path


def test_a_new_file_is_stored(media: Path) -> None:
    rows = [Everything.objects.create(file=f"{n}.txt") for n in range(3)]

    def process(item: Any) -> None:
        item.file = ContentFile(b"new", name=item.file.name)

    assert save(rows, process) == (3, 0, [])
    assert sorted(path.name for path in media.iterdir()) == ["0.txt", "1.txt", "2.txt"]

    def put(item: Any) -> None:
        item.file.save("other.txt", ContentFile(b"x"), save=False)

    assert isinstance(Everything._meta.get_field("file"), FileField)
    assert save(rows[:1], put) == (1, 0, [])
    assert Everything.objects.get(pk=rows[0].pk).file.name == "other.txt"


def test_deferred_columns_are_compared_with_what_is_stored() -> None:
    brands(4)
    objects = list(Brand.objects.only("name").order_by("pk"))

    def process(item: Brand) -> None:
        if item.pk == objects[0].pk:
            item.number = -1  # assigned, though it was never read
        elif item.pk == objects[1].pk:
            assert item.code == "1"  # read
        elif item.pk == objects[2].pk:
            item.number = item.number  # both, and the same

    changes = Changes(objects, Saving(database="default"))
    for item in objects:
        process(item)
    with statements() as ran:
        saved = changes.written()

    assert saved == (1, 3, [])
    assert len(ran.starting('SELECT "shop_brand"', "SELECT `shop_brand`")) == 1
    assert sorted(Brand.objects.values_list("number", flat=True)) == [-1, 1, 2, 3]


def test_foreign_keys_are_written_by_either_of_their_names() -> None:
    brand = Brand.objects.create(name="x", code="a")
    rows = [Product.objects.create(sku=str(n), name="x") for n in range(3)]

    def process(item: Product) -> None:
        if item.sku == "0":
            item.brand_id = brand.pk
        elif item.sku == "1":
            item.brand = brand
        else:
            item.maker = Brand(name="new", code="b")
            item.maker.save()

    assert save(rows, process) == (3, 0, [])
    assert list(Product.objects.order_by("sku").values_list("brand", "maker")) == [
        (brand.pk, None),
        (brand.pk, None),
        (None, "b"),
    ]


def test_an_unsaved_object_in_a_relation_fails_its_object_alone() -> None:
    rows = [Product.objects.create(sku=str(n), name="x") for n in range(3)]

    def process(item: Product) -> None:
        item.name = "y"
        if item.sku == "1":
            item.brand = Brand(name="new")

    saved = save(rows, process)

    assert (saved.updated, saved.unchanged) == (2, 0)
    assert causes(saved) == {
        rows[1].pk: "process() prohibited to prevent data loss due to unsaved related object"
        " 'brand'."
    }


def test_objects_of_several_tables_and_with_keys_of_several_columns_are_saved() -> None:
    places = [Restaurant.objects.create(name="x", stars=1) for _ in range(3)]
    tenant = Tenant.objects.create(name="x")
    seats = [Composite.objects.create(tenant=tenant, code=code) for code in "abc"]

    def process(item: Any) -> None:
        if isinstance(item, Restaurant):
            item.name, item.stars = "y", 5
        else:
            item.price = 7

    assert save([*places, *seats], process) == (6, 0, [])
    assert set(Restaurant.objects.values_list("name", "stars")) == {("y", 5)}
    assert set(Composite.objects.values_list("price", flat=True)) == {7}


def test_a_column_that_the_database_computes_is_left_alone() -> None:
    rows = [Computed.objects.create(name=name) for name in "ab"]
    for each in rows:
        each.refresh_from_db()

    assert save(rows, lambda item: setattr(item, "name", item.name * 2)) == (2, 0, [])
    assert sorted(Computed.objects.values_list("loud", flat=True)) == ["AA", "BB"]


# ------------------------------------------------------------------ who is refused


def test_the_object_that_is_refused_is_found_and_the_others_are_written() -> None:
    objects = brands(100)
    Brand.objects.create(name="x", code="taken")

    def process(item: Brand) -> None:
        item.name = "y"
        item.code = "taken" if item.code in ("20", "77") else f"new {item.code}"

    with statements() as ran:
        saved = save(objects, process)

    assert (saved.updated, saved.unchanged) == (98, 0)
    assert [item.pk for item, _ in saved.failed] == sorted(objects[n].pk for n in (20, 77))
    said = {str(error).partition(" (")[0] for _, error in saved.failed}
    assert said == {"code: Brand with this Code already exists"}
    assert all("Error: " in str(error) for _, error in saved.failed)
    assert Brand.objects.filter(name="y").count() == 98
    # Two for each halving at most, for each of the two, and one more try when all is written.
    assert len(ran.starting("UPDATE")) < 40


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite keeps any length")
def test_a_text_that_is_too_long_is_blamed_on_its_field() -> None:
    def process(item: Brand) -> None:
        item.name = "y" * (51 if item.code == "3" else 50)

    saved = save(brands(8), process)

    assert saved.updated == 7
    (cause,) = causes(saved).values()
    assert cause.startswith(
        "name: Ensure this value has at most 50 characters (it has 51) (DataError: "
    )


def test_a_value_that_the_field_refuses_fails_its_object_alone() -> None:
    def process(item: Brand) -> None:
        item.number = "many" if item.code == "3" else 50 + int(item.code)  # type: ignore[assignment]

    saved = save(brands(8), process)

    assert saved.updated == 7
    assert causes(saved) == {
        "3": "Field 'number' expected a number but got 'many'.",
    }


def test_a_value_that_may_not_be_null_is_blamed_on_its_field() -> None:
    saved = save(brands(4), lambda item: setattr(item, "name", None if item.code == "2" else "y"))

    assert saved.updated == 3
    assert causes(saved)["2"].startswith("name: name may not be NULL (IntegrityError: ")


def test_a_foreign_key_that_leads_nowhere_is_blamed_on_its_object() -> None:
    brand = Brand.objects.create(name="x", code="a")
    rows = [Product.objects.create(sku=str(n), name="x") for n in range(8)]

    def process(item: Product) -> None:
        item.brand_id = 10**6 if item.sku == "5" else brand.pk
        item.maker_id = "?" if item.sku == "6" else None

    with statements() as ran:
        saved = save(rows, process)

    assert saved.updated == 6
    assert [item.pk for item, _ in saved.failed] == [rows[5].pk, rows[6].pk]
    first, second = (str(error) for _, error in saved.failed)
    assert first.startswith("brand: no shop.Brand has id = 1000000")
    assert second.startswith("maker: no shop.Brand has code = '?'")
    if CHECKS_KEYS_LATE:  # one look at the brands for each relation and set of columns
        assert len(ran.starting("UPDATE")) == 1
        assert len(ran.starting('SELECT "shop_brand"')) == 3


def test_one_may_take_the_value_that_another_gives_up() -> None:
    objects = brands(6)

    def process(item: Brand) -> None:
        item.code = str(int(item.code) + 1)

    assert save(objects, process) == (6, 0, [])
    assert sorted(Brand.objects.values_list("code", flat=True)) == list("123456")

    objects = list(Brand.objects.order_by("pk"))

    def back(item: Brand) -> None:
        item.code = str(int(item.code) - 1)

    assert save(objects, back) == (6, 0, [])
    assert sorted(Brand.objects.values_list("code", flat=True)) == list("012345")


@pytest.mark.skipif(connection.vendor != "postgresql", reason="no other checks it at the commit")
def test_what_is_checked_at_the_commit_is_checked_with_the_page() -> None:
    rows = [Seat.objects.create(name="x", place=place) for place in range(6)]

    def process(item: Seat) -> None:
        item.place = {0: 1, 1: 0, 4: 2**40}.get(item.place, item.place)

    saved = save(rows, process)

    assert (saved.updated, saved.unchanged) == (2, 3)
    assert [item.pk for item, _ in saved.failed] == [rows[4].pk]
    assert list(Seat.objects.order_by("pk").values_list("place", flat=True)) == [1, 0, 2, 3, 4, 5]


def test_a_row_that_is_gone_fails_its_object() -> None:
    objects = brands(6)

    def process(item: Brand) -> None:
        item.name = "y"
        if item.code == "3":
            Brand.objects.filter(pk=item.pk).delete()

    saved = save(objects, process)

    assert saved.updated == 5
    assert causes(saved) == {"3": "its row is gone, or a trigger of the database keeps it"}


def test_an_object_that_was_deleted_is_done_with() -> None:
    objects = brands(4)

    def process(item: Brand) -> None:
        if item.code == "1":
            item.delete()

    assert save(objects, process) == (1, 3, [])


def test_an_object_whose_key_was_changed_fails_and_keeps_its_key() -> None:
    objects = brands(3)
    keys = [each.pk for each in objects]

    def process(item: Brand) -> None:
        item.name = "y"
        if item.code == "1":
            item.pk = 10**6
        if item.code == "2":
            item.pk = None

    saved = save(objects, process)

    assert saved.updated == 1
    assert [item.pk for item, _ in saved.failed] == keys[1:]
    why = (
        "Saved under another key it would be another object: create that one, and delete this one"
    )
    assert causes(saved) == {
        "1": f"its key was changed from {keys[1]} to 1000000. {why}",
        "2": f"its key was changed from {keys[2]} to None. {why}",
    }
    assert Brand.objects.count() == 3


# ------------------------------------------------------------------ nobody's fault


def test_a_fault_of_the_database_is_no_objects() -> None:
    objects = brands(4)

    ran: list[str] = []

    def lose_table(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("UPDATE"):
            ran.append(sql)
            sql = sql.replace("shop_brand", "no_such_table")
        return execute(sql, *rest)

    with connection.execute_wrapper(lose_table), pytest.raises(DatabaseError):
        save(objects, lambda item: setattr(item, "name", "y"))

    assert len(ran) == 1
