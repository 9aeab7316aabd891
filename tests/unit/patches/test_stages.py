"""Where patches run in a plan of schema migrations; nothing of it needs a database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_migration.patches.definition import Definition
from data_migration.patches.patch import Patch
from data_migration.patches.schema import Schema
from data_migration.patches.stages import Stages, stages

pytestmark = pytest.mark.once


def define(name: str, *, depends_on: tuple[str, ...] = (), **attributes: Any) -> Definition:
    return Definition(
        app_label="shop",
        name=name,
        revision="1",
        title="",
        patch=type("Some", (Patch,), attributes),
        folder=Path(),
        place="a test",
        depends_on=tuple(f"shop.{label}" for label in depends_on),
        phase=attributes.get("phase"),
    )


def names(app: str, *numbers: int) -> list[tuple[str, str]]:
    return [(app, f"{number:04}_change") for number in numbers]


def schema(*applied: tuple[str, str], known: list[tuple[str, str]], **more: Any) -> Schema:
    return Schema(frozenset(applied), frozenset([*known, *applied]), **more)


SHOP = names("shop", *range(1, 10))


def place(*definitions: Definition, applied: int = 6, **operations: Any) -> Stages:
    """Migration ``0007`` and later are to be applied, as far as nothing else is said."""
    at = schema(*SHOP[:applied], known=SHOP)
    return stages(definitions, at, SHOP[applied:], **operations)


def test_a_patch_without_needs_and_before_runs_after_the_plan() -> None:
    assert place(define("a")).places == {"shop.a": 3}


def test_a_patch_that_has_to_precede_something_of_the_plan_runs_before_it() -> None:
    assert place(define("a", before=[("shop", "0009")])).places == {"shop.a": 0}


def test_a_patch_with_needs_in_the_plan_and_no_hurry_runs_after_it() -> None:
    assert place(define("a", needs=[("shop", "0007")], phase="before")).places == {"shop.a": 3}


def test_a_patch_in_a_range_runs_between_as_late_as_it_can() -> None:
    found = place(define("a", needs=[("shop", "0007")], before=[("shop", "0009")]))
    assert (found.places, found.between, found.next_stop) == ({"shop.a": 2}, ["shop.a"], 2)


def test_patches_share_a_stop_where_their_ranges_meet() -> None:
    found = place(
        define("a", needs=[("shop", "0006")], before=[("shop", "0009")]),
        define("b", needs=[("shop", "0005")], before=[("shop", "0008")]),
        define("c", needs=[("shop", "0007")], before=[("shop", "0009")]),
        applied=4,
    )
    assert found.places == {"shop.a": 3, "shop.b": 3, "shop.c": 3}


def test_what_others_depend_on_comes_as_early_as_they_do() -> None:
    found = place(define("a"), define("b", depends_on=("a",), before=[("shop", "0009")]))
    assert found.places == {"shop.a": 0, "shop.b": 0}


def test_a_patch_waits_for_what_it_depends_on() -> None:
    found = place(define("a"), define("b", depends_on=("a",), phase="before"))
    assert found.places == {"shop.a": 3, "shop.b": 3}


def test_needs_that_the_plan_does_not_reach_leave_it_waiting_with_all_behind_it() -> None:
    found = place(
        define("a", needs=[("shop", "0010")]), define("b", depends_on=("a",)), define("c")
    )
    assert found.places == {"shop.c": 3}
    assert found.waiting == {
        "shop.a": "It needs shop.0010, which is not applied and not in this plan.",
        "shop.b": "It runs after shop.a, which waits itself.",
    }


def test_a_plan_that_leaves_no_time_to_run_is_told() -> None:
    found = place(
        define("a", needs=[("shop", "0009")], before=[("shop", "0008")]),
        define("b", needs=[("catalog", "0003")], before=[("shop", "0008")]),
    )
    assert not found.places
    assert found.late == {
        "shop.a": (
            "It can run from shop.0009_change on. It has to run before shop.0008_change, which is"
            " in this plan."
        ),
        "shop.b": (
            "It needs catalog.0003, which is not applied and not in this plan. It has to run"
            " before shop.0008_change, which is in this plan."
        ),
    }


def test_an_operation_that_waits_for_a_patch_has_it_before_its_migration() -> None:
    found = place(define("a", needs=[("shop", "0007")]), required_in={"shop.a": 2})
    assert found.places == {"shop.a": 2}


def test_what_an_operation_runs_has_no_place_but_those_around_it_have() -> None:
    found = place(
        define("a"),
        define("b", depends_on=("a",)),
        define("c", depends_on=("b",)),
        run_in={"shop.b": 1},
    )
    assert found.places == {"shop.a": 0, "shop.c": 3}


def test_a_squashed_migration_stands_for_those_that_it_replaces() -> None:
    squash = ("shop", "0001_squashed_0009")
    at = schema(known=[squash, *SHOP], replaces={squash: tuple(SHOP)})
    found = stages(
        [define("a", needs=[("shop", "0007")]), define("b", needs=[squash])], at, [squash]
    )
    assert found.places == {"shop.a": 1, "shop.b": 1}
    one_by_one = schema(*SHOP, known=[squash], replaces={squash: tuple(SHOP)})
    assert one_by_one.too_early(define("b", needs=[squash])) == ""
    half = schema(*SHOP[:5], known=[squash, *SHOP], replaces={squash: tuple(SHOP)})
    assert half.too_early(define("b", needs=[squash])).startswith("It needs shop.0001_squashed")
    assert half.too_early(define("b", needs=[("shop", "0001")])) == ""


def test_apps_without_schema_migrations_keep_nobody_waiting() -> None:
    at = schema(known=SHOP, unmigrated=frozenset({"old"}))
    assert stages([define("a", needs=[("old", "0001")])], at, SHOP).places == {"shop.a": 9}


PLANS = st.permutations([*names("shop", 1, 2, 3, 4), *names("catalog", 1, 2, 3, 4)])
NAMES = st.lists(
    st.tuples(st.sampled_from(["shop", "catalog"]), st.sampled_from(["0001", "0003", "0004"])),
    max_size=2,
)


@st.composite
def patches(draw: st.DrawFn) -> list[Definition]:
    made: list[Definition] = []
    for number in range(draw(st.integers(1, 6))):
        earlier = [each.name for each in made]
        depends = draw(st.lists(st.sampled_from(earlier), max_size=2)) if earlier else []
        made.append(
            define(
                f"p{number}",
                depends_on=tuple(depends),
                needs=draw(NAMES),
                before=draw(NAMES),
                phase=draw(st.sampled_from([None, "before", "after"])),
            )
        )
    return made


@given(PLANS, st.integers(0, 4), patches())
def test_each_patch_runs_after_all_its_needs_and_before_all_its_befores_or_is_reported(
    plan: list[tuple[str, str]], applied: int, definitions: list[Definition]
) -> None:
    at = schema(*plan[:applied], known=plan)
    due = [each for each in definitions if not at.too_late(each)]
    found = stages(due, at, plan[applied:])
    told = [*found.places, *found.waiting, *found.late]
    assert sorted(told) == sorted(each.label for each in due)
    for each in due:
        if each.label not in found.places:
            continue
        when = found.places[each.label]
        done, left = plan[: applied + when], plan[applied + when :]
        assert all(at.meant_by(name)[0] in done for name in each.patch.needs)
        assert all(at.meant_by(name)[0] in left for name in each.patch.before)
        for label in each.depends_on:
            assert label not in {*found.waiting, *found.late}
            assert found.places.get(label, 0) <= when
