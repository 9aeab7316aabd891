"""What a run will do of the whole plan, given what was done before."""

from __future__ import annotations

import pytest
from django.db import connection

from data_migration import Migration
from data_migration.plan.due import changed, due, has_rows, left_out, pending, with_failures
from data_migration.plan.graph import Plan, PlanStep
from data_migration.spec.fingerprint import fingerprint
from tests.apps.library.models import Genre


class Once(Migration):
    query = "SELECT 1"
    model = Genre


class Again(Once):
    allow_updates = True


class Never(Once):
    skip = True


PLAN = Plan(
    (
        PlanStep("a.Once", Once),
        PlanStep("a.Again", Again, ("a.Once",)),
        PlanStep("a.Never", Never, ("a.Once",)),
        PlanStep("b.Once", Once, ("a.Again", "a.Never")),
    )
)
ALL = {step.label for step in PLAN}


def labels(plan: Plan | list[PlanStep]) -> list[str]:
    return [step.label for step in plan]


def test_at_first_everything_is_due() -> None:
    assert labels(due(PLAN, set())) == ["a.Once", "a.Again", "a.Never", "b.Once"]


def test_afterwards_what_is_updateable_and_what_is_listed_as_skipped() -> None:
    assert labels(due(PLAN, ALL)) == ["a.Again", "a.Never"]


def test_update_makes_everything_due_again() -> None:
    assert due(PLAN, ALL, update=True) == PLAN


def test_retrying_is_for_what_has_failures_and_lists_what_is_skipped() -> None:
    assert labels(with_failures(PLAN, {"b.Once", "c.Other"})) == ["a.Never", "b.Once"]
    assert labels(with_failures(PLAN, set())) == ["a.Never"]


def test_pending_is_what_was_never_finished_and_is_not_skipped() -> None:
    assert labels(pending(PLAN, {"a.Once"})) == ["a.Again", "b.Once"]
    assert labels(pending(PLAN, ALL)) == []


def test_left_out_names_what_is_neither_selected_nor_finished_nor_skipped() -> None:
    selected = PLAN.select(["b.Once", "a.Never"])

    assert left_out(selected, PLAN, set()) == [("b.Once", "a.Again")]
    assert left_out(selected, PLAN, {"a.Again"}) == []
    assert left_out(PLAN, PLAN, set()) == []


@pytest.mark.django_db
def test_has_rows_looks_into_the_table() -> None:
    assert not has_rows(Genre, connection.alias)
    Genre.objects.create(name="Crime")
    assert has_rows(Genre, connection.alias)


@pytest.mark.django_db(transaction=True)
def test_a_table_that_is_not_there_has_no_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Genre._meta, "db_table", "no_such_table")

    assert not has_rows(Genre, connection.alias)


def test_a_spec_has_changed_where_it_is_another_than_the_applied_one() -> None:
    applied = {"a.Once": fingerprint(Once), "a.Again": "of an older spec", "z.Gone": "x"}

    assert changed(PLAN, applied) == {"a.Again"}
