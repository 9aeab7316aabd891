"""The pull half of a mapping: remote rows become objects, and stay what they are."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from data_migration.exceptions import LedgerError
from data_migration.sync import Const, From, Mapping, Nested, is_a
from tests.apps.exchange.data_sync_spec import GroupToAtlas, ItemToAtlas, LineToAtlas, TagToAtlas
from tests.apps.exchange.models import Item, ItemGroup, Line, Tag
from tests.support.memory_remote import ListOnly

from .pulling import mapping, pull, pull_items, remote, undecided, undo

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_remotes")]


def anvil(**values: Any) -> dict[str, Any]:
    return {
        "id": 1,
        "name": "Anvil",
        "sku": "S1",
        "rate": "9.50",
        "vendor": "GadgetTech",
        "address": {"city": "Graz"},
        "group_id": None,
        "tags": [],
        "lines": [],
        "note": "heavy",
        **values,
    }


def test_rows_become_objects_once_and_change_with_them() -> None:
    remote().put("Item", anvil())
    remote().put("Item", anvil(id=2, name="Rope"))
    assert pull_items().counts == {"created": 2}
    item = Item.objects.get(sku="S1", item_name="Anvil")
    assert (item.price, item.city, item.note) == (Decimal("9.50"), "Graz", "heavy")
    assert pull_items().counts == {"unchanged": 2}
    remote().put("Item", {"id": 1, "rate": "10.00"})
    assert pull_items(full=False).counts["updated"] == 1
    assert Item.objects.get(pk=item.pk).price == 10


def test_relations_are_found_by_the_keys_over_there() -> None:
    remote().put("Group", {"id": 70, "title": "Tools", "parent_id": None})
    remote().put("Group", {"id": 7, "title": "Heavy tools", "parent_id": 70})
    remote().put("Tag", {"id": "x", "word": "iron"})
    remote().put("Tag", {"id": "y", "word": "old"})
    remote().put("Item", anvil(group_id=7, tags=["y", "x"]))
    assert pull_items().counts == {"created": 1}
    item = Item.objects.get()
    assert item.group is not None
    assert item.group.parent is not None
    assert (item.group.name, item.group.parent.name) == ("Heavy tools", "Tools")
    assert {tag.word for tag in item.tags.all()} == {"iron", "old"}


def test_an_import_into_the_same_model_lends_no_keys() -> None:
    """Only rows of the same account are found."""
    ItemGroup.objects.create(id=7, name="not theirs")
    remote().put("Item", anvil(group_id=7))
    result = pull_items()
    assert result.counts == {"failed": 1}
    assert "the legacy key 7" in result.said[0][3]


def test_absent_is_absent_and_null_is_null() -> None:
    whole = anvil(address=None)
    del whole["note"]
    remote().put("Item", whole)
    remote().put("Item", anvil(id=2, sku=None))
    assert pull_items().counts == {"created": 2}
    first, second = Item.objects.order_by("pk")
    assert (first.city, first.note) == (None, "")
    assert second.sku is None
    Item.objects.update(note="ours")
    remote().put("Item", {"id": 1, "name": "Anvil 2"})
    pull_items()
    assert Item.objects.get(pk=first.pk).note == "ours"


def test_a_value_that_a_conversion_refuses_fails_its_row_and_says_where() -> None:
    remote().put("Item", anvil(rate="much"))
    remote().put("Item", anvil(id=2))
    result = pull_items()
    assert result.counts == {"created": 1, "failed": 1}
    ((kind, key, column, cause),) = result.said
    assert (kind, key, column) == ("failure", "1", "rate")
    assert cause.startswith("its conversion (pull) raises InvalidOperation")
    remote().put("Item", anvil())
    assert pull_items().counts == {"created": 1, "unchanged": 1}


def test_a_property_of_what_is_no_object_fails_its_row() -> None:
    remote().put("Item", anvil(address="Graz"))
    remote().put("Item", anvil(id=2))
    result = pull_items()
    assert result.counts == {"created": 1, "failed": 1}
    assert result.said[0][2:] == (
        "address.city",
        "address is no object, so it has no 'address.city'",
    )


def test_conversions_see_no_null() -> None:
    remote().put("Item", anvil(rate=None))
    assert pull_items().counts == {"created": 1}
    assert Item.objects.get().price is None


class Choosy(ItemToAtlas):
    def pre_process(self, row: dict[str, Any]) -> dict[str, Any] | None:
        if row["name"] == "boom":
            raise ValueError("not this one")
        return None if row["name"] == "skip" else {**row, "name": row["name"].upper()}


Choosy.__name__ = "ItemToAtlas"


def test_pre_process_changes_skips_and_refuses_rows() -> None:
    for number, name in enumerate(["a", "skip", "boom"], start=1):
        remote().put("Item", anvil(id=number, name=name))
    result = pull_items(Choosy)
    assert result.counts == {"created": 1, "skipped": 1, "failed": 1}
    assert [each[3] for each in result.said] == ["pre_process raises ValueError: not this one"]
    assert [item.item_name for item in Item.objects.all()] == ["A"]
    assert pull_items(Choosy).counts == {"unchanged": 1, "skipped": 1, "failed": 1}
    remote().put("Item", {"id": 3, "name": "b"})
    assert pull_items(Choosy, retry_failed=True).counts == {"created": 1}


def test_a_row_that_pre_process_skips_by_now_leaves_its_object_alone() -> None:
    remote().put("Item", anvil(name="a"))
    pull_items(Choosy)
    remote().put("Item", {"id": 1, "name": "skip"})
    assert pull_items(Choosy).counts == {"skipped": 1}
    assert Item.objects.get().item_name == "A"


def test_edits_on_both_sides_merge_by_field() -> None:
    remote().put("Item", anvil())
    pull_items()
    Item.objects.update(item_name="ours", note="ours")
    remote().put("Item", {"id": 1, "sku": "theirs", "note": "theirs"})
    result = pull_items()
    item = Item.objects.get()
    # note is only pulled, so that what was changed here is a conflict as in an import.
    assert (item.item_name, item.sku, item.note) == ("ours", "theirs", "ours")
    assert [(kind, column) for kind, _, column, _ in result.said] == [("conflict", "note")]


def test_with_report_a_person_settles_by_key() -> None:
    reporting = mapping(ItemToAtlas, on_conflict="report")
    remote().put("Item", anvil())
    pull_items(reporting)
    Item.objects.update(item_name="ours")
    remote().put("Item", {"id": 1, "name": "theirs", "sku": "S2"})
    assert pull_items(reporting).counts == {"updated": 1, "warnings": 1}
    assert undecided() == [{"item_name": "'theirs'"}]
    assert pull_items(reporting, settle={"item_name": "theirs"}).counts == {"updated": 1}
    assert (undecided(), Item.objects.get().item_name) == ([], "theirs")


def test_with_newest_the_times_of_both_sides_decide() -> None:
    newest = mapping(ItemToAtlas, on_conflict="newest", changed_here="changed_at")
    remote().put("Item", anvil())
    pull_items(newest)
    Item.objects.update(item_name="ours", changed_at="2025-01-01T00:00:00Z")
    remote().put("Item", {"id": 1, "name": "theirs"})
    pull_items(newest)
    assert Item.objects.get().item_name == "theirs"


def test_match_adopts_and_no_row_takes_the_object_of_another() -> None:
    mine = Item.objects.create(sku="S1", item_name="Anvil")
    matching = mapping(ItemToAtlas, match=("sku",))
    remote().put("Item", anvil())
    remote().put("Item", anvil(id=2))
    result = pull_items(matching)
    assert result.step.failed == 1
    assert "two rows cannot be one object" in result.said[-1][3]
    assert Item.objects.get().pk == mine.pk


def lines(item: Item) -> list[tuple[int, str]]:
    return list(item.lines.order_by("position").values_list("position", "text"))


def two_lines(first: str = "one") -> list[dict[str, Any]]:
    return [
        {"no": 1, "text": first, "group_id": None},
        {"no": 2, "text": "two", "group_id": None},
    ]


def test_a_nested_list_becomes_the_children_of_its_object() -> None:
    remote().put("Group", {"id": 7, "title": "Tools", "parent_id": None})
    given = two_lines()
    given[0]["group_id"] = 7
    remote().put("Item", anvil(lines=given))
    assert pull_items().counts == {"created": 1}
    item = Item.objects.get()
    assert lines(item) == [(1, "one"), (2, "two")]
    group = item.lines.get(position=1).group
    assert group is not None
    assert group.name == "Tools"


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("replace", [(1, "changed"), (3, "three")]),
        ("merge", [(1, "changed"), (2, "two"), (3, "three")]),
        ("append", [(1, "one"), (2, "two"), (3, "three")]),
    ],
)
def test_how_a_nested_list_changes_is_its_mode(mode: str, expected: list[tuple[int, str]]) -> None:
    fields = {**ItemToAtlas.fields, "lines": Nested(LineToAtlas, mode=mode)}
    nesting = mapping(ItemToAtlas, fields=fields)
    remote().put("Item", anvil(lines=two_lines()))
    pull_items(nesting)
    first = Line.objects.get(position=1).pk
    changed = [*two_lines("changed")[:1], {"no": 3, "text": "three", "group_id": None}]
    remote().put("Item", {"id": 1, "lines": changed})
    # Of the item itself nothing is changed.
    assert pull_items(nesting).counts == {"updated": 1}
    assert lines(Item.objects.get()) == expected
    assert Line.objects.get(position=1).pk == first
    assert pull_items(nesting).counts == {"unchanged": 1}


def test_a_list_without_keys_is_compared_in_its_order() -> None:
    bare = mapping(LineToAtlas, fields={"text": "text", "no": From("position")}, remote_key="id")
    nesting = mapping(ItemToAtlas, fields={"name": "item_name", "lines": Nested(bare)})
    remote().put("Item", anvil(lines=two_lines()))
    pull_items(nesting)
    kept = list(Line.objects.order_by("pk").values_list("pk", flat=True))
    remote().put("Item", {"id": 1, "lines": two_lines("changed")[:1]})
    pull_items(nesting)
    assert list(Line.objects.values_list("pk", "text")) == [(kept[0], "changed")]


def test_a_list_that_cannot_be_written_leaves_the_row_written_and_is_tried_again() -> None:
    remote().put("Item", anvil(lines=[{"no": "x", "text": "one", "group_id": None}]))
    remote().put("Item", anvil(id=2, lines=two_lines()))
    result = pull_items()
    assert result.counts == {"created": 2}
    assert result.step.status == "partial"
    ((kind, key, column, cause),) = result.said
    assert (kind, key, column) == ("failure", "1", "lines.position")
    assert cause.startswith("its list is not written:")
    assert Line.objects.count() == 2
    remote().put("Item", {"id": 1, "lines": two_lines()})
    assert pull_items().counts == {"updated": 1, "unchanged": 1}
    assert Line.objects.count() == 4


def test_a_list_that_was_changed_here_alone_stays() -> None:
    remote().put("Item", anvil(lines=two_lines()))
    pull_items()
    Line.objects.filter(position=2).update(text="ours")
    Line.objects.create(item=Item.objects.get(), position=3, text="ours as well")
    remote().put("Item", {"id": 1, "name": "theirs"})
    result = pull_items()
    item = Item.objects.get()
    assert item.item_name == "theirs"
    assert lines(item) == [(1, "one"), (2, "ours"), (3, "ours as well")]
    assert (result.counts, result.said) == ({"updated": 1}, [])


def test_a_list_that_was_empty_on_both_sides_may_begin_here() -> None:
    remote().put("Item", anvil())
    pull_items()
    Line.objects.create(item=Item.objects.get(), position=1, text="ours")
    remote().put("Item", {"id": 1, "name": "theirs"})
    pull_items()
    assert lines(Item.objects.get()) == [(1, "ours")]


@pytest.mark.parametrize(
    ("policy", "expected"), [("keep", "ours"), ("overwrite", "theirs"), ("report", "ours")]
)
def test_a_list_that_was_changed_on_both_sides_is_a_conflict(policy: str, expected: str) -> None:
    nesting = mapping(ItemToAtlas, on_conflict=policy)
    remote().put("Item", anvil(lines=two_lines()))
    pull_items(nesting)
    Line.objects.filter(position=1).update(text="ours")
    remote().put("Item", {"id": 1, "lines": two_lines("theirs")})
    result = pull_items(nesting)
    assert [(kind, column) for kind, _, column, _ in result.said] == [("conflict", "list lines")]
    assert lines(Item.objects.get()) == [(1, expected), (2, "two")]
    assert len(undecided()) == (policy == "report")
    assert pull_items(nesting).said == []
    if policy == "report":
        pull_items(nesting, settle={"list lines": "theirs"})
        assert lines(Item.objects.get()) == [(1, "theirs"), (2, "two")]
        assert undecided() == []


def test_a_pull_is_rolled_back_to_what_was_there_before() -> None:
    mine = Item.objects.create(sku="S1", item_name="before", note="before")
    matching = mapping(ItemToAtlas, match=("sku",), on_conflict="overwrite")
    remote().put("Item", anvil())
    remote().put("Item", anvil(id=2, sku="S2"))
    pull_items(matching)
    assert Item.objects.get(pk=mine.pk).item_name == "Anvil"
    undo(matching)
    assert list(Item.objects.values_list("pk", "item_name")) == [(mine.pk, "before")]


def test_a_rollback_takes_nested_objects_along_only_when_it_is_forced() -> None:
    remote().put("Item", anvil(lines=two_lines()))
    pull_items()
    with pytest.raises(LedgerError, match=r"exchange.Line \d+ refers to it \(item\)"):
        undo()
    undo(force=True)
    assert (Item.objects.count(), Line.objects.count()) == (0, 0)


class SecretLines(LineToAtlas):
    sensitive = ("text",)


class Secretive(Mapping):
    objectname, model, on_conflict = "Item", Item, "report"
    sensitive = ("rate", "address.city", "name")
    fields = {
        "name": "item_name",
        "rate": From("price", pull=int, push=str),
        "address.city": "city",
        "lines": Nested(SecretLines),
    }

    def post_process(self, *, local: Any, remote: Any, created: bool) -> None: ...


@pytest.mark.parametrize(
    "values",
    [
        {"rate": "hush hush"},
        {"address": "hush hush"},
        {"lines": [{"no": "hush hush", "text": "", "group_id": None}]},
        {"lines": [{"no": 1, "text": "hush hush" * 50, "group_id": None}]},
        {"lines": "hush hush"},
        {"name": "hush hush" * 50},
    ],
)
def test_what_is_sensitive_is_in_no_message(values: dict[str, Any], capsys: Any) -> None:
    remote().put("Item", anvil(**{"rate": 1, **values}))
    messages = pull(Secretive)[0].messages
    told = [(each.cause, each.value) for each in messages]
    assert "hush" not in f"{told} {capsys.readouterr()}"


def test_what_is_sensitive_is_in_no_conflict() -> None:
    remote().put("Item", anvil(rate=1, lines=two_lines()))
    pull(Secretive)
    Item.objects.update(item_name="hush ours")
    Line.objects.update(text="hush ours")
    remote().put("Item", {"id": 1, "name": "hush theirs", "lines": two_lines("hush theirs")})
    messages = pull(Secretive)[0].messages
    assert [each.column for each in messages] == ["item_name", "list lines"]
    assert "hush" not in f"{[(each.cause, each.value) for each in messages]}"


calls: list[tuple[str, Any, bool]] = []


class Hooked(ItemToAtlas):
    def post_process(self, *, local: Any, remote: Any, created: bool) -> None:
        calls.append((local.item_name, remote["vendor"], created))
        if remote["vendor"] == "boom":
            Tag.objects.create(word="half")
            raise ValueError("not this one")


Hooked.__name__ = "ItemToAtlas"


def test_post_process_sees_what_was_written_and_its_failure_is_a_message_of_its_own() -> None:
    calls.clear()
    remote().put("Item", anvil())
    remote().put("Item", anvil(id=2, name="Bomb", vendor="boom"))
    result = pull_items(Hooked)
    assert calls == [("Anvil", "GadgetTech", True), ("Bomb", "boom", True)]
    assert (result.counts, result.step.status) == ({"created": 2}, "partial")
    assert [each[3] for each in result.said] == ["post_process raises ValueError: not this one"]
    assert Item.objects.count() == 2
    assert not Tag.objects.exists(), "what it had written before it failed is not kept"
    # Again for what has failed alone.
    calls.clear()
    pull_items(Hooked)
    assert calls == [("Bomb", "boom", False)]
    remote().put("Item", {"id": 2, "vendor": "fine"})
    assert pull_items(Hooked).step.status == "done"


def test_a_pass_without_changes_writes_nothing_and_asks_little() -> None:
    for number in range(1, 31):
        remote().put("Item", anvil(id=number, lines=two_lines()))
    pull_items()
    with CaptureQueriesContext(
        connection,
    ) as first:
        pull_items()
    for number in range(31, 61):
        remote().put("Item", anvil(id=number))
    pull_items()
    with CaptureQueriesContext(connection) as second:
        pull_items()
    assert len(second) == len(first)


def test_a_pull_takes_as_many_queries_for_sixty_rows_as_for_thirty() -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert pull_items().step.failed == 0
        return len(seen)

    def put(first: int, last: int) -> None:
        for number in range(first, last):
            remote().put("Item", anvil(id=number, group_id=1, tags=[1]))

    remote().put("Group", {"id": 1, "title": "Tools", "parent_id": None})
    remote().put("Tag", {"id": 1, "word": "iron"})
    put(0, 1)
    queries()
    put(100, 130)
    thirty = queries()
    put(200, 260)
    assert queries() == thirty


def test_a_connector_without_get_pulls_as_well() -> None:
    remote().put("Item", anvil())
    assert pull_items(connector=ListOnly).counts == {"created": 1}


def test_constants_and_functions_are_never_pulled() -> None:
    pushing: dict[str, Any] = {"name": "item_name", "vendor": Const("x"), "loud": str}
    pushing["loud"] = lambda item: item.item_name.upper()
    remote().put("Item", anvil(loud="no"))
    assert pull_items(mapping(ItemToAtlas, fields=pushing)).counts == {"created": 1}


def test_two_accounts_never_read_each_others_keys() -> None:
    class Other(Mapping):
        objectname, model = "Group", ItemGroup
        fields = {"title": "name"}

    remote().put("Group", {"id": 1, "title": "Tools", "parent_id": None})
    pull(GroupToAtlas)
    pull(Other)
    assert ItemGroup.objects.count() == 2


def test_a_relation_may_name_its_mapping() -> None:
    """Tags of another mapping have the same keys over there."""

    class Words(Mapping):
        objectname, model, fields = "Word", Tag, {"word": "word"}

    tagging = mapping(ItemToAtlas, fields={"name": "item_name", "tags": is_a(Tag, Words)})
    remote().put("Tag", {"id": 1, "word": "tag"})
    remote().put("Word", {"id": 1, "word": "word"})
    remote().put("Item", anvil(tags=[1]))
    assert pull(TagToAtlas, Words, tagging)[-1].counts == {"created": 1}
    assert [tag.word for tag in Item.objects.get().tags.all()] == ["word"]
