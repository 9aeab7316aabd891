"""What newer Djangos leave to the database, and generic foreign keys."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connection

from data_migration import Migration, is_a
from tests.apps.modern.models import Computed, Slot
from tests.apps.remarks.models import Remark, Subject
from tests.support.engine import migrate, migrate_fine
from tests.support.undoing import undo

pytestmark = pytest.mark.django_db


def of(model: Any, **attributes: Any) -> type[Migration]:
    return type("Objects", (Migration,), {"model": model, "allow_updates": True, **attributes})


# ------------------------------------------------------------------ values of the database


def computed() -> list[tuple[str, str, str]]:
    return list(Computed.objects.order_by("pk").values_list("name", "loud", "state"))


def test_the_database_fills_in_what_the_row_does_not_give(writer: str) -> None:
    migration = of(Computed, writer=writer)
    rows = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
    migrate_fine(migration, rows)
    assert computed() == [("a", "A", "new"), ("b", "B", "new")]
    assert migrate_fine(migration, rows).counts == {"unchanged": 2}
    result = migrate_fine(migration, [rows[0] | {"name": "c"}, rows[1]])
    assert result.counts == {"updated": 1, "unchanged": 1}
    assert computed() == [("c", "C", "new"), ("b", "B", "new")]
    undo(migration, result.run)
    assert computed() == [("a", "A", "new"), ("b", "B", "new")]
    undo(migration)
    assert computed() == []


def test_a_value_of_the_row_comes_before_the_databases_default(writer: str) -> None:
    migrate_fine(of(Computed, writer=writer), [{"id": 1, "name": "a", "state": "old"}])
    assert computed() == [("a", "A", "old")]


def test_a_column_for_a_generated_field_is_refused() -> None:
    result = migrate(of(Computed), [{"id": 1, "name": "a", "loud": "x"}])
    assert "the query returns 'loud', which is no field of modern.Computed" in str(result.error)
    assert computed() == []


# ------------------------------------------------------------------ constraints


def slot(key: int, room: int, place: int, active: int = 1) -> dict[str, Any]:
    return {"id": key, "room": room, "place": place, "is_active": active}


@pytest.mark.skipif(
    not connection.features.supports_partial_indexes, reason="the database has no such constraint"
)
def test_a_row_against_a_conditional_constraint_fails_alone(writer: str) -> None:
    rows = [slot(1, 1, 1), slot(2, 1, 2, 0), slot(3, 1, 3), slot(4, 2, 4)]
    result = migrate(of(Slot, writer=writer), rows)
    assert result.counts == {"created": 3, "failed": 1}
    assert result.told[0][:2] == ("3", "room")


@pytest.mark.skipif(
    not connection.features.supports_table_check_constraints, reason="the database does not check"
)
def test_a_row_against_a_check_fails_alone(writer: str) -> None:
    result = migrate(of(Slot, writer=writer), [slot(1, 1, 1), slot(2, -1, 2)])
    assert result.counts == {"created": 1, "failed": 1}


@pytest.mark.skipif(
    not connection.features.supports_deferrable_unique_constraints,
    reason="the database does not defer",
)
def test_places_may_be_exchanged_under_a_deferrable_constraint(writer: str) -> None:
    migration = of(Slot, writer=writer)
    migrate_fine(migration, [slot(1, 1, 1), slot(2, 2, 2)])
    result = migrate_fine(migration, [slot(1, 1, 2), slot(2, 2, 1)])
    assert result.counts == {"updated": 2}
    undo(migration, result.run)
    assert list(Slot.objects.order_by("pk").values_list("place", flat=True)) == [1, 2]


# ------------------------------------------------------------------ generic foreign keys


REMARKS = {"content_type": is_a(ContentType, "model", fk=True)}


def test_a_generic_relation_comes_as_its_two_columns(writer: str) -> None:
    Subject.objects.create(pk=7, name="s")
    migration = of(Remark, writer=writer, column_description=REMARKS)
    rows = [{"id": 1, "text": "t", "content_type": "subject", "object_id": 7}]
    migrate_fine(migration, rows)
    assert Remark.objects.get().about == Subject.objects.get()
    assert migrate_fine(migration, rows).counts == {"unchanged": 1}
    result = migrate_fine(migration, [rows[0] | {"object_id": 8}])
    assert result.counts == {"updated": 1}
    undo(migration, result.run)
    assert Remark.objects.get().object_id == 7


def test_a_hook_may_give_the_object_itself(writer: str) -> None:
    subject = Subject.objects.create(name="s")

    def hook_before_transformation(self: Any, row: dict[str, Any]) -> None:
        row["about"] = subject

    migration = of(Remark, writer=writer, hook_before_transformation=hook_before_transformation)
    migrate_fine(migration, [{"id": 1, "text": "t"}])
    assert Remark.objects.get().about == subject


def test_a_value_that_is_no_object_fails_its_row_with_what_to_do() -> None:
    result = migrate(of(Remark), [{"id": 1, "text": "t", "about": 7}])
    assert result.counts == {"failed": 1}
    assert result.said[0][2] == (
        "about has no column of its own and takes an object: give content_type and object_id, or"
        " put the object into the row in hook_before_transformation()"
    )


def test_the_other_side_of_a_generic_relation_is_a_many_to_many(writer: str) -> None:
    kind = ContentType.objects.get_for_model(Subject)
    for number in (1, 2, 3):
        Remark.objects.create(pk=number, text=str(number), content_type=kind, object_id=99)
    described = {"remarks": is_a(Remark, "text", m2m=True, delimiter=",")}
    migration = of(Subject, writer=writer, column_description=described)
    rows = [{"id": 1, "name": "s", "remarks": "1,2"}]
    migrate_fine(migration, rows)
    assert set(Subject.objects.get().remarks.values_list("pk", flat=True)) == {1, 2}
    assert migrate_fine(migration, rows).counts == {"unchanged": 1}


def test_a_column_for_the_other_side_is_refused() -> None:
    result = migrate(of(Subject), [{"id": 1, "name": "s", "remarks": "1"}])
    assert "describe a many-to-many with is_a(..., m2m=True)" in str(result.error)
    assert not Subject.objects.exists()
