"""Where each patch stands in one database, and what is said of it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from data_migration.ledger import Ledger, Message, NewStep
from data_migration.ledger.lanes import PATCHES
from data_migration.ledger.patches import PatchBook
from data_migration.models import PatchRecord, RunStep
from data_migration.outcomes import MessageKind, Mode, PatchState, RunKind
from data_migration.patches.definition import Definition
from data_migration.patches.digest import digest_of
from data_migration.patches.patch import Patch
from data_migration.patches.records import Standing, standings
from data_migration.patches.schema import Schema
from data_migration.rows.keys import identify

pytestmark = pytest.mark.django_db

SCHEMA = Schema(
    applied=frozenset({("shop", "0001_initial"), ("shop", "0007_item_slug")}),
    known=frozenset(
        ("shop", name)
        for name in ("0001_initial", "0007_item_slug", "0008_prices", "0009_drop_old_slug")
    ),
)


class Fill(Patch):
    """Fill in."""

    def execute(self) -> None:
        pass


class Other(Patch):
    def execute(self) -> None:
        self.ctx.log("other code")


def define(
    name: str, patch: type[Patch] = Fill, *, revision: str = "1", **given: Any
) -> Definition:
    attributes = {key: given.pop(key) for key in ("needs", "before", "on_change") if key in given}
    made = type(patch.__name__, (patch,), attributes) if attributes else patch
    return Definition(
        app_label="shop",
        name=name,
        revision=revision,
        title="Fill in.",
        patch=made,
        folder=Path(),
        place="shop/patches.py, line 1",
        **given,
    )


def record(definition: Definition, state: PatchState, **values: Any) -> PatchRecord:
    book = PatchBook("default")
    made = book.begin(
        definition.app_label,
        definition.name,
        definition.revision,
        digest=digest_of(definition),
        run=None,
    )
    book.finish(made, state, reason=values.pop("reason", ""))
    PatchRecord.objects.filter(pk=made.pk).update(**values)
    return made


def stand(*definitions: Definition) -> list[Standing]:
    return standings(definitions, database="default", schema=SCHEMA)


def states(*definitions: Definition) -> list[str]:
    return [each.state for each in stand(*definitions)]


def test_a_patch_without_a_record_is_pending() -> None:
    (standing,) = stand(define("fill"))
    assert (standing.state, standing.why, standing.record) == (PatchState.PENDING, "", None)
    assert standing.is_due
    assert not standing.is_settled


@pytest.mark.parametrize("state", [PatchState.DONE, PatchState.FAKED, PatchState.NOT_NEEDED])
def test_what_is_recorded_counts(state: PatchState) -> None:
    record(define("fill"), state)
    (standing,) = stand(define("fill"))
    assert standing.state == state
    assert standing.is_settled
    assert not standing.is_due


def test_who_faked_it_and_why_is_said() -> None:
    PatchBook("default").fake(
        "shop", "fill", "1", digest="", by="anna", reason="done by hand in spring"
    )
    (standing,) = stand(define("fill"))
    assert standing.state == PatchState.FAKED
    assert re.fullmatch(r"By anna, \d\d:\d\d: done by hand in spring", standing.why)


def test_a_partial_one_says_how_far_it_is() -> None:
    values = {"processed": 5000, "total": 12_000, "cursor": "5000"}
    record(define("fill"), PatchState.PARTIAL, **values)
    (standing,) = stand(define("fill"))
    assert standing.state == PatchState.PARTIAL
    assert standing.why == "5,000 of 12,000 objects processed. A run goes on there."
    assert standing.is_due


def test_objects_that_failed_are_counted() -> None:
    definition = define("fill")
    ledger = Ledger("default", lane=PATCHES)
    run = ledger.start_run(
        [NewStep(definition.step_label)], kind=RunKind.PATCH, mode=Mode.COMMIT, options={}
    )
    step = RunStep.objects.select_related("run").get(run=run)
    ledger.start_step(step)
    key_hash, key = identify(7)
    ledger.note(step, Message(MessageKind.FAILURE, "no", key=key, key_hash=key_hash))
    ledger.save_step(step)
    ledger.finish_run(run, step.status)
    record(definition, PatchState.PARTIAL, processed=10, total=10, is_walked=True)
    (standing,) = stand(definition)
    assert standing.failed == 1
    assert standing.why == ("10 of 10 objects processed; 1 object failed and can be tried again.")


def test_the_one_at_work_is_running() -> None:
    definition = define("fill")
    ledger = Ledger("default", lane=PATCHES)
    run = ledger.start_run(
        [NewStep(definition.step_label)], kind=RunKind.PATCH, mode=Mode.COMMIT, options={}
    )
    step = RunStep.objects.select_related("run").get(run=run)
    ledger.start_step(step)
    assert states(definition, define("other")) == [PatchState.RUNNING, PatchState.PENDING]


# ---------------------------------------------------------------- code that changed


def test_other_code_is_shown_and_not_run_again() -> None:
    record(define("fill"), PatchState.DONE)
    (standing,) = stand(define("fill", Other))
    assert standing.state == PatchState.CHANGED_SINCE
    assert "--force shop.fill" in standing.why
    assert "--fake shop.fill --reason TEXT" in standing.why
    assert standing.is_settled


def test_other_code_makes_it_pending_where_the_patch_says_so() -> None:
    record(define("fill"), PatchState.DONE)
    (standing,) = stand(define("fill", Other, on_change="rerun"))
    assert standing.state == PatchState.PENDING


def test_another_revision_is_pending() -> None:
    record(define("fill"), PatchState.DONE)
    assert states(define("fill", revision="2")) == [PatchState.PENDING]


def test_the_last_repeat_counts() -> None:
    definition = define("fill")
    record(definition, PatchState.DONE)
    book = PatchBook("default")
    identity = (definition.app_label, definition.name, definition.revision)
    again = book.begin(*identity, digest=digest_of(definition), run=None, again=True)
    assert again.repeat == 1
    assert states(definition) == [PatchState.PARTIAL]


# ---------------------------------------------------------------- names


@pytest.mark.parametrize("state", [PatchState.DONE, PatchState.PARTIAL, PatchState.FAKED])
def test_what_ran_under_a_former_name_has_run(state: PatchState) -> None:
    record(define("old"), state)
    assert states(define("new", replaces=("shop.old",))) == [state]


def test_a_later_revision_of_a_renamed_patch_is_pending() -> None:
    record(define("old"), PatchState.DONE)
    assert states(define("new", revision="2", replaces=("shop.old",))) == [PatchState.PENDING]


def test_a_patch_in_place_of_several_is_done_when_all_are() -> None:
    one = define("one", replaces=("shop.a", "shop.b"))
    assert states(one) == [PatchState.PENDING]
    record(define("a"), PatchState.DONE)
    (standing,) = stand(one)
    assert standing.state == PatchState.BLOCKED
    assert "shop.a has run and shop.b has not" in standing.why
    record(define("b"), PatchState.NOT_NEEDED)
    assert stand(one)[0].is_settled


# ---------------------------------------------------------------- the schema, and other patches


def test_it_waits_for_its_schema() -> None:
    (standing,) = stand(define("fill", needs=[("shop", "0008")]))
    assert standing.state == PatchState.BLOCKED
    assert standing.why == (
        "It needs shop.0008, which is not applied. Run: manage.py migrate shop"
    )
    assert states(define("fill", needs=[("shop", "0007")])) == [PatchState.PENDING]


def test_it_comes_too_late_where_its_schema_is_gone() -> None:
    (standing,) = stand(define("fill", before=[("shop", "0007_item_slug")]))
    assert standing.state == PatchState.IMPOSSIBLE
    assert standing.why.startswith("It had to run before shop.0007_item_slug, which is applied.")
    assert states(define("fill", before=[("shop", "0009")])) == [PatchState.PENDING]


def test_what_has_run_stays_done_when_its_schema_is_gone() -> None:
    late = define("fill", before=[("shop", "0007")])
    record(late, PatchState.DONE)
    assert states(late) == [PatchState.DONE]


def test_a_patch_after_one_that_is_blocked_is_blocked() -> None:
    first = define("first", needs=[("shop", "0009")])
    second = define("second", depends_on=("shop.first",))
    third = define("third", depends_on=("shop.second",))
    assert states(first, second, third) == [PatchState.BLOCKED] * 3
    assert stand(first, second)[1].why == "It runs after shop.first, which is blocked."


def test_a_patch_after_one_that_is_pending_is_pending() -> None:
    first, second = define("first"), define("second", depends_on=("shop.first",))
    assert states(first, second) == [PatchState.PENDING] * 2


# ---------------------------------------------------------------- queries


@pytest.mark.once
def test_the_number_of_queries_is_that_of_three_patches_for_sixty() -> None:
    def queries(number: int) -> int:
        patches = [define(f"fill_{each}") for each in range(number)]
        for each in patches[::2]:
            record(replace(each, name=f"{each.name}_{number}"), PatchState.DONE)
        with CaptureQueriesContext(connection) as captured:
            stand(*patches)
        return len(captured)

    assert queries(3) == queries(60)
