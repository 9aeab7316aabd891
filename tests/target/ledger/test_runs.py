"""What the ledger remembers of runs, and what it answers."""

from __future__ import annotations

from contextlib import suppress

import pytest

from data_migration.exceptions import LedgerError
from data_migration.ledger import Ledger, Message, NewStep
from data_migration.models import MigrationState, RowError, RowLink, RunStep
from data_migration.outcomes import MessageKind, Mode, Outcome, RunKind, RunStatus
from data_migration.rows.keys import identify
from tests.apps.library.models import Genre

pytestmark = pytest.mark.django_db


FAILURE = MessageKind.FAILURE
STEPS = (NewStep("a.Kept"), NewStep("a.Skipped", is_skipped=True))


@pytest.fixture
def ledger() -> Ledger:
    return Ledger("default")


def run_once(ledger: Ledger, status: RunStatus, mode: Mode = Mode.COMMIT) -> RunStep:
    """A run of the plan whose first step ended so."""
    run = ledger.start_run(STEPS, kind=RunKind.IMPORT, mode=mode, options={})
    step = run.steps.first()
    assert step is not None
    ledger.start_step(step)
    ledger.finish_step(step, status)
    ledger.save_step(step)
    ledger.finish_run(run, status)
    return step


def started(ledger: Ledger, mode: Mode = Mode.COMMIT) -> RunStep:
    """The first step of a new run, begun."""
    run = ledger.start_run(STEPS, kind=RunKind.IMPORT, mode=mode, options={})
    step = run.steps.get(position=1)
    ledger.start_step(step)
    return step


def note(
    ledger: Ledger, step: RunStep, number: int, key: object, kind: MessageKind = FAILURE
) -> RowError:
    key_hash, text = identify(key)
    return ledger.note(step, Message(kind, "too long", number, text, key_hash))


def is_read() -> None:
    """As a step leaves it that came to the end of its query."""
    MigrationState.objects.update(is_read=True)


def test_a_run_starts_with_its_steps_and_who_runs_it(ledger: Ledger) -> None:
    import os
    import socket

    run = ledger.start_run(STEPS, kind=RunKind.IMPORT, mode=Mode.COMMIT, options={"limit": 3})

    assert (run.status, run.mode, run.options) == ("running", "commit", {"limit": 3})
    assert (run.host, run.process) == (socket.gethostname(), os.getpid())
    assert run.finished_at is None
    steps = run.steps.values_list("position", "migration", "status")
    assert list(steps) == [(1, "a.Kept", "pending"), (2, "a.Skipped", "skipped")]


def test_a_migration_whose_query_was_read_to_its_end_need_not_run_again(ledger: Ledger) -> None:
    run_once(ledger, RunStatus.DONE)
    assert ledger.finished() == set()

    MigrationState.objects.filter(label="a.Kept").update(is_read=True)
    assert ledger.finished() == {"a.Kept"}


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.INTERRUPTED])
def test_a_rerun_that_failed_does_not_undo_what_was_finished(
    ledger: Ledger, status: RunStatus
) -> None:
    run_once(ledger, RunStatus.DONE)
    is_read()
    run_once(ledger, status)

    assert "a.Kept" in ledger.finished()
    assert ledger.states()["a.Kept"].status == status


def test_with_a_failed_row_that_can_be_tried_again_it_runs_again(ledger: Ledger) -> None:
    step = started(ledger)
    note(ledger, step, 1, 7)
    ledger.save_step(step)
    is_read()

    assert ledger.finished() == {"a.Skipped"}
    assert ledger.failed() == {"a.Kept"}
    RowError.objects.update(is_open=False)
    assert ledger.finished() == {"a.Kept", "a.Skipped"}
    assert ledger.failed() == set()


def test_a_failed_row_without_a_key_cannot_be_tried_again(ledger: Ledger) -> None:
    step = started(ledger)
    ledger.note(step, Message(FAILURE, "too long", 1))
    ledger.save_step(step)
    is_read()

    assert "a.Kept" in ledger.finished()
    assert ledger.failed() == set()


def test_a_rehearsed_failure_is_nothing_to_be_mended(ledger: Ledger) -> None:
    step = started(ledger, Mode.REHEARSAL)
    note(ledger, step, 1, 7)
    ledger.save_step(step)

    assert [message.is_open for message in step.messages.all()] == [False]
    assert ledger.failed() == set()


def test_a_rehearsal_is_no_state(ledger: Ledger) -> None:
    run_once(ledger, RunStatus.DONE, mode=Mode.REHEARSAL)

    assert ledger.states() == {}


def test_the_last_run_decides(ledger: Ledger) -> None:
    run_once(ledger, RunStatus.DONE)
    last = run_once(ledger, RunStatus.FAILED)

    assert ledger.states() == {"a.Kept": last}


def test_a_rehearsed_step_is_not_written_when_it_starts(ledger: Ledger) -> None:
    run = ledger.start_run(STEPS, kind=RunKind.IMPORT, mode=Mode.REHEARSAL, options={})
    step = run.steps.get(position=1)
    ledger.start_step(step)

    assert run.steps.get(position=1).status == "pending"


