"""Models with a CompositePrimaryKey: recognised, updated, referred to by legacy key, undone."""

from __future__ import annotations

from typing import Any

import pytest

from data_migration import Migration, is_a
from data_migration.models import RowLink
from data_migration.outcomes import Mode, Removed
from tests.apps.modern.models import Seat, Tenant
from tests.support.engine import migrate, migrate_fine
from tests.support.undoing import undo

pytestmark = pytest.mark.django_db


def seats(writer: str = "auto", **attributes: Any) -> type[Migration]:
    defaults = {"model": Seat, "writer": writer, "allow_updates": True}
    return type("Seats", (Migration,), defaults | attributes)


@pytest.fixture(autouse=True)
def _tenants() -> None:
    Tenant.objects.bulk_create([Tenant(id=1, name="one"), Tenant(id=2, name="two")])


ROWS = [{"tenant": 1, "code": "a, b", "price": 5}, {"tenant": 2, "code": 'é"', "price": 6}]


def stored() -> list[tuple[Any, ...]]:
    return list(Seat.objects.order_by("tenant", "code").values_list("pk", "price"))


def test_its_parts_are_the_legacy_key_by_themselves(writer: str) -> None:
    migration = seats(writer)
    assert migrate_fine(migration, ROWS).counts == {"created": 2}
    assert list(RowLink.objects.order_by("key").values_list("key", "object_pk")) == [
        ('[1, "a, b"]', '["1", "a, b"]'),
        ('[2, "é\\""]', '["2", "é\\""]'),
    ]
    assert migrate_fine(migration, ROWS).counts == {"unchanged": 2}


def test_is_updated_and_put_back_and_deleted(writer: str) -> None:
    migration = seats(writer)
    migrate_fine(migration, ROWS)
    changed = [{**ROWS[0], "price": 50}, ROWS[1]]
    result = migrate_fine(migration, changed)
    assert result.counts == {"updated": 1, "unchanged": 1}
    assert stored() == [((1, "a, b"), 50), ((2, 'é"'), 6)]
    undo(migration, result.run)
    assert stored() == [((1, "a, b"), 5), ((2, 'é"'), 6)]
    undo(migration)
    assert stored() == []


def test_more_rows_than_a_batch_are_found_again() -> None:
    migration = seats(batch_size=1500)
    rows = [{"tenant": 1, "code": f"c{number}", "price": number} for number in range(1600)]
    migrate_fine(migration, rows)
    assert migrate_fine(migration, [{**row, "price": 0} for row in rows]).counts["updated"] > 1500
    undo(migration)
    assert stored() == []


def test_what_a_person_changed_is_kept() -> None:
    migration = seats()
    migrate_fine(migration, ROWS)
    Seat.objects.filter(pk=(1, "a, b")).update(price=99)
    result = migrate(migration, [{**ROWS[0], "price": 7}])
    assert result.counts == {"unchanged": 1, "warnings": 1}
    assert stored()[0] == ((1, "a, b"), 99)


def test_a_row_never_moves_an_object_to_another_key() -> None:
    migration = seats(legacy_key="nr", column_description={"nr": is_a(exclude=True)})
    migrate_fine(migration, [{"nr": 1, "tenant": 1, "code": "x", "price": 1}])
    migrate_fine(migration, [{"nr": 1, "tenant": 2, "code": "y", "price": 2}])
    assert stored() == [((1, "x"), 2)]


def test_a_missing_part_fails_the_row_and_names_it(writer: str) -> None:
    rows = [{"tenant": 1, "code": "a", "price": 0}, {"tenant": 1, "code": None, "price": 1}]
    result = migrate(seats(writer, legacy_key="price", allow_updates=False), rows)
    assert result.counts == {"created": 1, "failed": 1}
    assert result.told == [("1", "code", "NULL")]
    assert result.causes == ["NULL cannot identify an object"]


def test_rows_that_are_gone_take_their_objects_along() -> None:
    migration = seats(removed=Removed.DELETE, removed_limit=100)
    migrate_fine(migration, ROWS)
    result = migrate_fine(migration, ROWS[:1])
    assert result.counts == {"unchanged": 1, "removed": 1}
    assert stored() == [((1, "a, b"), 5)]
    undo(migration, result.run)
    assert stored() == [((1, "a, b"), 5), ((2, 'é"'), 6)]


def test_a_rehearsal_leaves_nothing() -> None:
    assert migrate_fine(seats(), ROWS, mode=Mode.REHEARSAL).counts == {"created": 2}
    assert stored() == []


def test_existing_objects_are_adopted_by_their_key() -> None:
    Seat.objects.create(tenant_id=1, code="a, b", price=1)
    result = migrate_fine(seats(), ROWS)
    assert result.counts == {"created": 1, "updated": 1}
    undo(seats())
    assert stored() == [((1, "a, b"), 1)]
