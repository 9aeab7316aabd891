"""``auto_now`` and ``auto_now_add``: the legacy value wins, an empty one becomes now."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from data_migration.migration import Migration
from tests.apps.shop.models import Stamped
from tests.support.engine import migrate, migrate_fine

pytestmark = pytest.mark.django_db

OLD = dt.datetime(2001, 2, 3, 4, 5, 6, tzinfo=dt.UTC)


def stamped(writer: str) -> type[Migration]:
    return type("StampedMigration", (Migration,), {"model": Stamped, "writer": writer})


def row(number: int, **changes: Any) -> dict[str, Any]:
    given = {
        "added": OLD,
        "changed": OLD,
        "added_on": OLD.date(),
        "changed_at": dt.time(4, 5, 6),
    }
    return {"id": number, "name": f"n{number}", **given, **changes}


def test_given_values_are_kept(writer: str) -> None:
    migrate_fine(stamped(writer), [row(1)])
    (found,) = Stamped.objects.values("added", "changed", "added_on", "changed_at")
    assert found == {
        "added": OLD,
        "changed": OLD,
        "added_on": OLD.date(),
        "changed_at": dt.time(4, 5, 6),
    }


def test_null_becomes_now_and_its_neighbours_are_kept(writer: str) -> None:
    nulls = {"added": None, "changed": None, "changed_at": None}
    result = migrate(stamped(writer), [row(1), row(2, **nulls)])
    assert result.told == [("2", name, "NULL") for name in nulls]
    first, second = Stamped.objects.order_by("id")
    assert (first.added, first.changed) == (OLD, OLD)
    assert abs(second.added - timezone.now()) < dt.timedelta(minutes=5)
    assert abs(second.changed - timezone.now()) < dt.timedelta(minutes=5)
    assert second.changed_at is not None
    assert second.added_on == OLD.date()


def test_columns_that_the_query_lacks_become_now(writer: str) -> None:
    migrate_fine(stamped(writer), [{"name": "x"}])
    assert abs(Stamped.objects.get().added - timezone.now()) < dt.timedelta(minutes=5)


def test_values_are_kept_beside_bad_rows(writer: str) -> None:
    result = migrate(stamped(writer), [row(1), row(2, name=None), row(3)])
    assert result.counts == {"created": 2, "failed": 1}
    assert set(Stamped.objects.values_list("added", "changed")) == {(OLD, OLD)}


def test_the_model_itself_goes_on_as_before(writer: str) -> None:
    migrate_fine(stamped(writer), [row(1)])
    mine = Stamped(name="mine", added=OLD)
    mine.save()
    Stamped.objects.bulk_create([Stamped(name="bulk", added=OLD, changed=OLD)])
    assert not Stamped.objects.exclude(pk=1).filter(added=OLD).exists()


def test_hook_after_save_moves_only_what_django_moves(writer: str) -> None:
    def hook_after_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
        instance.name = "hooked"
        instance.save(update_fields=["name"])

    migrate_fine(type("M", (stamped(writer),), {"hook_after_save": hook_after_save}), [row(1)])
    found = Stamped.objects.get()
    assert (found.name, found.added, found.changed) == ("hooked", OLD, OLD)
