"""Three-way merges: what both sides had at last, what it is here, what it is over there."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from data_migration.fields.digests import FieldDigests
from data_migration.ledger.messages import open_conflicts
from data_migration.ledger.pruning import prune
from data_migration.migration import Migration
from data_migration.models import MigrationState
from data_migration.spec.columns import Column
from data_migration.spec.terms import Terms
from tests.apps.exchange.models import Item
from tests.support.engine import Result, book_of, links_of, migrate, state_of
from tests.support.undoing import undo

pytestmark = pytest.mark.django_db

TWO_WAY = frozenset({"item_name", "note", "price"})


def mapping(on_conflict: str = "keep", **terms: Any) -> type[Migration]:
    class Items(Migration):
        query = "SELECT"
        model = Item
        legacy_key = "id"
        column_description = {"id": Column(exclude=True), "at": Column(exclude=True)}
        allow_updates = True
        deleted = "keep"
        _terms = Terms(**{"two_way": TWO_WAY, **terms})

    Items.on_conflict = on_conflict
    return Items


def row(**values: Any) -> dict[str, Any]:
    return {"id": 1, "at": None, "item_name": "a", "note": "a", **values}


def agreed(cls: type[Migration], *names: str) -> list[bool]:
    """Whether what counts as written is what the object has, so that nothing is to be sent."""
    written = book_of(cls).written(links_of(cls)["1"])
    digests = FieldDigests(Item, database="default")
    return [written[name] == digests.of(name, Item.objects.get()) for name in names]


def conflict(cls: type[Migration], **values: Any) -> Result:
    """Created as ``a``, changed here to ``l`` and there to ``r``."""
    migrate(cls, [row()])
    Item.objects.update(note="l")
    return migrate(cls, [row(note="r", **values)])


def test_what_was_changed_here_alone_stays_and_is_to_be_sent() -> None:
    cls = mapping()
    migrate(cls, [row()])
    Item.objects.update(note="l")
    result = migrate(cls, [row(item_name="r")])
    item = Item.objects.get()
    assert (item.item_name, item.note) == ("r", "l")
    assert (result.counts, result.said) == ({"updated": 1}, [])
    assert agreed(cls, "item_name", "note") == [True, False]


def test_what_was_made_the_same_on_both_sides_is_agreed() -> None:
    cls = mapping()
    migrate(cls, [row()])
    Item.objects.update(note="r")
    result = migrate(cls, [row(note="r")])
    assert (result.counts, result.said) == ({"unchanged": 1}, [])
    assert agreed(cls, "note") == [True]


def test_with_keep_ours_stays_and_is_to_be_sent_once() -> None:
    cls = mapping("keep")
    result = conflict(cls, item_name="r")
    assert result.said == [
        ("conflict", "1", "was changed to 'l' since it was written, which is kept")
    ]
    assert result.told == [("1", "note", "'r'")]
    assert (Item.objects.get().note, agreed(cls, "note")) == ("l", [False])
    # Theirs is known now: no conflict again.
    assert migrate(cls, [row(note="r", item_name="again")]).said == []
    assert Item.objects.get().note == "l"


def test_with_overwrite_theirs_is_taken() -> None:
    cls = mapping("overwrite")
    result = conflict(cls)
    assert [kind for kind, *_ in result.said] == ["conflict"]
    assert (Item.objects.get().note, agreed(cls, "note")) == ("r", [True])


@pytest.mark.parametrize(("here", "note"), [("2026-01-01 10:00", "r"), ("2026-01-01 14:00", "l")])
@pytest.mark.parametrize("there", ["2026-01-01T12:00:00Z", 1767268800])
def test_with_newest_the_later_change_counts(here: str, note: str, there: Any) -> None:
    cls = mapping("newest", newest=("at", "changed_at"))
    migrate(cls, [row()])
    Item.objects.update(note="l", changed_at=dt.datetime.fromisoformat(here + "+00:00"))
    result = migrate(cls, [row(note="r", at=there)])
    assert Item.objects.get().note == note
    end = "is overwritten, being older" if note == "r" else "is kept, being newer"
    assert result.causes == [f"was changed to 'l' since it was written, which {end}"]


def test_with_newest_and_no_time_the_row_fails() -> None:
    cls = mapping("newest", newest=("at", "changed_at"))
    migrate(cls, [row()])
    Item.objects.update(note="l")
    result = migrate(cls, [row(note="r", at="2026-01-01T12:00:00Z")])
    assert result.counts == {"failed": 1}
    assert "nothing says which change is the newer one" in result.causes[0]


def open_of(cls: type[Migration]) -> list[dict[str, str]]:
    return list(open_conflicts(state_of(cls), database="default").values())


def test_with_report_the_field_waits_and_the_others_merge() -> None:
    cls = mapping("report")
    result = conflict(cls, item_name="r")
    item = Item.objects.get()
    assert (item.item_name, item.note) == ("r", "l")
    assert result.counts == {"updated": 1, "warnings": 1}
    assert open_of(cls) == [{"note": "'r'"}]
    assert agreed(cls, "item_name", "note") == [True, False]


def test_a_conflict_that_waits_is_told_once_and_looked_at_each_time() -> None:
    cls = mapping("report")
    conflict(cls)
    assert migrate(cls, [row(note="r")]).said == []
    assert open_of(cls) == [{"note": "'r'"}]
    migrate(cls, [row(note="other")])
    assert open_of(cls) == [{"note": "'other'"}]


@pytest.mark.parametrize("there", ["l", "a"])
def test_a_conflict_that_is_none_any_more_is_closed(there: str) -> None:
    """Both are the same by now, or over there it is again what it was."""
    cls = mapping("report")
    conflict(cls)
    migrate(cls, [row(note=there)])
    assert open_of(cls) == []
    assert Item.objects.get().note == "l"


def test_a_conflict_ends_when_it_is_mended_here() -> None:
    cls = mapping("report")
    conflict(cls)
    Item.objects.update(note="r")
    migrate(cls, [row(note="r")])
    assert (open_of(cls), agreed(cls, "note")) == ([], [True])


@pytest.mark.parametrize(
    ("side", "note", "is_agreed"), [("ours", "l", False), ("theirs", "r", True)]
)
def test_a_person_settles_a_conflict(side: str, note: str, is_agreed: bool) -> None:
    cls = mapping("report")
    conflict(cls)
    cls._terms = Terms(two_way=TWO_WAY, settle={"note": side})
    assert migrate(cls, [row(note="r")]).said == []
    assert (open_of(cls), Item.objects.get().note, agreed(cls, "note")) == ([], note, [is_agreed])
    # And it stays settled.
    cls._terms = Terms(two_way=TWO_WAY)
    assert migrate(cls, [row(note="r", item_name="again")]).said == []
    assert Item.objects.get().note == note


def test_a_field_that_is_absent_from_the_row_stays_in_conflict() -> None:
    cls = mapping("report")
    conflict(cls)
    without = row(item_name="again")
    del without["note"]
    migrate(cls, [without])
    assert open_of(cls) == [{"note": "'r'"}]


def test_what_waits_for_a_person_outlives_the_pruning_of_its_run() -> None:
    cls = mapping("report")
    conflict(cls)
    migrate(cls, [row(note="r", item_name="again")])
    prune(timezone.now() + dt.timedelta(days=1), database="default")
    assert open_of(cls) == [{"note": "'r'"}]


def test_a_rollback_leaves_no_conflict_that_waits() -> None:
    cls = mapping("report")
    conflict(cls)
    undo(cls, force=True)
    assert open_of(cls) == []


def test_an_object_that_is_adopted_takes_what_it_lacks_and_keeps_what_it_has() -> None:
    Item.objects.create(sku="S1", item_name="l", note="")
    cls = mapping(match=("sku",))
    result = migrate(cls, [row(sku="S1", item_name="r", note="r")])
    item = Item.objects.get()
    assert (item.item_name, item.note) == ("l", "r")
    assert result.told == [("1", "item_name", "'r'")]
    assert agreed(cls, "item_name", "note") == [False, True]


def test_an_adopted_objects_conflict_may_wait_too() -> None:
    Item.objects.create(sku="S1", item_name="l", note="")
    cls = mapping("report", match=("sku",))
    migrate(cls, [row(sku="S1", item_name="r", note="r")])
    assert open_of(cls) == [{"item_name": "'r'"}]
    migrate(cls, [row(sku="S1", item_name="r", note="again")])
    assert open_of(cls) == [{"item_name": "'r'"}]
    assert Item.objects.get().item_name == "l"


def test_two_rows_cannot_be_one_object() -> None:
    Item.objects.create(sku="S1", item_name="a")
    cls = mapping(match=("sku",))
    result = migrate(cls, [row(sku="S1"), row(id=2, sku="S1")])
    assert result.counts == {"updated": 1, "failed": 1} or result.counts["failed"] == 1
    assert "two rows cannot be one object" in result.causes[0]
    # Nor in a later run.
    again = migrate(cls, [row(sku="S1"), row(id=2, sku="S1")])
    assert again.counts == {"unchanged": 1, "failed": 1}


def test_match_is_asked_only_where_there_is_no_link() -> None:
    cls = mapping(match=("sku",))
    migrate(cls, [row(sku="S1")])
    Item.objects.create(sku="S2", item_name="another")
    migrate(cls, [row(sku="S2")])
    assert list(Item.objects.order_by("pk").values_list("sku", flat=True)) == ["S2", "S2"]


def test_a_deletion_that_is_sent_is_no_conflict_until_the_row_changes() -> None:
    cls = mapping(deletes=True)
    cls.deleted = "create"
    migrate(cls, [row()])
    Item.objects.all().delete()
    assert migrate(cls, [row()]).counts == {"skipped": 1}
    assert migrate(cls, [row(note="r")]).counts["created"] == 1


VALUES = st.sampled_from(["", "x", "y", "z"])


@settings(max_examples=25)
@given(
    ancestor=VALUES,
    ours=VALUES,
    theirs=VALUES,
    policy=st.sampled_from(["keep", "overwrite", "newest", "report"]),
    is_newer=st.booleans(),
)
def test_every_merge_ends_as_the_rules_say(
    ancestor: str, ours: str, theirs: str, policy: str, is_newer: bool
) -> None:
    Item.objects.all().delete()
    MigrationState.objects.all().delete()
    cls = mapping(policy, newest=("at", "changed_at"))
    migrate(cls, [row(note=ancestor)])
    here = dt.datetime(2026, 1, 2 if is_newer else 1, tzinfo=dt.UTC)
    Item.objects.update(note=ours, changed_at=here)
    result = migrate(cls, [row(note=theirs, item_name="r", at="2026-01-01T12:00:00Z")])
    item = Item.objects.get()
    both = len({ancestor, ours, theirs}) == 3
    wins = {"keep": ours, "overwrite": theirs, "newest": ours if is_newer else theirs}
    expected = wins.get(policy, ours) if both else theirs if ours == ancestor else ours
    assert item.note == expected
    assert item.item_name == "r", "other fields always merge"
    assert len(result.said) == both
    assert len(open_of(cls)) == (both and policy == "report")
    # What is to be sent is what they do not have.
    assert agreed(cls, "note") == [expected == theirs]
    # And nothing more comes of the same rows.
    again = migrate(cls, [row(note=theirs, item_name="r", at="2026-01-01T12:00:00Z")])
    assert (again.counts, again.said) == ({"unchanged": 1}, [])
