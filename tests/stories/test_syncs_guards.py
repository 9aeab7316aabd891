"""What a sync must never do: delete by mistake, write in a rehearsal, mix accounts, lose a row."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import pytest
from django.conf import LazySettings

from data_migration.models import Run
from data_migration.outcomes import Mode
from data_migration.sync import AuthFailed, Connector, Mapping, Page, Refused, Transient, Written
from data_migration.sync.accounts import connect
from tests.apps.library.testing import give
from tests.apps.shop.models import Everything, Supplier
from tests.support.memory_remote import MemoryRemote, Remote, forget_remotes, remote_of
from tests.support.specs import NewApp
from tests.support.syncing import synced, syncs_of

pytestmark = pytest.mark.django_db

OBJECT = "Thing"
FIELDS = {"name": "text", "qty": "integer"}


class Shrinking(MemoryRemote):
    """Lists so many rows as ``shown`` says, None for all; ``breaks`` in the middle."""

    shown: int | None = None
    breaks: Exception | None = None

    def pages(
        self,
        objectname: str,
        *,
        since: Any = None,
        fields: Collection[str] = (),
        size: int,
    ) -> Iterator[Page]:
        left = type(self).shown
        for page in super().pages(objectname, since=since, fields=fields, size=size):
            if left is None:
                yield page
            elif left > 0:
                yield Page(page.rows[:left], is_sorted=page.is_sorted)
                left -= len(page.rows)
            else:
                yield Page([])
            if (error := type(self).breaks) is not None:
                raise error


@pytest.fixture(autouse=True)
def accounts(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DATA_MIGRATION_CONNECTORS = {
        name: {"CONNECTOR": f"{__name__}.Shrinking", "HOST": name, "RETRIES": 0}
        for name in ("atlas", "globe")
    }
    monkeypatch.setattr(Shrinking, "shown", None)
    monkeypatch.setattr(Shrinking, "breaks", None)
    forget_remotes()


@pytest.fixture
def atlas() -> Remote:
    return remote_of("atlas")


def mapping(**attributes: Any) -> type[Mapping]:
    own = {"objectname": OBJECT, "model": Everything, "fields": FIELDS}
    return type("Things", (Mapping,), {**own, **attributes})


def twenty_linked(atlas: Remote, things: type[Mapping]) -> Any:
    for number in range(20):
        atlas.put(OBJECT, {"name": f"thing {number}", "qty": number})
    syncs = syncs_of(things)
    assert synced(syncs).pull(things) == {"created": 20}
    return syncs


@pytest.mark.parametrize(
    "shown", [pytest.param(0, id="an empty list"), pytest.param(10, id="half of it")]
)
@pytest.mark.parametrize("direction", ["pull", "sync"])
def test_a_list_that_shrinks_deletes_nothing(atlas: Remote, shown: int, direction: str) -> None:
    things = mapping(direction=direction, removed="delete", deleted="delete", page_size=5)
    syncs = twenty_linked(atlas, things)
    Shrinking.shown = shown
    done = synced(syncs)
    assert Everything.objects.count() == len(atlas.rows(OBJECT)) == 20
    assert done.messages or done.steps["shop.Things@atlas"].error, "nobody is told"


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(Transient("the connection was reset"), id="broken off"),
        pytest.param(AuthFailed("the rest is not for you"), id="forbidden in part"),
    ],
)
def test_a_list_that_breaks_off_deletes_nothing(atlas: Remote, error: Exception) -> None:
    things = mapping(removed="delete", removed_limit=100, page_size=5)
    syncs = twenty_linked(atlas, things)
    Shrinking.breaks = error
    done = synced(syncs)
    assert done.run.status != "done"
    assert Everything.objects.count() == len(atlas.rows(OBJECT)) == 20


def test_a_limit_and_chosen_keys_delete_nothing(atlas: Remote) -> None:
    things = mapping(removed="delete", removed_limit=100, deleted="delete", deleted_limit=100)
    syncs = twenty_linked(atlas, things)
    first = atlas.rows(OBJECT)[0]["id"]
    for chosen in ({"limit": 3}, {"keys": (str(first),)}):
        synced(syncs, **chosen)
        assert Everything.objects.count() == len(atlas.rows(OBJECT)) == 20


def test_an_object_that_leaves_the_queryset_is_no_deletion(atlas: Remote) -> None:
    things = mapping(
        queryset=lambda: Everything.objects.filter(integer__gte=0),
        deleted="delete",
        deleted_limit=100,
    )
    syncs = twenty_linked(atlas, things)
    Everything.objects.update(integer=-1)
    synced(syncs)
    assert Everything.objects.count() == len(atlas.rows(OBJECT)) == 20


def test_a_table_that_is_emptied_here_deletes_nothing_over_there(atlas: Remote) -> None:
    things = mapping(deleted="delete")
    syncs = twenty_linked(atlas, things)
    Everything.objects.all().delete()
    done = synced(syncs)
    assert len(atlas.rows(OBJECT)) == 20
    assert done.messages or done.run.status != "done", "nobody is told"


# ---------------------------------------------------------------- a rehearsal


def test_a_rehearsal_sends_nothing_and_leaves_nothing(atlas: Remote) -> None:
    things = mapping(deleted="delete", deleted_limit=100)
    syncs = twenty_linked(atlas, things)
    Everything.objects.filter(integer=3).update(text="ours")
    Everything.objects.filter(integer=4).delete()
    Everything.objects.create(text="new here", integer=99)
    atlas.put(OBJECT, {"name": "new there", "qty": 98})
    atlas.put(OBJECT, {"id": atlas.rows(OBJECT)[7]["id"], "name": "theirs"})
    before, calls = atlas.rows(OBJECT), atlas.writes
    ours = list(Everything.objects.order_by("pk").values())
    rehearsed = synced(syncs, mode=Mode.REHEARSAL)
    assert (atlas.rows(OBJECT), atlas.writes) == (before, calls)
    assert list(Everything.objects.order_by("pk").values()) == ours
    real = synced(syncs)
    assert (rehearsed.pull(things), rehearsed.push(things)) == (
        real.pull(things),
        real.push(things),
    )


def test_a_hook_that_writes_over_there_is_refused_in_a_rehearsal(atlas: Remote) -> None:
    kept: list[Connector] = []

    def post_process(self: Any, *, local: Any, remote: Any, created: bool) -> None:
        kept.append(connect("atlas"))
        kept[-1].insert(OBJECT, {"name": "by hook"}, idempotency_key="x")

    things = mapping(direction="pull", post_process=post_process)
    atlas.put(OBJECT, {"name": "theirs", "qty": 1})
    synced(syncs_of(things), mode=Mode.REHEARSAL)
    assert [row["name"] for row in atlas.rows(OBJECT)] == ["theirs"]
    assert atlas.writes == 0


# ---------------------------------------------------------------- several accounts and plans


def test_two_accounts_of_one_plan_never_share_a_key() -> None:
    atlas, globe = remote_of("atlas"), remote_of("globe")
    things = mapping()
    globe.put(OBJECT, {"name": "of globe", "qty": 1})  # has the key that atlas gives its first row
    Everything.objects.create(text="ours", integer=2)
    on_atlas, on_globe = syncs_of(things), syncs_of(things, connector="globe")
    synced(on_atlas)
    synced(on_globe)
    assert [row["name"] for row in atlas.rows(OBJECT)] == ["ours"]
    assert sorted(row["name"] for row in globe.rows(OBJECT)) == ["of globe", "ours"]
    assert sorted(Everything.objects.values_list("text", flat=True)) == ["of globe", "ours"]
    synced(on_atlas)
    assert sorted(row["name"] for row in atlas.rows(OBJECT)) == ["of globe", "ours"]
    for syncs in (on_atlas, on_globe, on_atlas):
        assert synced(syncs).written == {}


def test_two_mappings_on_one_model_never_share_a_key() -> None:
    atlas = remote_of("atlas")
    first = type("First", (Mapping,), {"objectname": "A", "model": Supplier,
                                       "fields": {"name": "name"}})  # fmt: skip
    second = type("Second", (Mapping,), {"objectname": "B", "model": Supplier,
                                         "fields": {"title": "name"}})  # fmt: skip
    Supplier.objects.create(name="ours")
    atlas.put("B", {"title": "theirs"})
    syncs = syncs_of(first, second)
    synced(syncs)
    synced(syncs)
    assert sorted(row["name"] for row in atlas.rows("A")) == ["ours", "theirs"]
    assert sorted(row["title"] for row in atlas.rows("B")) == ["ours", "theirs"]
    assert synced(syncs).written == {}


# ---------------------------------------------------------------- one row of many


class Picky(Shrinking):
    """Refuses one name; counts what it is asked to write."""

    def insert(self, objectname: str, values: Any, *, idempotency_key: str) -> Written:
        if values["name"] == "bad":
            self._call("insert")
            raise Refused("there is a bad word in it", field="name")
        return super().insert(objectname, values, idempotency_key=idempotency_key)


def test_one_refused_object_keeps_no_other_and_only_it_is_sent_again(
    atlas: Remote, settings: LazySettings
) -> None:
    settings.DATA_MIGRATION_CONNECTORS["atlas"]["CONNECTOR"] = f"{__name__}.Picky"
    things = mapping(direction="push", page_size=3)
    names = ["a", "b", "bad", "c", "d", "e", "f"]
    Everything.objects.bulk_create(Everything(text=name) for name in names)
    syncs = syncs_of(things)
    done = synced(syncs)
    assert done.push(things) == {"created": 6, "failed": 1}
    (message,) = done.messages
    assert message[0] == "failure"
    assert "bad word" in message[3]
    calls = atlas.calls["insert"]
    assert synced(syncs, retry_failed=True).push(things) == {"failed": 1}
    assert atlas.calls["insert"] == calls + 1
    Everything.objects.filter(text="bad").update(text="good")
    assert synced(syncs, retry_failed=True).push(things) == {"created": 1}
    assert atlas.calls["insert"] == calls + 2
    assert synced(syncs).push(things) == {"unchanged": 7}


def test_one_hook_that_raises_keeps_no_other_row(atlas: Remote) -> None:
    allowed: list[str] = []

    def pre_process(self: Any, row: dict[str, Any]) -> dict[str, Any] | None:
        if row["name"] == "thing 3" and not allowed:
            raise ValueError("not this one")
        return row

    things = mapping(direction="pull", pre_process=pre_process)
    for number in range(6):
        atlas.put(OBJECT, {"name": f"thing {number}", "qty": number})
    syncs = syncs_of(things)
    done = synced(syncs)
    assert done.pull(things) == {"created": 5, "failed": 1}
    assert "not this one" in done.messages[0][3]
    allowed.append("all")
    pages, gets = atlas.calls["pages"], atlas.calls["get"]
    assert synced(syncs, retry_failed=True).pull(things) == {"created": 1}
    assert (atlas.calls["pages"], atlas.calls["get"]) == (pages, gets + 1)


# ---------------------------------------------------------------- and back


def test_what_a_pull_wrote_is_rolled_back_and_nothing_over_there(
    atlas: Remote, new_app: NewApp
) -> None:
    new_app("things", data_sync_spec=SPEC)
    for number in range(3):
        atlas.put(OBJECT, {"name": f"thing {number}", "qty": number})
    Everything.objects.create(text="ours", integer=9)
    assert give("sync_remote", "--commit", "--no-progress").code == 0
    assert (Everything.objects.count(), len(atlas.rows(OBJECT))) == (4, 4)
    done = give("rollback_legacy", "things.Things@atlas", "--no-input")
    assert (done.code, done.err) == (0, "")
    assert list(Everything.objects.values_list("text", flat=True)) == ["ours"]
    assert len(atlas.rows(OBJECT)) == 4
    assert Run.objects.latest("pk").lane == "connector atlas"


SPEC = """
from data_migration.sync import Mapping, Plan
from tests.apps.shop.models import Everything

class Things(Mapping):
    objectname = "Thing"
    model = Everything
    fields = {"name": "text", "qty": "integer"}

class Sync(Plan):
    mappings = [Things]
    connector = "atlas"
"""
