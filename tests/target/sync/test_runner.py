"""One run of syncs with one account, from its lock to its end."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from data_migration import sync
from data_migration.exceptions import RunRefused, SpecError
from data_migration.ledger import IMPORTS, Ledger, NewStep
from data_migration.ledger.lanes import connector_lane
from data_migration.models import Outgoing, RemoteAccount, RowLink, Run
from data_migration.outcomes import Mode, RunKind, RunStatus
from data_migration.sync.discovery import discover
from data_migration.sync.options import SyncOptions
from data_migration.sync.runner import AccountRun, run_sync
from tests.apps.exchange.models import Item, ItemGroup, Tag
from tests.support.memory_remote import Remote, busy, remote_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("empty_remotes")]

MEMORY = "tests.support.memory_remote.MemoryRemote"


@pytest.fixture
def atlas(settings: Any) -> Iterator[Remote]:
    settings.DATA_MIGRATION_CONNECTORS = {"atlas": {"CONNECTOR": MEMORY, "HOST": "atlas"}}
    return remote_of("atlas")


def synced(mode: Mode = Mode.COMMIT, **options: Any) -> AccountRun:
    (done,) = run_sync(discover(), SyncOptions(mode=mode, **options)).runs
    return done


def counts(done: AccountRun) -> dict[str, dict[str, int]]:
    names = ("created", "updated", "unchanged", "failed")
    return {
        f"{'push' if step.is_push else 'pull'} {step.label.partition('.')[2]}": {
            name: number for name in names if (number := getattr(step, name))
        }
        for step in done.steps
    }


def test_pulls_come_first_and_what_still_differs_is_pushed(atlas: Remote) -> None:
    atlas.put("Group", {"title": "Tools", "parent_id": None})
    ItemGroup.objects.create(name="Toys")
    first = synced()
    assert (first.run.status, first.problems()) == ("done", [])
    assert counts(first)["pull GroupToAtlas@atlas"] == {"created": 1}
    assert counts(first)["push GroupToAtlas@atlas"] == {"created": 1, "unchanged": 1}
    assert [row["title"] for row in atlas.rows("Group")] == ["Tools", "Toys"]
    assert [group.name for group in ItemGroup.objects.order_by("name")] == ["Tools", "Toys"]

    writes = atlas.writes
    again = synced()
    assert all(not {"created", "updated"} & set(each) for each in counts(again).values())
    assert atlas.writes == writes
    assert not Outgoing.objects.exists()


def test_a_rehearsal_writes_nothing_and_sends_nothing(atlas: Remote) -> None:
    atlas.put("Group", {"title": "Tools", "parent_id": None})
    Item.objects.create(sku="a", item_name="Anvil", price=Decimal("9.5"))
    done = synced(Mode.REHEARSAL)
    assert (done.run.status, done.problems()) == ("done", [])
    assert atlas.writes == 0
    assert not ItemGroup.objects.exists()
    assert not RowLink.objects.exists()
    (diff,) = [each for each in done.diffs if "Item" in each.label]
    assert (diff.action, diff.changes["name"]) == ("create", (None, "Anvil"))


def test_a_system_that_is_to_be_let_be_is_let_be_until_then(atlas: Remote) -> None:
    ItemGroup.objects.create(name="Toys")
    atlas.failures["pages"] = [busy(retry_after=7200)]
    done = synced()
    assert done.run.status == RunStatus.PARTIAL
    assert "It may go on at" in done.problems()[0]
    calls = sum(atlas.calls.values())
    with pytest.raises(RunRefused, match="The connector atlas may go on at"):
        synced()
    assert sum(atlas.calls.values()) == calls
    RemoteAccount.objects.update(not_before=None)
    assert synced().run.status == RunStatus.DONE


def test_what_a_pull_left_open_is_not_pushed(atlas: Remote) -> None:
    Tag.objects.create(word="new")
    atlas.failures["pages"] = [RuntimeError("it broke")]
    done = synced()
    assert done.run.status == RunStatus.FAILED
    assert atlas.rows("Tag") == []
    assert any("was not pushed, because its pull did not" in each for each in done.problems())


def test_only_one_direction(atlas: Remote) -> None:
    atlas.put("Group", {"title": "Tools", "parent_id": None})
    ItemGroup.objects.create(name="Toys")
    synced(direction=sync.words.PULL)
    assert (ItemGroup.objects.count(), atlas.writes) == (2, 0)
    synced(direction=sync.words.PUSH)
    assert len(atlas.rows("Group")) == 2


def test_a_row_that_was_created_and_whose_answer_never_came_is_found_before_the_pull(
    atlas: Remote,
) -> None:
    ItemGroup.objects.create(name="Toys")
    atlas.answers_lost.append("insert")
    synced()
    assert len(atlas.rows("Group")) == 1
    done = synced()
    assert (done.run.status, done.problems()) == ("done", [])
    assert ItemGroup.objects.count() == 1
    assert len(atlas.rows("Group")) == 1
    assert RowLink.objects.filter(migration__label__contains="GroupToAtlas").count() == 1


def test_hooks_know_that_rows_are_pulled(atlas: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.apps.exchange.data_sync_spec import GroupToAtlas

    seen: list[bool] = []

    def pre_process(self: Any, row: Any) -> Any:
        seen.append(sync.is_pulling())
        return row

    monkeypatch.setattr(GroupToAtlas, "pre_process", pre_process)
    atlas.put("Group", {"title": "Tools", "parent_id": None})
    ItemGroup.objects.create(name="Toys")
    synced()
    assert seen[0]
    assert not seen[-1]
    assert not sync.is_pulling()


def test_an_account_that_is_not_there_is_a_fault_of_the_settings(settings: Any) -> None:
    settings.DATA_MIGRATION_CONNECTORS = {}
    with pytest.raises(SpecError, match="has no connector 'atlas'"):
        synced()
    assert not Run.objects.exists()


def test_an_import_and_a_sync_refuse_each_other_only_when_they_fill_the_same_model(
    atlas: Remote,
) -> None:
    other = Ledger("default", IMPORTS)
    run = other.start_run(
        [NewStep("shop.X")],
        kind=RunKind.IMPORT,
        mode=Mode.COMMIT,
        options={},
        fills=["exchange.Item"],
    )
    with pytest.raises(RunRefused, match=r"Another run of imports fills exchange\.Item"):
        synced()
    other.finish_run(run, RunStatus.DONE)
    elsewhere = other.start_run(
        [NewStep("shop.X")],
        kind=RunKind.IMPORT,
        mode=Mode.COMMIT,
        options={},
        fills=["shop.Product"],
    )
    assert synced().run.status == RunStatus.DONE
    other.finish_run(elsewhere, RunStatus.DONE)

    account = Ledger("default", connector_lane("atlas"))
    going = account.start_run(
        [NewStep("x")], kind=RunKind.SYNC, mode=Mode.COMMIT, options={}, fills=["exchange.Item"]
    )
    with pytest.raises(RunRefused, match=r"Another run of connector atlas fills exchange\.Item"):
        other.start_run(
            [NewStep("shop.X")],
            kind=RunKind.IMPORT,
            mode=Mode.COMMIT,
            options={},
            fills=["exchange.Item"],
        )
    account.finish_run(going, RunStatus.DONE)
