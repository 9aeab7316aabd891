"""One run at a time: who is refused, and what heals."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from data_migration.exceptions import LockLost, RunRefused
from data_migration.ledger import lock as lock_module
from data_migration.ledger.lock import IMPORTS, PATCHES, Lock, lock_holder
from data_migration.ledger.runs import Ledger
from data_migration.models import Run, RunLock, RunStep
from data_migration.outcomes import Mode, RunKind
from data_migration.utils import processes, sessions
from tests.support.engine import statements
from tests.target.ledger.running import (
    ON_SQLITE,
    WORDS_OF_LIVE,
    Other,
    Start,
    begin,
    change,
    committing,
    finish,
    only_servers,
    only_sqlite,
    seconds_ago,
    start_fixture,  # noqa: F401
)

# ------------------------------------------------------------------ taken and given back


@pytest.mark.django_db
def test_a_run_holds_the_lock_from_beginning_to_end() -> None:
    lock = Lock("default")
    assert lock_holder("default") is None

    run = begin(lock)
    assert lock_holder("default") == run

    finish(lock, run)
    assert lock_holder("default") is None
    begin(Lock("default"))


@pytest.mark.django_db
def test_a_run_in_the_process_of_another_is_refused() -> None:
    run = begin(Lock("default"))

    with pytest.raises(RunRefused, match=f"Run {run.pk} is going"):
        begin(Lock("default"))

    assert list(Run.objects.all()) == [run]
    assert lock_holder("default") == run


@pytest.mark.django_db
def test_what_was_refused_can_be_tried_again_in_the_same_transaction() -> None:
    first, second = Lock("default"), Lock("default")
    run = begin(first)
    with pytest.raises(RunRefused):
        begin(second)

    finish(first, run)

    assert begin(second).pk == RunLock.objects.get().run_id


@committing
def test_a_run_that_was_rolled_back_at_its_begin_holds_nothing() -> None:
    with transaction.atomic():
        begin(Lock("default"))
        transaction.set_rollback(True)

    assert lock_holder("default") is None


@committing
def test_a_run_that_ended_in_this_process_without_giving_the_lock_back_is_dead() -> None:
    lock = Lock("default")
    run = begin(lock)
    with pytest.raises(ZeroDivisionError), lock.beating(run, dict):
        1 / 0  # noqa: B018

    assert lock_holder("default") is None
    begin(Lock("default"))
    run.refresh_from_db()
    assert run.status == "interrupted"


# ------------------------------------------------------------------ dead or alive


@pytest.mark.django_db
@pytest.mark.parametrize(("silent", "is_refused"), [(1, True), (30, True), (61, False)])
def test_a_run_of_another_host_lives_while_its_heart_beats(silent: int, is_refused: bool) -> None:
    run = begin(Lock("default"))
    change(run, host="elsewhere", heartbeat=seconds_ago(silent))

    if is_refused:
        with pytest.raises(RunRefused, match="alice@elsewhere"):
            begin(Lock("default"))
    else:
        begin(Lock("default"))

    run.refresh_from_db()
    assert run.status == ("running" if is_refused else "interrupted")


@pytest.mark.django_db
def test_the_timeout_is_a_setting(settings: Any) -> None:
    settings.DATA_MIGRATION_LOCK_TIMEOUT = 600
    change(begin(Lock("default")), host="elsewhere", heartbeat=seconds_ago(300))

    with pytest.raises(RunRefused, match="free 600 s after its last sign of life"):
        begin(Lock("default"))


@pytest.mark.django_db
def test_a_process_number_that_was_given_out_again_is_not_the_run() -> None:
    started = processes.started(os.getpid())
    run = begin(Lock("default"), process_started=f"{started}0")

    assert lock_holder("default") is None
    begin(Lock("default"))
    run.refresh_from_db()
    assert run.status == "interrupted"


@pytest.mark.django_db
def test_what_a_dead_run_left_says_why_it_ended() -> None:
    dead = begin(Lock("default"))
    RunStep.objects.create(run=dead, position=2, migration="shop.B", status="pending")
    change(dead, host="elsewhere", process=77, heartbeat=seconds_ago(300))

    heir = begin(Lock("default"))

    dead.refresh_from_db()
    why = (
        "Its process ended, or fell silent, before the run did: alice@elsewhere, process 77, last"
        f" sign of life {timezone.localtime(dead.heartbeat):%H:%M}. Run {heir.pk} took over. What"
        " was committed is kept; the same command does the rest."
    )
    assert (dead.status, dead.error) == ("interrupted", why)
    assert dead.finished_at is not None
    assert list(dead.steps.values_list("status", "error")) == [
        ("interrupted", why),
        ("pending", ""),
    ]
    assert heir.steps.get().status == "running"


# ------------------------------------------------------------------ lanes


@pytest.mark.django_db
def test_an_import_and_a_patch_are_at_work_at_once_and_two_of_either_are_not() -> None:
    importing, patching = begin(Lock("default")), begin(Lock("default", PATCHES))

    assert lock_holder("default") == lock_holder("default", IMPORTS) == importing
    assert lock_holder("default", PATCHES) == patching
    assert {each.run_id: each.lane for each in RunLock.objects.all()} == {
        importing.pk: IMPORTS,
        patching.pk: PATCHES,
    }
    with pytest.raises(RunRefused) as refused:
        begin(Lock("default", PATCHES))
    assert str(refused.value).startswith(
        "Another run of patches is at work in database 'default', and there can be one at a time."
        f" Run {patching.pk} is going: "
    )
    with pytest.raises(RunRefused, match=f"Another run is at work .* Run {importing.pk} is going"):
        begin(Lock("default"))


@pytest.mark.django_db
@pytest.mark.parametrize(("own", "other"), [(IMPORTS, PATCHES), (PATCHES, IMPORTS)])
def test_what_died_in_a_lane_is_healed_by_the_next_run_of_that_lane(own: str, other: str) -> None:
    dead = begin(Lock("default", other))
    change(dead, process_started=f"{dead.process_started}0")

    begin(Lock("default", own))
    dead.refresh_from_db()
    assert (dead.status, dead.current_status) == ("running", "interrupted")

    begin(Lock("default", other))
    dead.refresh_from_db()
    assert (dead.status, dead.steps.get().status) == ("interrupted", "interrupted")


@pytest.mark.django_db
def test_a_lane_asks_only_for_its_own_lock_in_each_batch() -> None:
    importing, patching = Lock("default"), Lock("default", PATCHES)
    begin(importing)
    run = begin(patching)
    change(run, stop_requested=True)

    with transaction.atomic(), statements() as seen:
        importing.check()
        patching.check()

    assert len(seen) == 2
    assert (importing.stop_requested, patching.stop_requested) == (False, True)
    finish(patching, run)
    importing.check()


# ------------------------------------------------------------------ a lock that was lost


@pytest.mark.django_db
def test_a_batch_asks_once_whether_the_lock_is_its_own() -> None:
    lock = Lock("default")
    begin(lock)

    with transaction.atomic(), statements() as seen:
        lock.check()

    assert len(seen) == 1


@pytest.mark.django_db
def test_a_run_learns_that_another_one_took_over() -> None:
    lock = Lock("default")
    run = begin(lock)
    change(run, host="elsewhere", heartbeat=seconds_ago(100))
    other = begin(Lock("default"), owner="bob")

    with pytest.raises(LockLost) as lost, transaction.atomic():
        lock.check()

    assert str(lost.value) == (
        f"Run {run.pk} was taken to be dead, because no sign of life of it had come for 60 s. Run"
        f" {other.pk} (bob@{processes.host()}, process {os.getpid()}) took over. The batch going"
        " on is not kept, those committed before are; the same command does the rest when the"
        " other run has ended."
    )
    lock.release()
    assert lock_holder("default") == other


@pytest.mark.django_db
def test_a_run_learns_that_its_lock_is_gone() -> None:
    lock = Lock("default")
    begin(lock)
    RunLock.objects.all().delete()

    with pytest.raises(LockLost, match=r"Its lock is gone\."), transaction.atomic():
        lock.check()


@committing
@only_servers
def test_nobody_takes_over_in_the_middle_of_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_module, "_PATIENCE", 0.2)
    lock = Lock("default")
    run = begin(lock)
    change(run, host="elsewhere", heartbeat=seconds_ago(100))
    errors: list[str] = []

    def other_run() -> None:
        try:
            begin(Lock("default"))
        except RunRefused as error:
            errors.append(str(error))
        finally:
            connection.close()

    with transaction.atomic():
        lock.check()
        in_a_thread(other_run)
    assert errors == [
        "The lock of database 'default' cannot be had: an open transaction has it. It may be that"
        f" of run {run.pk} (alice@elsewhere, process {os.getpid()}). Try again in a moment. If"
        " this goes on, a process hangs, or the server does not know yet that its connection is"
        " lost: end that connection on the server."
    ]

    in_a_thread(other_run)  # the batch is committed
    with pytest.raises(LockLost), transaction.atomic():
        lock.check()


def in_a_thread(work: Callable[[], None]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()


# ------------------------------------------------------------------ processes of their own


@pytest.mark.slow
@committing
def test_of_two_runs_at_once_one_is_told_who_is_at_work(start: Start) -> None:
    first = start()
    second = start()

    run = first.run
    silent = second.said.partition("last sign of life ")[2].partition(" s ago")[0]
    assert 0 <= int(silent) < 30
    doing = "shop.A 0 rows, 0 failed" if ON_SQLITE else WORDS_OF_LIVE
    assert second.said == (
        "refused: Another run is at work in database 'default', and there can be one at a time."
        f" Run {run.pk} is going: alice@{processes.host()}, process {first.pid}, since"
        f" {timezone.localtime(run.started_at):%H:%M}, last sign of life {silent} s ago; {doing}."
        " Wait until it has ended, or stop it: Ctrl-C in its terminal, or"
        f" kill {first.pid}."
    )
    assert second.process.wait(30) == 1
    assert first.end() == 0
    assert start().end() == 0
    assert list(Run.objects.values_list("status", flat=True)) == ["done", "done"]


@pytest.mark.slow
@committing
def test_a_run_that_rehearses_keeps_others_out_as_well(start: Start) -> None:
    first = start("rehearsal")
    second = start()

    told = f"Run {first.said} (rehearsal) is going: alice@{processes.host()}, process {first.pid}"
    assert told in second.said
    assert ("no sign of life until it ends" in second.said) is ON_SQLITE
    assert first.end() == 0


@pytest.mark.slow
@committing
def test_of_many_that_start_at_the_same_moment_one_runs(start: Start) -> None:
    when = time.time() + 4  # all of them are ready by then, on two processors
    others = [Other(process) for process in [start(when=when, wait=False) for _ in range(5)]]

    assert sorted(other.said.isdigit() for other in others) == [False] * 4 + [True]
    assert Run.objects.count() == 1


@pytest.mark.slow
@committing
@pytest.mark.parametrize("is_asked_for", [False, True])
@pytest.mark.parametrize("mode", ["commit", "rehearsal"])
def test_after_a_kill_the_next_run_heals(start: Start, mode: str, is_asked_for: bool) -> None:
    killed = start(mode)
    killed.process.send_signal(signal.SIGKILL)
    if is_asked_for:
        killed.process.wait()
    else:  # it ended, but its parent did not ask: its number is not free yet
        os.waitid(os.P_PID, killed.pid, os.WEXITED | os.WNOWAIT)
    assert lock_holder("default") is None
    assert killed.run.current_status == "interrupted"

    following = start()

    assert lock_holder("default") == following.run
    assert killed.run.status == "interrupted"
    assert killed.run.error.startswith("Its process ended, or fell silent, before the run did:")
    assert killed.run.steps.get().status == "interrupted"
    assert following.end() == 0


@pytest.mark.slow
@committing
def test_runs_of_two_lanes_are_at_work_in_two_processes(start: Start) -> None:
    importing, patching = start(), start(lane=PATCHES)

    assert (lock_holder("default"), lock_holder("default", PATCHES)) == (
        importing.run,
        patching.run,
    )
    assert start(lane=PATCHES).said.startswith("refused: Another run of patches is at work")
    patching.process.send_signal(signal.SIGKILL)
    patching.process.wait()
    assert importing.end() == 0
    assert start().end() == 0
    assert patching.run.status == "running", "no run of its lane has begun since"
    assert start(lane=PATCHES).end() == 0
    assert patching.run.status == "interrupted"


@pytest.mark.slow
@committing
def test_a_commit_in_one_lane_waits_on_sqlite_for_the_rehearsal_in_another(start: Start) -> None:
    rehearsing = start("rehearsal", lane=PATCHES)
    beside = Other(start(wait=False), hears=False)
    if ON_SQLITE:
        assert beside.is_silent(2)
        assert rehearsing.end() == 0
    beside.said = beside.hear()

    assert beside.said.isdigit()
    assert beside.end() == 0
    if not ON_SQLITE:
        assert rehearsing.end() == 0
    assert list(Run.objects.values_list("lane", "status").order_by("pk")) == [
        (PATCHES, "done"),
        (IMPORTS, "done"),
    ]


@committing
@only_sqlite
def test_who_waits_in_vain_for_another_lane_is_told_whose_transaction_it_is(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "PATIENCE", 0.1)
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 100")
    rehearsing = start("rehearsal", lane=PATCHES)

    with pytest.raises(RunRefused) as refused:
        Ledger("default").start_run((), kind=RunKind.IMPORT, mode=Mode.COMMIT, options={})

    assert str(refused.value).startswith(
        "Nobody else can write to database 'default' while a transaction of run"
        f" {rehearsing.said} is open, since it is SQLite, and that was waited for in vain. Run"
        f" {rehearsing.said} (rehearsal) is going: alice@"
    )
    assert str(refused.value).endswith("Try again when it has ended.")
    assert rehearsing.end() == 0
