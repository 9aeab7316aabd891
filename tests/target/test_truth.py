"""Objects that say they are false (``__len__``, ``__bool__``) are there like all others."""

from __future__ import annotations

from typing import Any

import pytest

from data_migration import Migration, is_a, legacy
from data_migration.ledger import Ledger
from data_migration.plan.graph import build_plan
from data_migration.undo import Selection, roll_back
from tests.apps.shop.models import Box
from tests.support.engine import Rows, label_of, migrate, migrate_fine

pytestmark = pytest.mark.django_db


def boxes(writer: str, **attributes: Any) -> type[Migration]:
    described = {
        "inside": is_a(Box, "name", fk=True),
        "beside": is_a(Box, "name", m2m=True),
    }
    defaults = {
        **{"model": Box, "writer": writer, "allow_updates": True, "search_attr": "name"},
        **{"column_description": described, "removed_limit": 100},
    }
    return type("BoxMigration", (Migration,), defaults | attributes)


def rows(*names: str, inside: str | None = None, beside: str | None = None) -> Rows:
    return [{"name": name, "inside": inside, "beside": beside} for name in names]


def stored() -> dict[str, tuple[str | None, str]]:
    inside = dict(Box.objects.values_list("name", "inside__name"))
    beside: dict[str, str] = dict.fromkeys(inside, "")
    for name, other in Box.objects.values_list("name", "beside__name").order_by("beside__name"):
        beside[name] += other or ""
    return {name: (inside[name], beside[name]) for name in inside}


def test_a_tree_whose_rows_wait_for_their_parents(writer: str) -> None:
    data = rows("a", inside="b") + rows("b", inside="c", beside="a;c") + rows("c")
    assert migrate_fine(boxes(writer), data, batch_size=1).counts == {"created": 3}
    assert stored() == {"a": ("b", ""), "b": ("c", "ac"), "c": (None, "")}


def test_a_tree_with_objects_that_were_there(writer: str) -> None:
    Box.objects.create(name="b")
    data = rows("a", inside="c") + rows("b", inside="c", beside="a") + rows("c", inside="b")
    assert migrate_fine(boxes(writer), data).counts == {"created": 2, "updated": 1}
    assert stored() == {"a": ("c", ""), "b": ("c", "a"), "c": ("b", "")}


def test_an_update_a_conflict_and_an_unchanged_row(writer: str) -> None:
    migrate_fine(boxes(writer), rows("a", "b", "c", "d"))
    Box.objects.filter(name="b").update(inside=Box.objects.values("pk").get(name="d")["pk"])
    data = rows("a", "b", inside="c", beside="d") + rows("c", "d")
    result = migrate(boxes(writer), data)
    assert result.counts == {"updated": 2, "unchanged": 2, "warnings": 1}
    assert stored()["a"] == ("c", "d")
    assert stored()["b"] == ("d", "d")


def test_a_key_that_a_hook_sets(writer: str) -> None:
    outer = Box.objects.create(name="outer")

    def hook_before_save(self: Any, instance: Box, row: dict[str, Any]) -> None:
        instance.inside = outer

    migration = boxes(writer, hook_before_save=hook_before_save)
    migrate_fine(migration, rows("a"))
    assert stored()["a"] == ("outer", "")
    Box.objects.filter(name="a").update(inside=None)
    migrate(migration, rows("a", beside="a"))


def test_an_object_that_a_hook_puts_into_the_row(writer: str) -> None:
    outer = Box.objects.create(name="outer")

    def hook_before_transformation(self: Any, row: dict[str, Any]) -> None:
        row["inside"] = outer

    migration = boxes(writer, hook_before_transformation=hook_before_transformation)
    migrate_fine(migration, rows("a"))
    assert stored()["a"] == ("outer", "")


def test_an_object_that_a_hook_updates(writer: str) -> None:
    def hook_update_existing(self: Any, instance: Box, row: dict[str, Any]) -> None:
        instance.name = instance.name.upper()
        instance.save()

    migration = boxes(writer, hook_update_existing=hook_update_existing, legacy_key="nr")
    described = {**migration.column_description, "nr": is_a(exclude=True)}
    migration.column_description = described
    data = [row | {"nr": n} for n, row in enumerate(rows("a", "b", inside="b"))]
    migrate_fine(migration, data)
    assert migrate_fine(migration, data).counts == {"updated": 2}
    assert set(stored()) == {"A", "B"}


def test_an_object_that_a_person_deleted(writer: str) -> None:
    migrate_fine(boxes(writer), rows("a", "b"))
    Box.objects.filter(name="a").delete()
    assert migrate(boxes(writer), rows("a", "b")).counts["created"] == 1


def test_objects_whose_rows_are_gone_go_or_stay_with_a_message(writer: str) -> None:
    migrate_fine(boxes(writer), rows("a", "b", "c"))
    Box.objects.create(name="mine", inside_id=Box.objects.values("pk").get(name="b")["pk"])
    result = migrate(boxes(writer, removed="delete"), rows("a"))
    assert set(stored()) == {"a", "b", "mine"}
    assert [(kind, key) for kind, key, _ in result.said] == [("removed", '"b"')]
    assert "refers to it (inside)" in result.causes[0]
    again = migrate(boxes(writer, removed="report"), rows("a"))
    assert [(kind, key) for kind, key, _ in again.said] == [("removed", '"b"')]


def test_a_relation_that_is_filled_later(writer: str) -> None:
    described = {"inside": is_a(Box, legacy=True, fk=True, deferred=True)}
    migration = boxes(writer, column_description=described)
    data: Rows = [{"name": "a", "inside": "b"}, {"name": "b", "inside": None}]
    migrate_fine(migration, data)
    assert stored()["a"] == ("b", "")


def test_a_rollback_deletes_restores_and_creates_again(writer: str) -> None:
    migration = boxes(writer, removed="delete")
    migrate_fine(migration, rows("a", "b", inside="b", beside="a"))
    before = stored()
    run = migrate(migration, rows("b", "c", inside="c", beside="c")).run.pk
    plan = build_plan({label_of(migration): migration})
    roll_back(Selection(run=run), plan, Ledger("default"))
    assert stored() == before
    roll_back(Selection(), plan, Ledger("default"))
    assert stored() == {}


def test_old_keys_of_new_objects(writer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    migration = boxes(writer)
    migrate_fine(migration, rows("a"))
    monkeypatch.setattr(legacy, "discover", lambda: {label_of(migration): migration})
    box = legacy.resolve(label_of(migration), "a")
    assert box is not None
    assert legacy.legacy_key_of(box) == "a"


def test_a_row_that_fails_is_described(writer: str) -> None:
    result = migrate(boxes(writer), rows("a" * 60, "b"))
    if result.counts.get("failed"):  # SQLite stores whatever comes
        assert result.told[0][1] == "name"
    assert migrate(boxes(writer), rows("c", inside="nowhere")).counts == {"failed": 1}
