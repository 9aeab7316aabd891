"""Pushes: what is sent, what is not, what is remembered of it."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from data_migration.exceptions import AuthFailed, Refused, Transient
from data_migration.ledger.outgoing import Accounts
from data_migration.models import RemoteState
from data_migration.outcomes import Action, Mode, RunStatus
from data_migration.sync import Connector, Const, From, Mapping, Written
from tests.apps.exchange.data_sync_spec import GroupToAtlas, ItemToAtlas, TagToAtlas
from tests.apps.exchange.models import Item, ItemGroup, Line, Tag
from tests.support.engine import statements
from tests.support.memory_remote import MemoryRemote

from .pulling import mapping, pull, remote
from .pushing import linked, on_its_way, push

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("empty_remotes")]


class Plain(Mapping):
    """Two plain fields, both ways."""

    objectname = "Item"
    model = Item
    fields = {"name": "item_name", "sku": "sku"}


class OneWay(Plain):
    """Fields that only go there: plain, a literal, what a function makes."""

    direction = "push"
    fields = {
        "name": "item_name",
        "rate": From("price", push=str),
        "vendor": Const("GadgetTech"),
        "loud": lambda item: item.item_name.upper(),
    }


@pytest.fixture
def items() -> list[Item]:
    return [
        Item.objects.create(item_name=name, sku=name[0], price=Decimal(price))
        for name, price in (("Anvil", "9.50"), ("Bolt", "1"), ("Cog", "2"))
    ]


@pytest.mark.parametrize("base", [Plain, OneWay])
def test_objects_are_created_then_unchanged_then_only_what_changed_is_sent(
    items: list[Item], base: type[Mapping]
) -> None:
    assert push(base).counts == {"created": 3}
    assert [row["name"] for row in remote().rows("Item")] == ["Anvil", "Bolt", "Cog"]
    assert (linked(base.__name__), on_its_way()) == (
        {str(item.pk): str(n) for n, item in enumerate(items, start=1)},
        [],
    )
    remote().calls.clear()

    assert push(base).counts == {"unchanged": 3}
    assert not remote().calls

    Item.objects.filter(item_name="Bolt").update(item_name="Nut")
    assert push(base).counts == {"updated": 1, "unchanged": 2}
    assert remote().calls["update"] == 1
    assert [row["name"] for row in remote().rows("Item")] == ["Anvil", "Nut", "Cog"]
    assert push(base).counts == {"unchanged": 3}


def test_what_only_goes_there_is_what_was_declared(items: list[Item]) -> None:
    push(OneWay)

    assert remote().rows("Item")[0] == {
        "id": 1,
        "name": "Anvil",
        "rate": "9.50",
        "vendor": "GadgetTech",
        "loud": "ANVIL",
    }
    assert {each.version for each in RemoteState.objects.all()} == {"1"}


def test_only_the_fields_that_changed_are_sent(items: list[Item]) -> None:
    sent: list[dict[str, Any]] = []

    class Noting(MemoryRemote):
        def update(self, objectname: str, key: Any, changes: Any, **more: Any) -> Written:
            sent.append(dict(changes))
            return super().update(objectname, key, changes, **more)

    push(OneWay)
    Item.objects.filter(item_name="Cog").update(price=3)
    push(OneWay, connector=Noting)

    assert sent == [{"rate": "3.00"}]


def test_relations_go_by_the_keys_of_the_other_mapping_and_lists_with_the_row() -> None:
    group = ItemGroup.objects.create(name="Tools")
    item = Item.objects.create(item_name="Anvil", group=group, city="Graz")
    item.tags.add(Tag.objects.create(word="heavy"))
    Line.objects.create(item=item, position=1, text="one", group=group)
    remote().put("Group", {"id": 40, "title": "other"})
    for base in (GroupToAtlas, TagToAtlas, ItemToAtlas):
        assert push(base).counts == {"created": 1}

    (row,) = remote().rows("Item")
    key = int(linked("GroupToAtlas")[str(group.pk)])
    assert row == {
        "id": row["id"],
        "name": "Anvil",
        "sku": None,
        "rate": None,
        "vendor": "GadgetTech",
        "address": {"city": "Graz"},
        "group_id": key,
        "tags": [int(*linked("TagToAtlas").values())],
        "lines": [{"no": 1, "text": "one", "group_id": key}],
    }
    assert push(ItemToAtlas).counts == {"unchanged": 1}
    Line.objects.update(text="two")
    assert push(ItemToAtlas).counts == {"updated": 1}
    assert remote().rows("Item")[0]["lines"][0]["text"] == "two"


def test_an_object_waits_for_what_it_refers_to_until_that_is_there() -> None:
    group = ItemGroup.objects.create(name="Tools")
    Item.objects.create(item_name="Anvil", group=group, price=1)
    failed = push(ItemToAtlas)

    assert failed.counts == {"failed": 1}
    ((kind, _, column, cause),) = failed.said
    assert (kind, column) == ("failure", "group_id")
    assert cause == (
        f"it needs exchange.ItemGroup {group.pk}, which has no row over there yet: it has to be"
        " pushed first, by exchange.GroupToAtlas@atlas"
    )
    push(GroupToAtlas)
    assert push(ItemToAtlas, retry_failed=True).counts == {"created": 1}


def test_a_tree_is_pushed_in_one_run_whatever_the_order_of_its_keys() -> None:
    child = ItemGroup.objects.create(name="child")
    child.parent = ItemGroup.objects.create(name="parent")
    child.save()

    assert push(GroupToAtlas).counts == {"created": 2}
    rows = {row["title"]: row for row in remote().rows("Group")}
    assert rows["child"]["parent_id"] == rows["parent"]["id"]


def test_a_refused_row_fails_by_itself_and_is_tried_again_by_the_next_run(
    items: list[Item],
) -> None:
    remote().failures["insert"] = [None, Refused("the name is taken", field="name"), None]
    done = push(Plain)

    assert (done.counts, done.step.status) == ({"created": 2, "failed": 1}, RunStatus.PARTIAL)
    pk = str(items[1].pk)
    assert done.said == [("failure", pk, "name", "the name is taken")]
    assert on_its_way() == [(pk, "create", "failed")]
    remote().calls.clear()
    again = push(Plain, retry_failed=True)
    assert (again.counts, again.step.status) == ({"created": 1}, RunStatus.DONE)
    assert (on_its_way(), remote().calls["insert"]) == ([], 1)


def test_a_system_that_wants_to_be_left_alone_ends_the_step_until_then(
    items: list[Item],
) -> None:
    remote().failures["insert"] = [None, Transient("too many calls", retry_after=3600)]
    done = push(Plain)

    assert (done.counts, done.step.status, done.error) == ({"created": 1}, RunStatus.PARTIAL, None)
    assert "too many calls. It may go on at " in done.step.error
    wait = Accounts("default").waits("atlas")
    assert wait is not None
    assert wait.reason == "too many calls"
    assert {state for _, _, state in on_its_way()} <= {"planned", "sent"}
    assert push(Plain).counts == {"created": 2, "unchanged": 1}
    assert len(remote().rows("Item")) == 3
    assert on_its_way() == []


def test_an_account_that_is_not_let_in_ends_the_step_at_once(items: list[Item]) -> None:
    remote().failures["insert"] = [None, AuthFailed("the token has expired")]
    done = push(Plain)

    assert isinstance(done.error, AuthFailed)
    assert (done.step.status, remote().calls["insert"]) == (RunStatus.FAILED, 2)
    assert len(linked("Plain")) == 1, "what was sent before is remembered"
    assert push(Plain).counts == {"created": 2, "unchanged": 1}


def test_a_rehearsal_sends_nothing_and_tells_what_it_would(items: list[Item]) -> None:
    push(Plain)
    Item.objects.filter(item_name="Bolt").update(item_name="Nut")
    Item.objects.create(item_name="Dowel")
    before = dict(remote().tables["Item"])

    done = push(Plain, mode=Mode.REHEARSAL)

    assert done.counts == {"created": 1, "updated": 1, "unchanged": 2}
    assert [(each.action, each.changes) for each in done.diffs] == [
        (Action.UPDATE, {"name": ("Bolt", "Nut")}),
        (Action.CREATE, {"name": (None, "Dowel"), "sku": (None, None)}),
    ]
    assert (dict(remote().tables["Item"]), on_its_way()) == (before, [])
    connector = MemoryRemote({"HOST": "atlas"})
    connector.refuse_writes()
    with pytest.raises(Refused, match="in a rehearsal"):
        connector.delete("Item", 1)


def test_a_rehearsal_knows_what_it_would_have_created() -> None:
    child = ItemGroup.objects.create(name="child")
    child.parent = parent = ItemGroup.objects.create(name="parent")
    child.save()

    done = push(GroupToAtlas, mode=Mode.REHEARSAL)

    assert done.counts == {"created": 2}
    assert [each.changes["parent_id"][1] for each in done.diffs] == [None, f"new {parent.pk}"]
    assert (remote().rows("Group"), linked("GroupToAtlas")) == ([], {})


def test_an_object_that_left_the_queryset_is_no_deletion(items: list[Item]) -> None:
    base = mapping(ItemToAtlas, deleted="delete", deleted_limit=100)
    push(base)
    Item.objects.update(is_published=False)

    assert push(base).counts == {}
    assert len(remote().rows("Item")) == 3


def test_rows_of_objects_that_are_gone_are_deleted_as_far_as_the_limit_allows(
    items: list[Item],
) -> None:
    base = mapping(Plain, deleted="delete")
    push(base)
    items[0].delete()

    refused = push(base)
    assert "1 of 3 objects (33.3 %) are gone" in str(refused.error)
    assert len(remote().rows("Item")) == 3
    assert push(base, mode=Mode.REHEARSAL, force_removal=True).counts["removed"] == 1
    assert push(base, force_removal=True).counts == {"unchanged": 2, "removed": 1}
    assert [row["name"] for row in remote().rows("Item")] == ["Bolt", "Cog"]
    assert (len(linked("Plain")), on_its_way()) == (2, [])


def test_what_was_changed_there_is_not_deleted(items: list[Item]) -> None:
    base = mapping(Plain, deleted="delete", deleted_limit=100)
    push(base)
    remote().put("Item", {"id": 1, "name": "Hammer"})
    items[0].delete()

    done = push(base)
    assert [each.kind for each in done.messages] == ["conflict"]
    assert len(remote().rows("Item")) == 3


def test_a_version_that_is_old_is_read_again_and_other_fields_merge(items: list[Item]) -> None:
    push(Plain)
    remote().put("Item", {"id": 1, "sku": "X"})
    Item.objects.filter(pk=items[0].pk).update(item_name="Hammer")

    assert push(Plain).counts == {"updated": 1, "unchanged": 2}
    assert remote().rows("Item")[0] == {"id": 1, "name": "Hammer", "sku": "X"}


def test_a_field_that_both_sides_changed_is_left_to_the_next_pull(items: list[Item]) -> None:
    push(Plain)
    remote().put("Item", {"id": 1, "name": "Theirs"})
    Item.objects.filter(pk=items[0].pk).update(item_name="Ours", sku="O")

    done = push(Plain)
    assert done.counts == {"updated": 1, "unchanged": 2, "warnings": 1}
    assert [(each.kind, each.column) for each in done.messages] == [("conflict", "name")]
    assert remote().rows("Item")[0] == {"id": 1, "name": "Theirs", "sku": "O"}


def test_what_was_pushed_comes_back_unchanged(items: list[Item]) -> None:
    base = mapping(Plain, changed=None)
    push(base)
    assert pull(base)[0].counts == {"unchanged": 3}
    writes = remote().writes
    assert push(base).counts == {"unchanged": 3}
    assert remote().writes == writes


def test_what_was_pulled_is_not_pushed() -> None:
    remote().put("Item", {"name": "Anvil", "sku": "A"})
    pull(Plain)

    assert push(Plain).counts == {"unchanged": 1}
    Item.objects.update(item_name="Hammer")
    assert push(Plain).counts == {"updated": 1}


def test_a_row_that_matches_is_adopted_and_not_created_again(items: list[Item]) -> None:
    remote().put("Item", {"name": "old", "sku": "A"})
    base = mapping(Plain, match=("sku",))

    assert push(base).counts == {"created": 2, "updated": 1}
    assert [row["name"] for row in remote().rows("Item")] == ["Anvil", "Bolt", "Cog"]


def test_many_rows_in_one_call_have_an_answer_each(items: list[Item]) -> None:
    class Bulk(MemoryRemote):
        def insert_many(
            self, objectname: str, rows: Sequence[tuple[Dict[str, Any], str]]
        ) -> Sequence[Written | Exception]:
            self.remote.calls["insert_many"] += 1
            return [
                Refused("no") if values["name"] == "Bolt"
                else self.insert(objectname, values, idempotency_key=key)
                for values, key in rows
            ]  # fmt: skip

    assert push(Plain, connector=Bulk).counts == {"created": 2, "failed": 1}
    assert remote().calls["insert_many"] == 1
    assert on_its_way() == [(str(items[1].pk), "create", "failed")]


def test_a_batch_takes_a_fixed_number_of_queries(items: list[Item]) -> None:
    def queries(count: int) -> int:
        Item.objects.bulk_create(Item(item_name=f"new {n}") for n in range(count))
        with statements() as seen:
            push(Plain)
        return len(seen)

    push(Plain)
    created = [queries(2), queries(50)]
    assert created[0] == created[1]
    with statements() as few:
        push(Plain)
    Item.objects.bulk_create(Item(item_name=f"more {n}") for n in range(100))
    push(Plain)
    with statements() as many:
        push(Plain)
    assert len(few) == len(many)


def test_an_unchanged_pass_makes_no_instances(
    items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    push(Plain)

    def refuse(*_: Any) -> None:
        raise AssertionError("an instance was made")

    monkeypatch.setattr(Item, "from_db", refuse)
    assert push(Plain).counts == {"unchanged": 3}


def test_pre_process_changes_what_is_sent_and_may_skip_a_row(items: list[Item]) -> None:
    def pre_process(self: Mapping, row: dict[str, Any]) -> dict[str, Any] | None:
        return None if row["name"] == "Bolt" else {**row, "extra": len(row["name"])}

    base = mapping(Plain, pre_process=pre_process)
    assert push(base).counts == {"created": 2, "skipped": 1}
    assert [row["extra"] for row in remote().rows("Item")] == [5, 3]
    assert push(base).counts == {"unchanged": 2, "skipped": 1}


def test_post_process_sees_both_and_its_failure_leaves_the_row_sent(items: list[Item]) -> None:
    seen: list[tuple[str, int, bool]] = []

    def post_process(self: Mapping, *, local: Item, remote: Any, created: bool) -> None:
        seen.append((local.item_name, remote["id"], created))
        if local.item_name == "Bolt":
            raise ValueError("no")

    done = push(mapping(Plain, post_process=post_process))
    assert seen == [("Anvil", 1, True), ("Bolt", 2, True), ("Cog", 3, True)]
    assert done.counts == {"created": 3, "warnings": 1}
    assert done.said[0][3] == "post_process failed, the row was sent: ValueError: no"


def test_a_function_that_raises_fails_its_row_alone(items: list[Item]) -> None:
    def make(item: Item) -> str:
        if item.item_name == "Bolt":
            raise KeyError("currency")
        return "EUR"

    done = push(mapping(OneWay, fields={"name": "item_name", "currency": make}))
    assert done.counts == {"created": 2, "failed": 1}
    ((_, _, column, cause),) = done.said
    assert (column, cause) == (
        "currency",
        "the function of 'currency' failed: KeyError: 'currency'",
    )


def test_limit_and_keys_narrow_what_is_sent(items: list[Item]) -> None:
    done = push(Plain, limit=2)
    assert (done.counts, done.step.status) == ({"created": 2}, RunStatus.PARTIAL)
    Item.objects.update(sku="new")
    assert push(Plain, keys=("2",)).counts == {"updated": 1}
    assert [row["sku"] for row in remote().rows("Item")] == ["A", "new"]


# ---------------------------------------------------------------------- after a crash


class Killed(BaseException):
    """The process ends here."""


def test_a_create_whose_answer_was_lost_is_sent_once_more_with_the_same_key(
    items: list[Item],
) -> None:
    remote().answers_lost = ["insert"]
    broken = push(Plain)

    assert isinstance(broken.error, ConnectionResetError)
    assert ("sent" in {state for _, _, state in on_its_way()}, len(linked("Plain"))) == (True, 0)
    assert len(remote().rows("Item")) == 1
    assert push(Plain).counts == {"created": 3}
    assert (len(remote().rows("Item")), len(linked("Plain")), on_its_way()) == (3, 3, [])


@pytest.mark.parametrize("edit", [False, True])
def test_what_was_created_is_known_before_a_pull_could_take_it_for_another(
    items: list[Item], edit: bool
) -> None:
    remote().answers_lost = ["insert"]
    push(Plain)
    if edit:
        Item.objects.filter(pk=items[0].pk).update(item_name="Hammer")
    known: list[dict[str, str]] = []

    done = push(Plain, before=lambda: known.append(linked("Plain")))

    assert known == [{str(items[0].pk): "1"}]
    assert done.step.read == 3
    assert done.counts == ({"created": 2, "updated": 1} if edit else {"created": 3})
    assert len(remote().rows("Item")) == 3


class Forgetful(MemoryRemote):
    """Knows no idempotency key, and finds rows by their values."""

    remembers = Connector.remembers

    def __init__(self, config: Dict[str, Any]) -> None:
        super().__init__({**config, "OPTIONS": {"find_delay": 0}})

    def insert(self, objectname: str, values: Any, *, idempotency_key: str) -> Written:
        self.remote.idempotent.clear()
        return super().insert(objectname, values, idempotency_key=idempotency_key)


class Blind(Forgetful):
    """Cannot be asked."""

    find = Connector.find


def test_a_create_whose_answer_was_lost_is_looked_for(items: list[Item]) -> None:
    remote().answers_lost = ["insert"]
    push(Plain, connector=Forgetful)

    assert push(Plain, connector=Forgetful).counts["created"] == 2
    assert (len(remote().rows("Item")), len(linked("Plain")), on_its_way()) == (3, 3, [])


def test_what_nobody_can_tell_is_held_for_a_person(items: list[Item]) -> None:
    remote().answers_lost = ["insert"]
    push(Plain, connector=Blind)
    pk = str(items[0].pk)
    assert on_its_way() == [(pk, "create", "sent")], "one at a time, where it cannot be asked"

    done = push(Plain, connector=Blind)
    assert done.counts == {"created": 2, "failed": 1}
    assert on_its_way() == [(pk, "create", "held")]
    assert done.said[0][3].startswith("nobody knows whether it was created over there")
    assert push(Plain, connector=Blind).counts == {"failed": 1, "unchanged": 2}
    assert len(remote().rows("Item")) == 3
    remote().remove("Item", 1)
    assert push(Plain, connector=Blind, keys=(pk,)).counts == {"created": 1}
    assert (len(remote().rows("Item")), on_its_way()) == (3, [])


def test_an_object_that_changed_after_a_lost_answer_is_brought_up_to_date(
    items: list[Item],
) -> None:
    remote().answers_lost = ["insert"]
    push(Plain)
    Item.objects.filter(pk=items[0].pk).update(item_name="Hammer")

    push(Plain)
    assert sorted(row["name"] for row in remote().rows("Item")) == ["Bolt", "Cog", "Hammer"]
    assert push(Plain).counts == {"unchanged": 3}
