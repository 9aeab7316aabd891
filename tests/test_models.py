"""The ledger's rows: counts that never part, runs whose process is gone, values in words."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from data_migration.models import RowError, Run, RunStep, shown
from data_migration.outcomes import Mode, Outcome, RunStatus


def run(**fields: object) -> Run:
    defaults: dict[str, object] = {
        "status": RunStatus.RUNNING,
        "mode": Mode.COMMIT,
        "host": socket.gethostname(),
        "process": os.getpid(),
        "started_at": timezone.now(),
    }
    return Run(**{**defaults, **fields})


def dead_process() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_a_run_of_a_living_process_is_running() -> None:
    assert run().current_status == "running"
    assert run(process=1).current_status == "running"  # another user's, where we are not root


def test_a_run_of_a_dead_process_is_interrupted() -> None:
    dead = run(process=dead_process())

    assert dead.current_status == "interrupted"
    assert RunStep(run=dead, status=RunStatus.RUNNING).current_status == "interrupted"
    assert RunStep(run=dead, status=RunStatus.DONE).current_status == "done"
    assert str(dead) == "None (commit, interrupted)"


def test_of_another_machine_nothing_can_be_said() -> None:
    assert run(process=dead_process(), host="elsewhere").current_status == "running"


def test_a_run_that_ended_keeps_its_status() -> None:
    assert run(process=dead_process(), status=RunStatus.DONE).current_status == "done"


@pytest.mark.parametrize(
    ("mode", "dry"), [("rehearsal", True), ("commit", False), ("atomic", False)]
)
def test_only_a_rehearsal_is_dry(mode: str, dry: bool) -> None:
    assert run(mode=mode).is_dry is dry


@given(st.lists(st.tuples(st.sampled_from(Outcome), st.integers(0, 1000)), max_size=30))
def test_the_outcomes_always_add_up_to_the_rows_read(counted: list[tuple[Outcome, int]]) -> None:
    step = RunStep()
    for outcome, rows in counted:
        step.count(outcome, rows)

    assert step.read == sum(getattr(step, outcome.value) for outcome in Outcome)
    step.warnings = 3
    step.keep_failures_only()
    assert step.read == step.failed == sum(n for outcome, n in counted if outcome == "failed")
    assert step.read == sum(getattr(step, outcome.value) for outcome in Outcome)
    assert step.warnings == 0


@pytest.mark.django_db
def test_a_migration_is_once_in_a_run() -> None:
    saved = run()
    saved.save()
    RunStep.objects.create(run=saved, position=1, migration="a.B", status="pending")

    with pytest.raises(IntegrityError), transaction.atomic():
        RunStep.objects.create(run=saved, position=2, migration="a.B", status="pending")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "NULL"),
        ("", "''"),
        ("n/a", "'n/a'"),
        ("two\nlines", r"'two\nlines'"),
        (b"\xff", r"b'\xff'"),
        (7, "7"),
        (True, "True"),
    ],
)
def test_values_are_shown_as_people_read_them(value: object, text: str) -> None:
    assert shown(value) == text


def test_long_values_are_cut() -> None:
    assert shown("x" * 600) == "'" + "x" * 498 + "…"
    assert len(shown("x" * 498)) == 500


def test_a_message_says_where() -> None:
    message = RowError(row_number=3, column="pages", value="'many'", cause="not a number")

    assert str(message) == "row 3, pages = 'many': not a number"
    message.key = '"K-1"'
    assert message.where == "\"K-1\", pages = 'many'"
    message.column = ""
    assert message.where == '"K-1"'
