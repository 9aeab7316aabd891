"""The ledger's rows: counts that never part, runs whose process is gone, values in words."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from data_migration.models import RowError, Run, RunLock, RunStep
from data_migration.outcomes import Mode, Outcome, RunStatus
from data_migration.utils import processes


def run(**fields: object) -> Run:
    defaults: dict[str, object] = {
        "status": RunStatus.RUNNING,
        "mode": Mode.COMMIT,
        "host": socket.gethostname(),
        "process": os.getpid(),
        "heartbeat": timezone.now(),
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


def test_a_run_whose_process_number_was_given_out_again_is_interrupted() -> None:
    started = processes.started(os.getpid())
    assert run(process_started=started).current_status == "running"
    assert run(process_started=f"{started}0").current_status == "interrupted"


@pytest.mark.parametrize("place", [{"host": "elsewhere"}, {"process_started": "container:1"}])
def test_of_another_host_or_container_the_heartbeat_tells(
    place: dict[str, str], settings: Any
) -> None:
    settings.DATA_MIGRATION_LOCK_TIMEOUT = 30
    for silent, status in ((29, "running"), (31, "interrupted")):
        heartbeat = timezone.now() - timedelta(seconds=silent)
        found = run(process=dead_process(), heartbeat=heartbeat, **place)
        assert found.current_status == status


def test_here_a_living_process_needs_no_heartbeat() -> None:
    assert run(heartbeat=timezone.now() - timedelta(days=1)).current_status == "running"


@pytest.mark.django_db
def test_a_lock_says_who_holds_it() -> None:
    holding = run()
    holding.save()

    assert str(RunLock(run=holding)) == f"held by run {holding.pk}"
    assert str(RunLock()) == "free"


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


_COUNTED = st.lists(st.tuples(st.sampled_from(Outcome), st.integers(0, 1000)), max_size=15)


@given(kept=_COUNTED, lost=_COUNTED)
def test_of_what_was_rolled_back_since_then_only_failures_are_counted(
    kept: list[tuple[Outcome, int]], lost: list[tuple[Outcome, int]]
) -> None:
    step = RunStep(warnings=2, passed=5, removed=1)
    for outcome, rows in kept:
        step.count(outcome, rows)
    before = step.counts()
    step.warnings, step.passed, step.removed = 9, 9, 9
    for outcome, rows in lost:
        step.count(outcome, rows)

    step.keep_failures_only(before)

    failed = sum(rows for outcome, rows in lost if outcome == Outcome.FAILED)
    expected = {**before, "failed": before["failed"] + failed, "read": before["read"] + failed}
    assert step.counts() == expected


@pytest.mark.django_db
def test_a_migration_is_once_in_a_run() -> None:
    saved = run()
    saved.save()
    RunStep.objects.create(run=saved, position=1, migration="a.B", status="pending")

    with pytest.raises(IntegrityError), transaction.atomic():
        RunStep.objects.create(run=saved, position=2, migration="a.B", status="pending")


def test_a_message_says_where() -> None:
    message = RowError(row_number=3, column="pages", value="'many'", cause="not a number")

    assert str(message) == "row 3, pages = 'many': not a number"
    message.key = '"K-1"'
    assert message.where == "\"K-1\", pages = 'many'"
    message.column = ""
    assert message.where == '"K-1"'


def test_a_run_knows_the_labels_that_were_chosen() -> None:
    assert run(options={"labels": ["shop"], "limit": 5}).labels == ["shop"]
    assert run(options={}).labels == []


def test_starting_and_rolling_back_have_permissions_of_their_own() -> None:
    names = {f"{action}_run" for action in Run._meta.default_permissions}
    names |= {name for name, _ in Run._meta.permissions}
    assert {"view_run", "start_run", "rollback_run"} <= names


def test_a_queued_run_is_queued_however_long_it_waits() -> None:
    queued = run(status=RunStatus.QUEUED, host="", process=0, heartbeat=timezone.now())
    queued.heartbeat -= timedelta(days=30)
    assert queued.current_status == "queued"
