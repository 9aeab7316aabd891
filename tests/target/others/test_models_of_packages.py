"""django-simple-history, django-polymorphic, and the mixins of django-model-utils."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from data_migration import Migration, is_a
from data_migration.outcomes import Removed
from tests.support.engine import migrate, migrate_fine
from tests.support.undoing import undo

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def contracts(install: Any) -> Any:
    return install("versioned", "simple_history").Contract


@pytest.fixture(scope="module")
def shapes(install: Any) -> Any:
    return install("shapes", "polymorphic")


@pytest.fixture(scope="module")
def removable(install: Any) -> Any:
    return install("removable", "model_utils")


def of(model: Any, **attributes: Any) -> type[Migration]:
    return type("Objects", (Migration,), {"model": model, "allow_updates": True, **attributes})


A, B = [{"id": 1, "name": "a"}], [{"id": 1, "name": "b"}]


def history(contracts: Any) -> list[tuple[str, str]]:
    return list(contracts.history.order_by("history_id").values_list("history_type", "name"))


def test_history_has_each_import_and_update(contracts: Any) -> None:
    result = migrate_fine(of(contracts), A)
    assert (result.counts, result.step.writer) == ({"created": 1}, "save")
    assert migrate_fine(of(contracts), A).counts == {"unchanged": 1}
    assert migrate_fine(of(contracts), B).counts == {"updated": 1}
    assert history(contracts) == [("+", "a"), ("~", "b")]


def test_history_is_told_of_a_deletion_and_not_of_what_is_put_back(contracts: Any) -> None:
    migrate_fine(of(contracts), A)
    result = migrate_fine(of(contracts), B)
    undo(of(contracts), result.run)
    assert contracts.objects.get().name == "a"
    undo(of(contracts))
    assert history(contracts) == [("+", "a"), ("~", "b"), ("-", "a")]


def test_history_is_not_written_in_bulk(contracts: Any) -> None:
    migrate_fine(of(contracts, writer="bulk"), A)
    assert history(contracts) == []


def test_each_kind_of_a_polymorphic_model_has_a_migration(shapes: Any) -> None:
    circles = of(shapes.Circle)
    rows = [{"id": 1, "name": "a", "radius": 2}]
    result = migrate_fine(circles, rows)
    assert (result.counts, result.step.writer) == ({"created": 1}, "save")
    assert migrate_fine(circles, rows).counts == {"unchanged": 1}
    found = shapes.Shape.objects.get()
    assert (type(found), found.radius) == (shapes.Circle, 2)
    result = migrate_fine(circles, [rows[0] | {"name": "b", "radius": 3}])
    assert result.counts == {"updated": 1}
    undo(circles, result.run)
    found = shapes.Shape.objects.get()
    assert (found.name, found.radius) == ("a", 2)
    undo(circles)
    assert not shapes.Shape.objects.exists()


def test_the_base_of_a_polymorphic_model_is_itself_a_kind(shapes: Any) -> None:
    plain = of(shapes.Shape)
    migrate_fine(plain, A)
    assert type(shapes.Shape.objects.get()) is shapes.Shape
    assert migrate_fine(plain, B).counts == {"updated": 1}
    undo(plain)
    assert not shapes.Shape.objects.exists()


def test_what_is_marked_as_removed_is_found_and_updated(removable: Any, writer: str) -> None:
    members = of(removable.Member, writer=writer)
    migrate_fine(members, [A[0] | {"is_removed": 1}])
    assert not removable.Member.available_objects.exists()
    assert migrate_fine(members, [A[0] | {"is_removed": 1}]).counts == {"unchanged": 1}
    result = migrate_fine(members, [B[0] | {"is_removed": 0}])
    assert result.counts == {"updated": 1}
    assert removable.Member.available_objects.get().name == "b"
    undo(members, result.run)
    assert not removable.Member.available_objects.exists()
    undo(members)
    assert not removable.Member.all_objects.exists()


def test_what_a_person_removed_is_a_conflict_like_any_edit(removable: Any) -> None:
    members = of(removable.Member)
    migrate_fine(members, [A[0] | {"is_removed": 0}])
    removable.Member.available_objects.get().delete()
    result = migrate(members, [B[0] | {"is_removed": 0}])
    assert result.counts == {"updated": 1, "warnings": 1}
    assert removable.Member.all_objects.values_list("name", "is_removed").get() == ("b", True)


def test_relations_find_what_is_marked_as_removed(removable: Any) -> None:
    migrate_fine(of(removable.Member), [A[0] | {"is_removed": 1}])
    described = {"member": is_a(removable.Member, "name", fk=True)}
    letters = type("Letters", (of(removable.Letter, column_description=described),), {})
    migrate_fine(letters, [{"id": 1, "subject": "x", "member": "a"}])
    assert removable.Letter.objects.get().member_id == 1


def test_rows_that_are_gone_delete_for_good(removable: Any) -> None:
    members = of(removable.Member, removed=Removed.DELETE, removed_limit=100)
    both = [A[0], {"id": 2, "name": "c"}]
    migrate_fine(members, both)
    migrate_fine(members, A)
    assert list(removable.Member.all_objects.values_list("name", flat=True)) == ["a"]


def test_times_of_the_row_stay(removable: Any, writer: str) -> None:
    letters = of(removable.Letter, writer=writer)

    def stored() -> list[int]:
        letter = removable.Letter.objects.get()
        return [letter.created.year, letter.modified.year]

    row = {
        "id": 1,
        "subject": "a",
        "created": dt.datetime(2001, 5, 1, tzinfo=dt.UTC),
        "modified": dt.datetime(2002, 5, 1, tzinfo=dt.UTC),
    }
    migrate_fine(letters, [row])
    assert stored() == [2001, 2002]
    migrate_fine(letters, [row | {"subject": "b"}])
    assert stored() == [2001, 2002]
    changed = row | {"subject": "c", "modified": dt.datetime(2003, 5, 1, tzinfo=dt.UTC)}
    migrate_fine(letters, [changed])
    assert stored() == [2001, 2003]
    assert migrate_fine(letters, [changed]).counts == {"unchanged": 1}
