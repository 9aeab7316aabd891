"""Runs that wait for a worker: one claims them, or they are given up; and the wish to stop."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from data_migration.exceptions import LedgerError, RunRefused
from data_migration.ledger import (
    PATCHES,
    Ledger,
    give_up,
    lock_holder,
    nobody_else,
    queue_run,
    queued_run,
    request_stop,
    withdraw,
)
from data_migration.ledger.lock import Lock
from data_migration.models import Run, RunLock
from data_migration.outcomes import Mode, RunKind
from data_migration.utils import processes
from tests.support.engine import statements
from tests.support.waiting import wait_until
from tests.target.ledger.running import (
    ON_SQLITE,
    Start,
    begin,
    change,
    committing,
    finish,
    only_servers,
    seconds_ago,
    start_fixture,  # noqa: F401
)


def queue(mode: Mode = Mode.COMMIT, **options: Any) -> Run:
    return queue_run(
        kind=RunKind.IMPORT,
        mode=mode,
        options=options,
        requested_by="Ada",
        database="default",
    )


def claim(run: Run) -> Run:
    begun = {"kind": RunKind.IMPORT, "mode": Mode.COMMIT, "options": {}}
    return Ledger("default").start_run((), queued=run, **begun)


# ------------------------------------------------------------------ queued and claimed


@pytest.mark.django_db
def test_a_queued_run_says_what_is_asked_and_by_whom_and_holds_no_lock() -> None:
    run = queue(limit=5)
    run.refresh_from_db()

    assert (run.status, run.current_status) == ("queued", "queued")
    assert (run.options, run.requested_by) == ({"limit": 5}, "Ada")
    assert (run.host, run.process, run.started_at) == ("", 0, None)
    assert run.queued_at is not None
    assert lock_holder("default") is None


@pytest.mark.django_db
def test_a_queued_run_is_never_taken_for_dead() -> None:
    run = queue()
    change(run, heartbeat=seconds_ago(10**6))

    claim(queue())

    run.refresh_from_db()
    assert run.current_status == "queued"


@pytest.mark.django_db
def test_a_claim_makes_the_run_one_of_this_process_and_takes_the_lock() -> None:
    run = queue(Mode.ATOMIC, limit=5)

    claimed = claim(run)

    assert claimed == run
    assert (claimed.status, claimed.mode, claimed.options) == ("running", "atomic", {"limit": 5})
    assert claimed.process
    assert claimed.host
    assert claimed.started_at is not None
    assert claimed.is_alive
    assert lock_holder("default") == run


@pytest.mark.django_db
def test_a_run_is_claimed_once() -> None:
    run = queue()
    ledger = Ledger("default")
    claimed = ledger.start_run((), kind=RunKind.IMPORT, mode=Mode.COMMIT, options={}, queued=run)
    ledger.finish_run(claimed, "done")  # type: ignore[arg-type]

    with pytest.raises(RunRefused, match=f"Run {run.pk} does not wait for a worker: it is done"):
        claim(run)
    assert RunLock.objects.get().run is None


@committing
def test_of_two_that_claim_at_once_one_wins() -> None:
    run = queue()
    won: list[Run] = []
    lost: list[str] = []
    together = threading.Barrier(2)

    def worker() -> None:
        try:
            together.wait()
            won.append(claim(run))
        except RunRefused as error:
            lost.append(str(error))
        finally:
            connections["default"].close()

    threads = [threading.Thread(target=worker) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert len(won) == len(lost) == 1
    assert lock_holder("default") == run


@committing
def test_of_four_that_ask_at_once_and_alone_one_is_queued() -> None:
    refused: list[str] = []
    together = threading.Barrier(4)

    def ask() -> None:
        try:
            together.wait()
            with nobody_else("default"):
                queue()
        except RunRefused as error:
            refused.append(str(error))
        finally:
            connections["default"].close()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert Run.objects.count() == 1
    assert len(refused) == 3
    assert all("there can be one at a time" in text for text in refused)


@pytest.mark.django_db
def test_beside_a_run_that_is_going_on_or_waits_nobody_asks_alone() -> None:
    run = queue()
    with pytest.raises(RunRefused, match=f"Run {run.pk} is not over"), nobody_else("default"):
        pass
    withdraw(run.pk, database="default")
    with nobody_else("default"):
        pass


@pytest.mark.django_db
def test_a_claim_beside_a_living_run_is_refused_and_the_run_stays_queued() -> None:
    going = begin(Lock("default"))
    run = queue()

    with pytest.raises(RunRefused, match=f"Run {going.pk} is going"):
        claim(run)

    run.refresh_from_db()
    assert run.status == "queued"


@pytest.mark.django_db
def test_only_a_queued_run_is_found_as_one() -> None:
    run = queue()
    assert queued_run(run.pk, database="default") == run

    withdraw(run.pk, database="default")

    with pytest.raises(RunRefused, match="it is interrupted"):
        queued_run(run.pk, database="default")
    with pytest.raises(LedgerError, match="There is no run 987654 in database 'default'"):
        queued_run(987654, database="default")


# ------------------------------------------------------------------ ended before it began


@pytest.mark.django_db
def test_a_run_that_could_not_begin_fails_with_the_reason() -> None:
    run = queue()

    assert give_up(run.pk, "No worker.", database="default")

    run.refresh_from_db()
    assert (run.status, run.error) == ("failed", "No worker.")
    assert run.finished_at is not None
    assert not give_up(run.pk, "Another reason.", database="default")


@pytest.mark.django_db
def test_a_run_that_has_begun_is_not_given_up() -> None:
    run = claim(queue())

    assert not give_up(run.pk, "No worker.", database="default")

    run.refresh_from_db()
    assert (run.status, run.error) == ("running", "")


@pytest.mark.django_db
def test_a_queued_run_can_be_withdrawn_and_tells_by_whom() -> None:
    run = queue()

    withdraw(run.pk, by="Grace", database="default")

    run.refresh_from_db()
    assert (run.status, run.error) == ("interrupted", "Withdrawn by Grace before it began.")
    with pytest.raises(RunRefused):
        claim(run)


@pytest.mark.django_db
def test_a_run_that_has_begun_cannot_be_withdrawn() -> None:
    run = claim(queue())

    with pytest.raises(LedgerError, match=f"Run {run.pk} does not wait .* it is running"):
        withdraw(run.pk, database="default")


# ------------------------------------------------------------------ asked to stop


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("has_key", "is_last", "mode", "is_refused"),
    [
        (False, True, Mode.COMMIT, True),
        (False, False, Mode.COMMIT, False),
        (True, True, Mode.COMMIT, False),
        (False, True, Mode.REHEARSAL, False),
    ],
)
def test_a_patch_that_is_one_transaction_cannot_be_asked_to_end_in_between(
    has_key: bool, is_last: bool, mode: Mode, is_refused: bool
) -> None:
    run = begin(Lock("default", PATCHES), kind=RunKind.PATCH, mode=mode)
    run.steps.update(migration="patch:shop.whole", has_key=has_key)
    if not is_last:
        run.steps.create(position=2, migration="patch:shop.next", status="pending")

    if not is_refused:
        request_stop(run.pk, database="default")
    else:
        with pytest.raises(LedgerError) as refused:
            request_stop(run.pk, database="default")
        assert str(refused.value) == (
            f"Run {run.pk} executes patch:shop.whole, which is done as a whole or not at all, and"
            " nothing comes after it. Ctrl-C in its terminal undoes what it did so far."
        )
    run.refresh_from_db()
    assert run.stop_requested is not is_refused


@pytest.mark.django_db
def test_the_check_of_the_lock_tells_of_the_wish_to_stop_with_the_same_query() -> None:
    lock = Lock("default")
    run = begin(lock)
    with transaction.atomic(), statements() as before:
        lock.check()
    assert not lock.stop_requested

    request_stop(run.pk, database="default")

    with transaction.atomic(), statements() as after:
        lock.check()
    assert lock.stop_requested
    assert len(before) == len(after) == 1


@committing
@only_servers
def test_the_check_of_the_lock_does_not_hold_up_who_writes_to_the_run() -> None:
    lock = Lock("default")
    run = begin(lock)
    other = threading.Thread(target=_ask, args=(run.pk,))
    with transaction.atomic():
        lock.check()
        other.start()
        other.join(10)
        assert not other.is_alive(), "it waits for the transaction of the batch"
    finish(lock, run)
    assert Run.objects.get(pk=run.pk).stop_requested


def _ask(number: int) -> None:
    request_stop(number, database="default")
    connections["default"].close()


@committing
@only_servers
def test_the_heartbeat_tells_of_the_wish_to_stop_while_the_run_is_one_transaction(
    settings: Any,
) -> None:
    settings.DATA_MIGRATION_HEARTBEAT_INTERVAL = 0.1
    lock = Lock("default")
    run = begin(lock, mode=Mode.REHEARSAL)
    with lock.beating(run, dict):
        with transaction.atomic():
            asker = threading.Thread(target=_ask, args=(run.pk,))
            asker.start()
            asker.join(10)
            wait_until(lambda: lock.stop_requested)
        finish(lock, run)


@pytest.mark.django_db
def test_a_run_that_is_not_at_work_cannot_be_asked_to_stop() -> None:
    waiting = queue()
    lock = Lock("default")
    over = begin(lock)
    finish(lock, over)
    dead = begin(Lock("default"), process_started=f"{processes.started(os.getpid())}0")

    for run, status in ((waiting, "queued"), (over, "done"), (dead, "interrupted")):
        with pytest.raises(LedgerError, match=f"Run {run.pk} is not at work: it is {status}"):
            request_stop(run.pk, database="default")
        run.refresh_from_db()
        assert not run.stop_requested


@pytest.mark.django_db
def test_a_rollback_cannot_be_asked_to_stop_since_it_is_one_step() -> None:
    run = begin(Lock("default"), kind=RunKind.ROLLBACK)

    with pytest.raises(LedgerError, match="done as a whole or not at all"):
        request_stop(run.pk, database="default")


@committing
@pytest.mark.skipif(not ON_SQLITE, reason="servers let others write meanwhile")
def test_a_rehearsal_on_sqlite_cannot_be_asked_and_the_reason_names_the_process(
    start: Start,
) -> None:
    other = start(mode="rehearsal")
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 100")

    with pytest.raises(LedgerError, match=f"to itself until it ends.* kill {other.pid}"):
        request_stop(int(other.said), database="default")

    assert other.end() == 0


@pytest.mark.django_db
def test_a_run_that_was_asked_to_stop_starts_anew_without_the_wish() -> None:
    lock = Lock("default")
    run = begin(lock)
    request_stop(run.pk, database="default")
    with transaction.atomic():
        lock.check()
    finish(lock, run)

    again = Lock("default")
    begin(again, started_at=timezone.now())
    with transaction.atomic():
        again.check()
    assert not again.stop_requested
