"""A constraint that is checked at the commit: the row fails that breaks it, and no other."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, transaction

from data_migration.migration import Migration
from data_migration.outcomes import Mode
from tests.apps.shop.models import Product, Seat, Tag
from tests.support.engine import Rows, migrate, migrate_fine
from tests.support.writers import WRITERS

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="only PostgreSQL has them"),
]
every_writer = pytest.mark.parametrize("writer", WRITERS)


def seats(writer: str = "auto", **attributes: Any) -> type[Migration]:
    return type("M", (Migration,), {"model": Seat, "writer": writer, **attributes})


def places(*numbers: int) -> Rows:
    return [{"id": n, "name": f"guest {n}", "place": place} for n, place in enumerate(numbers, 1)]


def seated() -> list[int]:
    return list(Seat.objects.order_by("pk").values_list("place", flat=True))


@every_writer
@pytest.mark.parametrize("mode", [Mode.COMMIT, Mode.REHEARSAL, Mode.ATOMIC])
def test_the_row_that_breaks_it_fails_and_the_others_are_written(writer: str, mode: Mode) -> None:
    Seat.objects.create(pk=99, name="there before", place=7)
    result = migrate(seats(writer), places(1, 2, 7, 4, 2), mode=mode)

    assert result.error is None
    assert result.counts == {"created": 3, "failed": 2}
    assert [told[:2] for told in result.told] == [("3", "row"), ("5", "row")]
    assert all("one_each" in cause for cause in result.causes)
    assert len(seated()) == (1 if mode == Mode.REHEARSAL else 4)


@every_writer
def test_so_it_is_without_a_key(writer: str) -> None:
    result = migrate(seats(writer, legacy_key=()), places(1, 2, 2, 4))
    assert (result.error, result.counts) == (None, {"created": 3, "failed": 1})


@every_writer
@pytest.mark.parametrize(
    "later",
    [(2, 1, 3, 4), (2, 3, 4, 1), (2, 3, 4, 5), (9, 1, 2, 3)],
    ids=["exchange", "round", "up", "down"],
)
def test_people_may_change_places(writer: str, later: tuple[int, ...]) -> None:
    cls = seats(writer, allow_updates=True)
    migrate_fine(cls, places(1, 2, 3, 4))
    migrate_fine(cls, places(*later))
    assert seated() == list(later)


@every_writer
def test_a_row_that_stays_in_the_way_hinders_nobody_else(writer: str) -> None:
    cls = seats(writer, allow_updates=True)
    migrate_fine(cls, places(1, 2, 3, 4))
    Seat.objects.create(pk=99, name="there before", place=7)

    result = migrate(cls, places(2, 3, 7, 5))

    # Guest 3 keeps her place, so guest 2 cannot move either.
    assert (result.error, result.counts["failed"]) == (None, 3)
    assert seated() == [1, 2, 3, 5, 7]


@every_writer
def test_a_hook_runs_on_what_the_row_was_before(writer: str) -> None:
    def hook_after_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
        row["note"] = row.get("note", "") + "x"
        noted[instance.pk] = row["note"]
        Tag.objects.create(name=instance.name)

    noted: dict[int, str] = {}
    result = migrate(seats(writer, hook_after_save=hook_after_save), places(1, 2, 2, 4))
    assert result.counts == {"created": 3, "failed": 1}
    assert set(noted.values()) == {"x"}
    assert Tag.objects.count() == 3


def execute(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@every_writer
def test_so_is_one_that_django_knows_nothing_of(writer: str) -> None:
    execute(
        "ALTER TABLE shop_product ADD CONSTRAINT once EXCLUDE (name WITH =)"
        " DEFERRABLE INITIALLY DEFERRED"
    )
    try:
        rows = [{"id": n, "sku": str(n), "name": name} for n, name in enumerate("abca", 1)]
        cls = type("M", (Migration,), {"model": Product, "writer": writer})
        result = migrate(cls, rows)
    finally:
        execute("ALTER TABLE shop_product DROP CONSTRAINT once")
    assert (result.error, result.counts) == (None, {"created": 3, "failed": 1})
    assert result.told == [("4", "", "")]
    assert "once" in result.causes[0]


def test_the_session_checks_at_the_commit_again() -> None:
    migrate_fine(seats(), places(1, 2))
    with transaction.atomic():
        migrate(seats(), places(1, 2, 2))
        Seat.objects.filter(pk=1).update(place=2)
        Seat.objects.filter(pk=2).update(place=1)
    assert seated()[:2] == [2, 1]
