"""Random edits on both sides, random policies, random crashes: both sides agree in the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping as Dict
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from django.conf import LazySettings
from hypothesis import given, settings
from hypothesis import strategies as st

from data_migration.models import Outgoing, RunStep
from data_migration.outcomes import RunKind
from data_migration.sync import Mapping, Written
from data_migration.sync.options import Mode, SyncOptions
from data_migration.sync.runner import run_sync
from tests.apps.shop.models import Everything
from tests.support.engine import undone
from tests.support.examples import examples
from tests.support.memory_remote import MemoryRemote, forget_remotes, remote_of
from tests.support.syncing import counted, last_sync, synced, syncs_of

pytestmark = pytest.mark.django_db

#: Remote name -> ours.
FIELDS = {"name": "text", "qty": "integer", "done": "boolean"}
VALUES: Dict[str, st.SearchStrategy[Any]] = {
    "name": st.sampled_from(["a", "b", "c", None]),
    "qty": st.integers(0, 2),
    "done": st.booleans(),
}
OBJECT = "Thing"


class Crash(BaseException):
    """The process ends here: no ``except Exception`` sees it."""


class Crashing(MemoryRemote):
    """Ends the process at one of its calls: before it is carried out, or after."""

    crash_at: int | None = None
    is_after = False

    def _call(self, name: str) -> None:
        super()._call(name)
        cls = type(self)
        if cls.crash_at is not None:
            cls.crash_at -= 1
            if cls.crash_at == 0 and not cls.is_after:
                cls.crash_at = None
                raise Crash

    def _answer(self, name: str, written: Written) -> Written:
        cls = type(self)
        if cls.is_after and cls.crash_at is not None and cls.crash_at <= 0:
            cls.crash_at = None
            raise Crash
        return super()._answer(name, written)


@dataclass(frozen=True)
class Edit:
    """Somebody writes one value, here or over there, of the row of a place in the list."""

    is_here: bool
    place: int
    name: str
    value: Any


edit = st.sampled_from(sorted(VALUES)).flatmap(
    lambda name: st.builds(
        Edit,
        is_here=st.booleans(),
        place=st.integers(0, 5),
        name=st.just(name),
        value=VALUES[name],
    )
)


@dataclass(frozen=True)
class Round:
    """What people do between two runs, and where the first attempt of the next one ends."""

    new_here: int
    new_there: int
    edits: list[Edit]
    crash_at: int | None
    is_after: bool


rounds = st.builds(
    Round,
    new_here=st.integers(0, 2),
    new_there=st.integers(0, 2),
    edits=st.lists(edit, max_size=5),
    crash_at=st.none() | st.integers(1, 12),
    is_after=st.booleans(),
)


@pytest.fixture(autouse=True)
def account(settings: LazySettings) -> None:
    settings.DATA_MIGRATION_CONNECTORS = {
        "atlas": {
            "CONNECTOR": "tests.stories.test_syncs_random.Crashing",
            "HOST": "atlas",
        }
    }


class Both:
    """Both sides as people see them: values by the number that stands for a row on both."""

    def __init__(self) -> None:
        self.made = 0

    def here(self) -> dict[int, dict[str, Any]]:
        found = Everything.objects.values_list("small", *FIELDS.values())
        return {number: dict(zip(FIELDS, values, strict=True)) for number, *values in found}

    def there(self) -> dict[int, dict[str, Any]]:
        rows = remote_of("atlas").tables[OBJECT].values()
        return {row["number"]: {name: row.get(name) for name in FIELDS} for row in rows}

    def make(self, *, is_here: bool) -> None:
        self.made += 1
        if is_here:
            Everything.objects.create(small=self.made, text="a", integer=0, boolean=False)
        else:
            row = {"number": self.made, "name": "a", "qty": 0, "done": False}
            remote_of("atlas").put(OBJECT, row)

    def edit(self, edit: Edit) -> None:
        number = edit.place % self.made + 1 if self.made else 0
        if edit.is_here:
            Everything.objects.filter(small=number).update(**{FIELDS[edit.name]: edit.value})
            return
        for key, row in remote_of("atlas").tables[OBJECT].items():
            if row["number"] == number:
                remote_of("atlas").put(OBJECT, {"id": key, edit.name: edit.value})
                return


def merged(
    before: Dict[int, Dict[str, Any]],
    here: Dict[int, Dict[str, Any]],
    there: Dict[int, Dict[str, Any]],
    policy: str,
) -> dict[int, dict[str, tuple[Any, Any]]]:
    """What a three-way merge makes of it, by hand: the values here and over there afterwards."""
    found: dict[int, dict[str, tuple[Any, Any]]] = {}
    for number in here.keys() | there.keys():
        ours, theirs = here.get(number), there.get(number)
        found[number] = {}
        for name in FIELDS:
            if ours is None or theirs is None:
                value = (ours or theirs or {})[name]
                found[number][name] = (value, value)
                continue
            ancestor = before[number][name]
            mine, its = ours[name], theirs[name]
            if mine == its or its == ancestor:
                found[number][name] = (mine, mine)
            elif mine == ancestor:
                found[number][name] = (its, its)
            elif policy == "keep":
                found[number][name] = (mine, mine)
            elif policy == "overwrite":
                found[number][name] = (its, its)
            else:
                found[number][name] = (mine, its)
    return found


def _run(syncs: Any) -> None:
    run_sync(syncs, SyncOptions(mode=Mode.COMMIT))


@given(
    st.lists(rounds, min_size=1, max_size=4),
    st.sampled_from(["keep", "overwrite", "report"]),
    st.sampled_from([None, "updated_at"]),
    st.integers(1, 4),
)
@settings(max_examples=examples(20))
def test_both_sides_are_merged_by_field_and_nothing_is_doubled(
    played: list[Round], policy: str, changed_column: str | None, size: int
) -> None:
    class Things(Mapping):
        objectname = OBJECT
        model = Everything
        fields = {**FIELDS, "number": "small"}
        on_conflict = policy
        changed = changed_column
        page_size = size

    with undone():
        forget_remotes()
        both, syncs = Both(), syncs_of(Things)
        before: dict[int, dict[str, Any]] = {}
        held = False
        for each in played:
            for _ in range(each.new_here):
                both.make(is_here=True)
            for _ in range(each.new_there):
                both.make(is_here=False)
            for change in each.edits:
                both.edit(change)
            expected = merged(before, both.here(), both.there(), policy)
            held = held or any(
                ours != theirs for row in expected.values() for ours, theirs in row.values()
            )
            if held:  # from then on a person has to say
                break
            Crashing.crash_at, Crashing.is_after = each.crash_at, each.is_after
            with suppress(Crash):
                _run(syncs)
            Crashing.crash_at = None
            _run(syncs)  # what was begun is ended
            _run(syncs)
            assert both.here() == {
                number: {name: pair[0] for name, pair in row.items()}
                for number, row in expected.items()
            }
            assert both.there() == {
                number: {name: pair[1] for name, pair in row.items()}
                for number, row in expected.items()
            }
            numbers = [row["number"] for row in remote_of("atlas").tables[OBJECT].values()]
            assert max(Counter(numbers).values(), default=1) == 1, "a row is there twice"
            assert Everything.objects.count() == len(numbers) == both.made
            assert not Outgoing.objects.exists()
            _all_counted()
            writes = remote_of("atlas").writes
            again = synced(syncs)
            assert (again.written, remote_of("atlas").writes) == ({}, writes)
            before = both.here()
        if held:
            _run(syncs)
            assert {
                number: {
                    name: (both.here()[number][name], both.there()[number][name])
                    for name in FIELDS
                }
                for number in expected
            } == expected
            open_ = {(message[2]) for message in last_sync().messages if message[0] == "conflict"}
            fields = {
                FIELDS[name]
                for row in expected.values()
                for name, (ours, theirs) in row.items()
                if ours != theirs
            }
            assert open_ == fields


def _all_counted() -> None:
    for step in RunStep.objects.filter(run__kind=RunKind.SYNC, run__status="done"):
        counted(step)
