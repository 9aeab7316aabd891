"""Both sides change the same rows: what is merged, who wins, and that nothing comes back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import LazySettings

from data_migration.models import Outgoing, RowLink
from data_migration.sync import Mapping
from tests.apps.shop.models import Everything
from tests.support.memory_remote import Remote, forget_remotes, remote_of
from tests.support.syncing import synced, syncs_of

pytestmark = pytest.mark.django_db

FIELDS = {"name": "text", "qty": "integer"}
OBJECT = "Thing"


@pytest.fixture
def atlas(settings: LazySettings) -> Remote:
    settings.DATA_MIGRATION_CONNECTORS = {
        "atlas": {"CONNECTOR": "tests.support.memory_remote.MemoryRemote", "HOST": "atlas"}
    }
    forget_remotes()
    return remote_of("atlas")


def mapping(**attributes: Any) -> type[Mapping]:
    own = {"objectname": OBJECT, "model": Everything, "fields": FIELDS, "changed": "updated_at"}
    return type("Things", (Mapping,), {**own, **attributes})


def linked(atlas: Remote, things: type[Mapping]) -> Any:
    """A row that both sides have: "Anvil", 1."""
    syncs = syncs_of(things)
    Everything.objects.create(text="Anvil", integer=1)
    assert synced(syncs).push(things) == {"created": 1}
    return syncs


def here() -> tuple[Any, Any]:
    found: tuple[Any, Any] = Everything.objects.values_list("text", "integer").get()
    return found


def there(atlas: Remote) -> tuple[Any, Any]:
    (row,) = atlas.rows(OBJECT)
    return row["name"], row["qty"]


def change_there(atlas: Remote, **values: Any) -> None:
    (row,) = atlas.rows(OBJECT)
    atlas.put(OBJECT, {"id": row["id"], **values})


@pytest.mark.parametrize("policy", ["keep", "overwrite", "newest", "report"])
def test_different_fields_are_merged_whatever_the_policy_is(atlas: Remote, policy: str) -> None:
    things = mapping(on_conflict=policy, changed_here="date_time")
    syncs = linked(atlas, things)
    Everything.objects.update(text="Amboss", date_time=datetime(2026, 1, 1, tzinfo=UTC))
    change_there(atlas, qty=7)
    done = synced(syncs)
    assert done.messages == []
    assert here() == there(atlas) == ("Amboss", 7)
    assert (done.pull(things), done.push(things)) == ({"updated": 1}, {"updated": 1})


@pytest.mark.parametrize(
    ("policy", "ours_is_newer", "left"),
    [
        ("keep", False, "ours"),
        ("overwrite", True, "theirs"),
        ("newest", True, "ours"),
        ("newest", False, "theirs"),
    ],
)
def test_a_field_that_both_changed_goes_by_the_policy(
    atlas: Remote, policy: str, ours_is_newer: bool, left: str
) -> None:
    things = mapping(on_conflict=policy, changed_here="date_time")
    syncs = linked(atlas, things)
    change_there(atlas, name="theirs")
    at = atlas.now() + timedelta(hours=1 if ours_is_newer else -1)
    Everything.objects.update(text="ours", date_time=at)
    synced(syncs)
    assert here() == there(atlas) == (left, 1)
    assert synced(syncs).written == {}


def test_a_reported_conflict_waits_and_the_other_fields_go_on(atlas: Remote) -> None:
    things = mapping(on_conflict="report")
    syncs = linked(atlas, things)
    Everything.objects.update(text="ours", integer=1)
    change_there(atlas, name="theirs", qty=9)
    done = synced(syncs)
    assert [(kind, column) for kind, _, column, _ in done.messages] == [("conflict", "text")]
    for _ in range(2):  # it is told once, and waits as long as it takes
        assert (here(), there(atlas)) == (("ours", 9), ("theirs", 9))
        assert synced(syncs).messages == []


@pytest.mark.parametrize(("side", "left"), [("ours", "ours"), ("theirs", "theirs")])
def test_a_person_settles_a_conflict(atlas: Remote, side: str, left: str) -> None:
    things = mapping(on_conflict="report")
    syncs = linked(atlas, things)
    Everything.objects.update(text="ours")
    change_there(atlas, name="theirs")
    synced(syncs)
    (row,) = atlas.rows(OBJECT)
    synced(syncs, keys=(str(row["id"]),), settle={"text": side})
    assert here() == there(atlas) == (left, 1)
    after = synced(syncs)
    assert (after.written, after.messages) == ({}, [])


def test_both_made_the_same_change_and_nothing_is_written(atlas: Remote) -> None:
    things = mapping(on_conflict="report")
    syncs = linked(atlas, things)
    Everything.objects.update(text="same")
    change_there(atlas, name="same")
    writes = atlas.writes
    done = synced(syncs)
    assert (done.messages, atlas.writes) == ([], writes)
    assert synced(syncs).written == {}


@pytest.mark.parametrize("changed", [None, "updated_at"])
@pytest.mark.parametrize(("removed", "left"), [("keep", 1), ("report", 1), ("delete", 0)])
def test_gone_over_there_and_unchanged_here(
    atlas: Remote, removed: str, left: int, changed: str | None
) -> None:
    things = mapping(removed=removed, removed_limit=100, changed=changed)
    syncs = linked(atlas, things)
    other = atlas.put(OBJECT, {"name": "stays", "qty": 0})
    synced(syncs)
    (gone,) = (row for row in atlas.rows(OBJECT) if row["id"] != other["id"])
    atlas.remove(OBJECT, gone["id"])
    for _ in range(2):
        synced(syncs)
        assert Everything.objects.filter(text="Anvil").count() == left
        assert [row["name"] for row in atlas.rows(OBJECT)] == ["stays"]


@pytest.mark.parametrize(
    ("policy", "left"), [("keep", ["edited since", "stays"]), ("report", ["stays"])]
)
def test_gone_over_there_and_changed_here(atlas: Remote, policy: str, left: list[str]) -> None:
    """Ours is kept, and so is made anew over there; or a person has to say."""
    things = mapping(removed="delete", removed_limit=100, on_conflict=policy)
    syncs = linked(atlas, things)
    atlas.put(OBJECT, {"name": "stays", "qty": 0})
    synced(syncs)
    Everything.objects.filter(text="Anvil").update(text="edited since")
    (gone,) = (row for row in atlas.rows(OBJECT) if row["name"] == "Anvil")
    atlas.remove(OBJECT, gone["id"])
    done = synced(syncs)
    assert Everything.objects.filter(text="edited since").exists()
    assert done.messages, "nobody is told"
    for _ in range(2):
        assert sorted(row["name"] for row in atlas.rows(OBJECT)) == left
        assert Everything.objects.count() == 2
        synced(syncs)


@pytest.mark.parametrize(("deleted", "left"), [("keep", 2), ("report", 2), ("delete", 1)])
def test_gone_here_and_unchanged_over_there(atlas: Remote, deleted: str, left: int) -> None:
    things = mapping(deleted=deleted, deleted_limit=100)
    syncs = linked(atlas, things)
    atlas.put(OBJECT, {"name": "stays", "qty": 0})
    synced(syncs)
    Everything.objects.filter(text="Anvil").delete()
    for _ in range(2):
        synced(syncs)
        assert len(atlas.rows(OBJECT)) == left
        assert list(Everything.objects.values_list("text", flat=True)) == ["stays"]


def test_gone_here_and_changed_over_there_is_for_a_person(atlas: Remote) -> None:
    things = mapping(deleted="delete", deleted_limit=100, on_conflict="report")
    syncs = linked(atlas, things)
    atlas.put(OBJECT, {"name": "stays", "qty": 0})
    synced(syncs)
    Everything.objects.filter(text="Anvil").delete()
    (row,) = (row for row in atlas.rows(OBJECT) if row["name"] == "Anvil")
    atlas.put(OBJECT, {"id": row["id"], "qty": 5})
    done = synced(syncs)
    assert done.messages, "nobody is told"
    assert len(atlas.rows(OBJECT)) == 2


@pytest.mark.parametrize("skew", [timedelta(0), timedelta(hours=3), timedelta(hours=-3)])
@pytest.mark.parametrize("changed", [None, "updated_at"])
def test_without_a_human_change_nothing_is_written_whatever_the_clocks_say(
    atlas: Remote, skew: timedelta, changed: str | None
) -> None:
    atlas.skew = skew
    things = mapping(changed=changed, on_conflict="newest" if changed else "keep",
                     changed_here="date_time")  # fmt: skip
    syncs = syncs_of(things)
    for number in range(25):
        Everything.objects.create(text=f"ours {number}", integer=number)
        atlas.put(OBJECT, {"name": f"theirs {number}", "qty": number})
    for direction in ("pull", "push"):
        synced(syncs, direction=direction)
    assert Everything.objects.count() == len(atlas.rows(OBJECT)) == 50
    writes = atlas.writes
    for direction in ("pull", "push", "pull", "push", "sync"):
        assert synced(syncs, direction=direction).written == {}
    assert atlas.writes == writes == 25
    assert not Outgoing.objects.exists()


@pytest.mark.parametrize("direction", ["pull", "push", "sync"])
def test_a_row_that_was_created_without_an_answer_becomes_no_second_object(
    atlas: Remote, direction: str
) -> None:
    """Whichever direction comes next: the pull would see a row that nobody has linked."""
    things = mapping()
    syncs = syncs_of(things)
    Everything.objects.create(text="Anvil", integer=1)
    atlas.answers_lost.append("insert")  # it is stored, and then the connection breaks
    synced(syncs, direction="push")
    assert (len(atlas.rows(OBJECT)), RowLink.objects.count()) == (1, 0)
    synced(syncs, direction=direction)
    for _ in range(2):
        assert here() == there(atlas) == ("Anvil", 1)
        assert RowLink.objects.count() == 1
        synced(syncs)
    assert not Outgoing.objects.exists()
