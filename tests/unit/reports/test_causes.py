"""Messages of the same cause, counted together."""

from __future__ import annotations

import pytest

from data_migration.models import MigrationState, RowError, Run, RunStep
from data_migration.reports.causes import causes, like

pytestmark = pytest.mark.django_db


@pytest.fixture
def step() -> RunStep:
    from data_migration.ledger.queue import this_process

    run = Run.objects.create(status="done", mode="commit", **this_process())
    return RunStep.objects.create(run=run, position=1, migration="a.M", status="done")


def tell(step: RunStep, value: str, *, pattern: str = "no … there", **fields: object) -> None:
    state, _ = MigrationState.objects.get_or_create(label="a.M")
    values = {"kind": "failure", "column": "x", "cause": f"no {value} there", **fields}
    RowError.objects.create(
        step=step, migration=state, row_number=1, value=value, pattern=pattern, **values
    )


def test_rows_that_differ_in_their_value_are_one_cause(step: RunStep) -> None:
    for value in ("1", "2", "3"):
        tell(step, value, is_open=value != "3")
    (cause,) = causes(RowError.objects.all())
    assert (cause.rows, cause.waiting, cause.cause, cause.value) == (3, 2, "no … there", "")
    assert cause.is_varied
    assert cause.example.value == "3"


def test_rows_with_the_same_value_say_it(step: RunStep) -> None:
    tell(step, "0")
    tell(step, "0")
    (cause,) = causes(RowError.objects.all())
    assert (cause.rows, cause.cause, cause.value) == (2, "no 0 there", "0")
    assert not cause.is_varied


def test_the_commonest_come_first(step: RunStep) -> None:
    tell(step, "1")
    for _ in range(2):
        tell(step, "1", column="y")
    assert [(cause.example.column, cause.rows) for cause in causes(RowError.objects.all())] == [
        ("y", 2),
        ("x", 1),
    ]


def test_column_kind_and_pattern_tell_causes_apart(step: RunStep) -> None:
    tell(step, "1")
    tell(step, "1", column="y")
    tell(step, "1", kind="warning")
    tell(step, "1", pattern="other")
    found = causes(RowError.objects.all())
    assert [cause.rows for cause in found] == [1, 1, 1, 1]
    for cause in found:
        assert [*like(RowError.objects.all(), cause.example)] == [cause.example]


def test_messages_without_a_pattern_keep_their_words(step: RunStep) -> None:
    tell(step, "1", pattern="")
    tell(step, "2", pattern="")
    (cause,) = causes(RowError.objects.all())
    assert cause.cause == "no 2 there"
