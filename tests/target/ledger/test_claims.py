"""Ranges in the ledger: claimed by one, saved by whoever has it, given back when nobody has."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections, transaction
from django.utils import timezone

from data_migration.exceptions import Interrupted, LockLost, RunRefused
from data_migration.ledger import Ledger, LinkBook, NewStep
from data_migration.ledger.claims import (
    MAX_CLAIMS,
    RangeLedger,
    RangeLock,
    claim_next_range,
    claim_range,
    give_back,
    stop_ranges,
)
from data_migration.ledger.lock import Lock, write_beat
from data_migration.ledger.sums import save_sums
from data_migration.models import MigrationState, Run, RunLock, RunStep, StepRange
from data_migration.outcomes import Mode, Outcome, RunKind, RunStatus
from tests.support.engine import statements
from tests.target.ledger.running import (
    begin,
    change,
    committing,
    finish,
    only_servers,
    seconds_ago,
)

pytestmark = committing


@pytest.fixture
def lock() -> Lock:
    return Lock("default")


@pytest.fixture
def run(lock: Lock) -> Run:
    return begin(lock)


@pytest.fixture
def ranges(run: Run) -> list[StepRange]:
    MigrationState.objects.create(label="shop.A")
    step = run.steps.get()
    for number in (1, 2, 3):
        StepRange.objects.create(
            step=step, number=number, status=RunStatus.PENDING, column="id", fingerprint="x"
        )
    return list(step.ranges.order_by("number"))


def taken(row: StepRange) -> StepRange:
    found = claim_range(row.pk, database="default")
    assert found is not None
    return found


def stored(row: StepRange) -> StepRange:
    return StepRange.objects.get(pk=row.pk)


def test_a_range_is_claimed_once(ranges: list[StepRange]) -> None:
    first = taken(ranges[0])

    assert claim_range(ranges[0].pk, database="default") is None
    assert claim_range(0, database="default") is None
    assert (first.status, first.claims, first.is_alive) == ("running", 1, True)
    following = claim_next_range(first.step_id, database="default")
    assert following is not None
    assert following.number == 2


def test_what_is_stopped_is_claimed_by_nobody(ranges: list[StepRange]) -> None:
    row = taken(ranges[0])
    stop_ranges(row.step, database="default")

    assert claim_next_range(row.step_id, database="default") is None
    assert [stored(each).status for each in ranges] == ["running", "interrupted", "interrupted"]
    with pytest.raises(Interrupted, match="range 1 was stopped"), transaction.atomic():
        RangeLock(row, database="default").check()


def test_a_batch_of_a_range_that_another_one_has_is_not_kept(ranges: list[StepRange]) -> None:
    slow = taken(ranges[0])
    ledger = RangeLedger(slow, database="default")
    step = ledger.step
    assert give_back([stored(slow)], database="default") == [slow]
    other = taken(ranges[0])

    with pytest.raises(LockLost, match="not this worker's any more"), ledger.committing(step):
        step.count(Outcome.CREATED, 5)
    with pytest.raises(LockLost, match="taken by another"):
        ledger.end(RunStatus.DONE)
    assert (stored(other).claims, stored(other).read) == (2, 0)


def test_a_range_that_was_taken_while_its_batch_ran_is_not_saved(
    ranges: list[StepRange],
) -> None:
    row = taken(ranges[0])
    ledger = RangeLedger(row, database="default")
    step = ledger.step

    with pytest.raises(LockLost, match="taken by another"), ledger.committing(step):
        StepRange.objects.filter(pk=row.pk).update(claims=7)

    assert stored(row).read == 0


def fail_in_a_batch(ledger: RangeLedger, step: RunStep, *, position: int) -> None:
    with ledger.committing(step):
        step.count(Outcome.CREATED, 5)
        ledger.position = position
        raise ValueError("no")


def test_counts_and_position_of_a_batch_are_saved_with_it(ranges: list[StepRange]) -> None:
    row = taken(ranges[1])
    StepRange.objects.filter(pk=ranges[0].pk).update(read=7, failed=2)
    ledger = RangeLedger(row, database="default")
    step = ledger.step

    with ledger.committing(step):
        step.count(Outcome.CREATED, 5)
        ledger.position = 17
    with pytest.raises(ValueError, match="no"):
        fail_in_a_batch(ledger, step, position=30)

    assert ledger.lock.elsewhere == 2
    saved = stored(row)
    assert (saved.read, saved.created, saved.position) == (5, 5, "17")
    assert RunStep.objects.get().read == 0
    ledger.end(RunStatus.DONE)
    assert (stored(row).status, stored(row).position) == ("done", "17")
    save_sums(step, list(StepRange.objects.all()), database="default")
    assert (step.read, step.failed, RunStep.objects.get().read) == (12, 2, 12)


def test_a_worker_ends_when_its_coordinator_is_gone(run: Run, ranges: list[StepRange]) -> None:
    row = taken(ranges[0])
    change(run, process_started="another table:1", host="elsewhere")
    row = StepRange.objects.select_related("step__run").get(pk=row.pk)
    with transaction.atomic():
        RangeLock(row, database="default").check()

    change(run, heartbeat=seconds_ago(100))
    with pytest.raises(Interrupted, match=f"run {run.pk} has died"), transaction.atomic():
        RangeLock(row, database="default").check()


def test_a_worker_ends_when_another_run_has_the_lock(
    run: Run, lock: Lock, ranges: list[StepRange]
) -> None:
    row = taken(ranges[0])
    finish(lock, run)
    with pytest.raises(LockLost), transaction.atomic():
        RangeLock(row, database="default").check()
    begin(Lock("default"))
    with pytest.raises(LockLost), transaction.atomic():
        RangeLock(row, database="default").check()


def test_a_dead_range_is_given_back_and_a_deadly_one_fails(ranges: list[StepRange]) -> None:
    row = taken(ranges[0])
    assert row.is_alive
    StepRange.objects.filter(pk=row.pk).update(heartbeat=seconds_ago(100))
    silent = stored(row)
    assert not silent.is_alive  # although this very process lives
    StepRange.objects.filter(pk=row.pk).update(heartbeat=timezone.now())
    assert give_back([silent], database="default") == []  # it has saved a batch since

    for number in range(2, MAX_CLAIMS + 1):
        assert give_back([stored(row)], database="default") == [row]
        assert taken(row).claims == number
    assert give_back([stored(row)], database="default") == []
    dead = stored(row)
    assert (dead.status, dead.fault) == ("failed", "StepFailed")
    assert "range 1 was taken 5 times, and its worker died each time" in dead.error


def test_layouts_of_several_workers_are_merged(ranges: list[StepRange]) -> None:
    one, two = (MigrationState.objects.get() for _ in range(2))
    with transaction.atomic():
        LinkBook(one, database="default", had_links=False).know_layout(1, ["a"])
    with transaction.atomic():
        LinkBook(two, database="default", had_links=False).know_layout(2, ["b"])

    assert MigrationState.objects.get().layouts == {"1": ["a"], "2": ["b"]}
    assert LinkBook(one, database="default", had_links=False).is_empty()
    assert not LinkBook(one, database="default", had_links=True).is_empty()
    assert LinkBook(one, database="default").is_empty()


def test_a_batch_of_a_range_costs_the_statements_of_any_other(
    run: Run, lock: Lock, ranges: list[StepRange]
) -> None:
    ledger = RangeLedger(taken(ranges[0]), database="default")
    step = ledger.step
    with statements() as of_range, ledger.committing(step):
        step.count(Outcome.CREATED, 5)
    finish(lock, run)
    one, asked = Ledger("default"), {"kind": RunKind.IMPORT, "mode": Mode.COMMIT}
    other = one.start_run([NewStep("shop.A")], options={}, **asked)
    whole = other.steps.get()
    one.start_step(whole)
    with one.lock.beating(other, dict), statements() as of_step, one.committing(whole):
        whole.count(Outcome.CREATED, 5)

    words = [sql.split()[0] for sql in of_range]
    assert words == [sql.split()[0] for sql in of_step]
    assert {"SELECT", "UPDATE"} <= set(words)


class Elsewhere:
    """A function in a thread, which has a connection of its own."""

    def __init__(self, do: Callable[[], Any]) -> None:
        self.result: Any = None
        self._do = do
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.result = self._do()
        except Exception as error:
            self.result = error
        finally:
            connections["default"].close()

    def ended(self, seconds: float) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()


@only_servers
def test_workers_share_the_lock_and_hold_up_no_heartbeat(
    run: Run, ranges: list[StepRange]
) -> None:
    mine, other = taken(ranges[0]), taken(ranges[1])

    def check() -> str:
        with transaction.atomic():
            RangeLock(other, database="default").check()
        return "shared"

    def beat() -> str:
        write_beat(run, {"read": 5}, "default")
        for row in (mine, other):  # as their own heartbeats and batches do
            StepRange.objects.filter(pk=row.pk).update(heartbeat=timezone.now(), read=3)
        save_sums(mine.step, list(StepRange.objects.all()), database="default")
        return "beaten"

    with transaction.atomic():
        RangeLock(mine, database="default").check()
        for do in (check, beat):
            found = Elsewhere(do)
            assert found.ended(5)
            assert found.result in ("shared", "beaten")
    assert Run.objects.get().live == {"read": 5}
    assert RunStep.objects.get().read == 6


@only_servers
def test_nobody_takes_over_while_a_worker_is_in_a_batch(
    run: Run, ranges: list[StepRange], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data_migration.ledger.lock._PATIENCE", 0.3)
    row = taken(ranges[0])
    change(run, host="elsewhere", heartbeat=timezone.now())
    row = StepRange.objects.select_related("step__run").get(pk=row.pk)
    with transaction.atomic():
        RangeLock(row, database="default").check()
        Elsewhere(lambda: change(run, heartbeat=seconds_ago(100))).ended(5)
        refused = Elsewhere(lambda: begin(Lock("default")))
        assert refused.ended(10)
        assert isinstance(refused.result, RunRefused)

    taker = Elsewhere(lambda: begin(Lock("default")))
    assert taker.ended(10)
    assert RunLock.objects.get().run_id == taker.result.pk
