"""What the ledger remembers of runs, and what it answers."""

from __future__ import annotations

import pytest

from data_migration import Migration
from data_migration.drafts import Draft, Note
from data_migration.exceptions import LedgerError
from data_migration.graph import Plan, PlanStep
from data_migration.ledger import Ledger
from data_migration.models import RowError, Run, RunStep
from data_migration.outcomes import Mode, Outcome, RunStatus
from tests.apps.library.models import Genre

pytestmark = pytest.mark.django_db


class Kept(Migration):
    query = "SELECT 1"
    model = Genre


class Skipped(Kept):
    skip = True


PLAN = Plan((PlanStep("a.Kept", Kept), PlanStep("a.Skipped", Skipped)))


@pytest.fixture
def ledger() -> Ledger:
    return Ledger("default")


def run_once(ledger: Ledger, status: RunStatus, mode: Mode = Mode.COMMIT) -> RunStep:
    """A run of the plan whose first step ended so."""
    run = ledger.start_run(PLAN, mode=mode, options={})
    step = run.steps.first()
    assert step is not None
    ledger.start_step(step)
    ledger.finish_step(step, status)
    ledger.save_step(step)
    ledger.finish_run(run, status)
    return step


def failed_draft(number: int, key: object) -> Draft:
    draft = Draft(number, {})
    draft.key = key
    return draft


def test_a_run_starts_with_its_steps_and_who_runs_it(ledger: Ledger) -> None:
    import os
    import socket

    run = ledger.start_run(PLAN, mode=Mode.COMMIT, options={"limit": 3})

    assert (run.status, run.mode, run.options) == ("running", "commit", {"limit": 3})
    assert (run.host, run.process) == (socket.gethostname(), os.getpid())
    assert run.finished_at is None
    steps = run.steps.values_list("position", "migration", "status")
    assert list(steps) == [(1, "a.Kept", "pending"), (2, "a.Skipped", "skipped")]


@pytest.mark.parametrize(
    ("status", "finished"),
    [
        (RunStatus.DONE, True),
        (RunStatus.PARTIAL, True),
        (RunStatus.FAILED, False),
        (RunStatus.INTERRUPTED, False),
    ],
)
def test_finished_is_what_need_not_run_again(
    ledger: Ledger, status: RunStatus, finished: bool
) -> None:
    run_once(ledger, status)

    assert ledger.finished() == ({"a.Kept"} if finished else set())
    assert ledger.states()["a.Kept"].status == status


def test_a_rehearsal_is_no_state(ledger: Ledger) -> None:
    run_once(ledger, RunStatus.DONE, mode=Mode.REHEARSAL)

    assert ledger.states() == {}


def test_the_last_run_decides(ledger: Ledger) -> None:
    run_once(ledger, RunStatus.DONE)
    last = run_once(ledger, RunStatus.FAILED)

    assert ledger.states() == {"a.Kept": last}


def test_a_rehearsed_step_is_not_written_when_it_starts(ledger: Ledger) -> None:
    run = ledger.start_run(PLAN, mode=Mode.REHEARSAL, options={})
    step = run.steps.get(position=1)
    ledger.start_step(step)

    assert run.steps.get(position=1).status == "pending"


def test_messages_are_written_with_their_step(ledger: Ledger) -> None:
    run = ledger.start_run(PLAN, mode=Mode.COMMIT, options={})
    step = run.steps.get(position=1)
    ledger.start_step(step)
    step.count(Outcome.CREATED)
    step.count(Outcome.FAILED)
    ledger.note_warning(step, failed_draft(1, 7), Note("genre", None, "nothing there"))
    ledger.note_failure(step, failed_draft(2, ("DE", "07")), Note("", None, "too long"))
    assert RowError.objects.count() == 0

    ledger.save_step(step)

    fields = ("kind", "row_number", "key", "column", "value", "cause")
    assert list(step.messages.values_list(*fields)) == [
        ("warning", 1, "7", "genre", "NULL", "nothing there"),
        ("failure", 2, '["DE", "07"]', "", "", "too long"),
    ]
    assert (step.read, step.warnings) == (2, 1)


def test_keys_that_are_text_and_numbers_stay_apart(ledger: Ledger) -> None:
    run = ledger.start_run(PLAN, mode=Mode.COMMIT, options={})
    step = run.steps.get(position=1)
    ledger.start_step(step)

    shown = [
        ledger.note_failure(step, failed_draft(1, key), Note("", None, "x")).key
        for key in (7, "7", "é", "x" * 300)
    ]

    assert shown == ["7", '"7"', '"é"', '"' + "x" * 254]


def test_what_is_rolled_back_loses_its_warnings_but_not_its_failures(ledger: Ledger) -> None:
    run = ledger.start_run(PLAN, mode=Mode.COMMIT, options={})
    step = run.steps.get(position=1)
    ledger.start_step(step)
    step.count(Outcome.CREATED, 5)
    step.count(Outcome.FAILED)
    ledger.note_warning(step, failed_draft(1, 1), Note("genre", 9, "nothing there"))
    ledger.note_failure(step, failed_draft(6, 6), Note("", None, "too long"))

    ledger.keep_failures_only(step)
    ledger.save_step(step)

    assert (step.read, step.created, step.failed, step.warnings) == (1, 0, 1, 0)
    assert [message.key for message in step.messages.all()] == ["6"]


def test_a_step_can_be_saved_again_after_a_rollback(ledger: Ledger) -> None:
    run = ledger.start_run(PLAN, mode=Mode.COMMIT, options={})
    step = run.steps.get(position=1)
    ledger.start_step(step)
    ledger.note_failure(step, failed_draft(1, 1), Note("", None, "x"))
    ledger.save_step(step)
    RowError.objects.all().delete()

    ledger.save_step(step)

    assert RowError.objects.count() == 1


def test_messages_of_the_last_run_rehearsals_included(ledger: Ledger) -> None:
    for mode in (Mode.COMMIT, Mode.REHEARSAL):
        run = ledger.start_run(PLAN, mode=mode, options={})
        step = run.steps.get(position=1)
        ledger.start_step(step)
        ledger.note_failure(step, failed_draft(1, mode.value), Note("", None, "x"))
        ledger.save_step(step)

    assert [message.key for message in ledger.messages(["a.Kept"])] == ['"rehearsal"']
    assert list(ledger.messages(["a.Other"])) == []


def test_runs_of_some_migrations(ledger: Ledger) -> None:
    first = run_once(ledger, RunStatus.DONE).run
    other = ledger.start_run(Plan(PLAN.steps[1:]), mode=Mode.COMMIT, options={})

    assert list(ledger.runs()) == [other, first]
    assert list(ledger.runs(["a.Kept"])) == [first]
    assert list(ledger.runs(["a.Kept", "a.Skipped"])) == [other, first]


def test_without_its_tables_it_says_how_to_make_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Run._meta, "db_table", "data_migration_absent")

    with pytest.raises(LedgerError, match=r"Create it with: manage\.py migrate data_migration$"):
        Ledger("default")