def test_messages_are_written_with_their_step(ledger: Ledger) -> None:
    step = started(ledger)
    step.count(Outcome.CREATED)
    step.count(Outcome.FAILED)
    warned = Message(MessageKind.WARNING, "nothing there", 1, "7", identify(7)[0], "genre")
    ledger.note(step, warned)
    note(ledger, step, 2, ("DE", "07"))
    assert RowError.objects.count() == 0

    ledger.save_step(step)

    fields = ("kind", "row_number", "key", "column", "value", "cause", "is_open")
    assert list(step.messages.values_list(*fields)) == [
        ("warning", 1, "7", "genre", "NULL", "nothing there", False),
        ("failure", 2, '["DE", "07"]', "", "", "too long", True),
    ]
    assert (step.read, step.warnings) == (2, 1)


@pytest.mark.parametrize("kind", MessageKind)
def test_every_message_but_a_failure_counts_as_a_warning(
    ledger: Ledger, kind: MessageKind
) -> None:
    step = started(ledger)
    note(ledger, step, 1, 1, kind)

    assert step.warnings == (kind != FAILURE)


def test_what_is_rolled_back_loses_its_warnings_but_not_its_failures(ledger: Ledger) -> None:
    step = started(ledger)
    step.count(Outcome.CREATED, 5)
    step.count(Outcome.FAILED)
    note(ledger, step, 1, 1, MessageKind.WARNING)
    note(ledger, step, 6, 6)

    ledger.keep_failures_only(step)
    ledger.save_step(step)

    assert (step.read, step.created, step.failed, step.warnings) == (1, 0, 1, 0)
    assert [message.key for message in step.messages.all()] == ["6"]


def test_a_batch_is_committed_with_its_counts_and_messages(ledger: Ledger) -> None:
    step = started(ledger)
    with ledger.committing(step):
        Genre.objects.create(name="Crime")
        step.count(Outcome.CREATED)
        note(ledger, step, 1, 1, MessageKind.WARNING)

    stored = RunStep.objects.get(pk=step.pk)
    assert (stored.created, stored.warnings, stored.messages.count()) == (1, 1, 1)


def test_a_batch_that_is_broken_off_keeps_its_failures_and_those_before_it(
    ledger: Ledger,
) -> None:
    step = started(ledger)
    with ledger.committing(step):
        step.count(Outcome.CREATED, 3)
        note(ledger, step, 1, 1, MessageKind.WARNING)
    with suppress(KeyboardInterrupt), ledger.committing(step):
        Genre.objects.create(name="Crime")
        step.count(Outcome.CREATED, 4)
        step.count(Outcome.FAILED)
        note(ledger, step, 5, 5, MessageKind.WARNING)
        note(ledger, step, 8, 8)
        raise KeyboardInterrupt
    ledger.save_step(step)

    assert not Genre.objects.exists()
    stored = RunStep.objects.get(pk=step.pk)
    assert (stored.read, stored.created, stored.failed, stored.warnings) == (4, 3, 1, 1)
    assert list(stored.messages.values_list("kind", "key")) == [("warning", "1"), ("failure", "8")]


def test_messages_that_are_stored_are_not_stored_again(ledger: Ledger) -> None:
    step = started(ledger)
    note(ledger, step, 1, 1)
    ledger.save_step(step)
    ledger.save_step(step)

    assert RowError.objects.count() == 1


def test_each_migration_of_a_run_has_one_state_for_good(ledger: Ledger) -> None:
    for _ in range(2):
        run_once(ledger, RunStatus.DONE)

    assert list(MigrationState.objects.values_list("label", flat=True)) == ["a.Kept", "a.Skipped"]


def test_messages_of_the_last_run_rehearsals_included(ledger: Ledger) -> None:
    for mode in (Mode.COMMIT, Mode.REHEARSAL):
        step = started(ledger, mode)
        note(ledger, step, 1, mode.value, MessageKind.WARNING)
        ledger.save_step(step)
        ledger.finish_run(step.run, RunStatus.DONE)

    assert [message.key for message in ledger.messages(["a.Kept"])] == ['"rehearsal"']
    assert list(ledger.messages(["a.Other"])) == []


def test_runs_of_some_migrations(ledger: Ledger) -> None:
    first = run_once(ledger, RunStatus.DONE).run
    other = ledger.start_run(STEPS[1:], kind=RunKind.IMPORT, mode=Mode.COMMIT, options={})

    assert list(ledger.runs()) == [other, first]
    assert list(ledger.runs(["a.Kept"])) == [first]
    assert list(ledger.runs(["a.Kept", "a.Skipped"])) == [other, first]


def test_without_its_tables_it_says_how_to_make_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RowLink._meta, "db_table", "data_migration_absent")

    with pytest.raises(LedgerError, match=r"Create it with: manage\.py migrate data_migration$"):
        Ledger("default")


def test_the_last_run_tells_whether_a_migration_has_a_key(ledger: Ledger) -> None:
    first = run_once(ledger, RunStatus.DONE)
    RunStep.objects.filter(pk=first.pk).update(has_key=True)
    is_read()
    assert ledger.keyless() == set()
    run_once(ledger, RunStatus.DONE)
    assert ledger.keyless() == {"a.Kept"}
