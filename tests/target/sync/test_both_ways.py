"""Pull and push of one mapping: what one side changed arrives once, and nothing comes back."""

from __future__ import annotations

from typing import Any

import pytest

from tests.apps.exchange.data_sync_spec import GroupToAtlas, ItemToAtlas, TagToAtlas
from tests.apps.exchange.models import Item, ItemGroup, Line, Tag

from .pulling import mapping, pull, remote, undecided
from .pushing import push
from .test_pull import anvil, lines, two_lines

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_remotes")]

ALL = (GroupToAtlas, TagToAtlas, ItemToAtlas)


def sync(items: Any = ItemToAtlas) -> dict[str, int]:
    """Pull everything, then push it: what was written, and what was told, on either side."""
    before = remote().writes
    mappings = (GroupToAtlas, TagToAtlas, items)
    done = [*pull(*mappings), *(push(each) for each in mappings)]
    assert [each.error for each in done] == [None] * 6
    local = sum(each.step.created + each.step.updated for each in done[:3])
    failed = sum(each.step.failed for each in done)
    return {"here": local, "there": remote().writes - before, "failed": failed}


NOTHING = {"here": 0, "there": 0, "failed": 0}


@pytest.fixture
def settled() -> Item:
    """An item with everything, the same on both sides."""
    remote().put("Group", {"id": 7, "title": "Tools", "parent_id": None})
    remote().put("Tag", {"id": 1, "word": "iron"})
    remote().put("Item", anvil(group_id=7, tags=[1], lines=two_lines()))
    sync()
    sync()
    assert sync() == NOTHING
    return Item.objects.get()


def there() -> dict[str, Any]:
    (row,) = remote().rows("Item")
    return row


def test_without_a_human_change_nothing_is_written_on_either_side(settled: Item) -> None:
    assert sync() == NOTHING
    assert sync() == NOTHING


def test_a_change_here_arrives_there_and_does_not_come_back(settled: Item) -> None:
    Item.objects.update(item_name="ours", group=ItemGroup.objects.create(name="New"))
    assert sync() == {"here": 0, "there": 2, "failed": 0}
    assert there()["name"] == "ours"
    assert sync() == NOTHING


def test_changes_of_different_fields_meet(settled: Item) -> None:
    Item.objects.update(item_name="ours", city="ours")
    settled.tags.add(Tag.objects.create(word="new"))
    remote().put("Item", {"id": 1, "sku": "theirs"})
    sync()
    assert sync() == NOTHING
    item = Item.objects.get()
    assert (item.item_name, item.city, item.sku) == ("ours", "ours", "theirs")
    row = there()
    assert (row["name"], row["address"]["city"], row["sku"]) == ("ours", "ours", "theirs")
    assert len(row["tags"]) == item.tags.count() == 2


def test_lists_that_change_here_or_there_meet(settled: Item) -> None:
    Line.objects.filter(position=1).update(text="ours")
    remote().put("Item", {"id": 1, "name": "theirs"})
    sync()
    sync()
    assert sync() == NOTHING
    assert lines(settled) == [(1, "ours"), (2, "two")]
    assert [each["text"] for each in there()["lines"]] == ["ours", "two"]
    remote().put("Item", {"id": 1, "lines": two_lines("theirs")})
    sync()
    sync()
    assert sync() == NOTHING
    assert lines(settled) == [(1, "theirs"), (2, "two")]
    assert [each["text"] for each in there()["lines"]] == ["theirs", "two"]


@pytest.mark.parametrize(("policy", "name"), [("keep", "ours"), ("overwrite", "theirs")])
def test_a_conflict_ends_with_the_same_on_both_sides(
    settled: Item, policy: str, name: str
) -> None:
    items = mapping(ItemToAtlas, on_conflict=policy)
    Item.objects.update(item_name="ours")
    remote().put("Item", {"id": 1, "name": "theirs"})
    sync(items)
    assert (Item.objects.get().item_name, there()["name"]) == (name, name)
    assert sync(items) == NOTHING


@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_a_conflict_that_is_held_moves_nothing_until_it_is_settled(
    settled: Item, side: str
) -> None:
    items = mapping(ItemToAtlas, on_conflict="report")
    Item.objects.update(item_name="ours", city="ours")
    remote().put("Item", {"id": 1, "name": "theirs"})
    sync(items)
    assert (Item.objects.get().item_name, there()["name"]) == ("ours", "theirs")
    assert there()["address"]["city"] == "ours"
    assert sync(items) == NOTHING
    pull(GroupToAtlas, TagToAtlas, items, settle={"item_name": side})
    sync(items)
    assert (Item.objects.get().item_name, there()["name"]) == (side, side)
    assert (sync(items), undecided()) == (NOTHING, [])
