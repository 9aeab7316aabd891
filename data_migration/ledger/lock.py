"""One run at a time in one lane of a target database: who holds its lock, and whether it lives."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import cached_property
from typing import Any

from django.db import Error, OperationalError, connections, transaction
from django.db.models import Exists, F, OuterRef
from django.utils import timezone

from ..conf import settings
from ..exceptions import LockLost, RunRefused
from ..models import Run, RunLock, RunStep
from ..outcomes import RunStatus
from ..utils import processes
from ..utils.databases import database_of
from .heartbeat import beating
from .lanes import IMPORTS, PATCHES, of_lane
from .queue import active_run, stop_requested
from .run_words import describe_run, host_of, process_of, time_of
from .sums import sum_up

__all__ = ["IMPORTS", "PATCHES", "Lock", "holds_lock", "lock_holder", "nobody_else", "write_beat"]

#: Tells the counts of the step that is going on, for others to see.
Live = Callable[[], dict[str, Any]]

#: How long to try for the lock while another process has its row locked, in seconds.
_PATIENCE = 3.0

# Runs that came to their end in this process and could not release the lock, say because the
# database was gone: that the process lives says nothing about them.
_over: set[tuple[str, int]] = set()


def write_beat(run: Run, live: dict[str, Any], database: str) -> None:
    """Write one sign of life; a run that another one has ended stays as it is."""
    rows = Run.objects.using(database).filter(pk=run.pk, status=RunStatus.RUNNING)
    rows.update(heartbeat=timezone.now(), live=live)


def lock_holder(database: str, lane: str = IMPORTS) -> Run | None:
    """The run that is at work in a lane of ``database``; None when none is, or it is dead."""
    run = _recorded(database, lane)
    return run if run is not None and _is_at_work(run, database) else None


def holds_lock(run: Run, *, database: str) -> bool:
    """Whether the run still has the lock of its lane. Locks nothing."""
    return RunLock.objects.using(database).filter(run=run).exists()


@contextmanager
def nobody_else(database: str, lane: str = IMPORTS) -> Iterator[None]:
    """In the block, a transaction, nobody else can queue a run of this lane like this.

    Raises :exc:`RunRefused` when one is going on or waits, or is just being asked for.
    """
    _refuse_beside_another(database, lane)
    row = _row_of(database, lane)
    if not row.exists():
        _make_row(database, lane)
    with transaction.atomic(using=database):
        try:
            if database_of(database).has_one_writer:
                row.update(run=F("run"))  # whoever has written is the writer until its end
            else:
                list(row.select_for_update(nowait=database_of(database).locks_without_waiting))
        except OperationalError as error:
            raise RunRefused(
                f"Another run{of_lane(lane)} is just being asked for, and there can be one at a"
                " time. Look again in a moment."
            ) from error
        _refuse_beside_another(database, lane)
        yield


def _refuse_beside_another(database: str, lane: str) -> None:
    if (other := active_run(database, lane)) is not None:
        raise RunRefused(
            f"Run {other.pk} is not over, and there can be one{of_lane(lane)} at a time."
        )


def _row_of(database: str, lane: str) -> Any:
    return RunLock.objects.using(database).filter(lane=lane)


def _make_row(database: str, lane: str) -> None:
    """The row of a lane's lock is there from its first run on."""
    RunLock.objects.using(database).bulk_create([RunLock(lane=lane)], ignore_conflicts=True)


class Lock:
    """The lock of one lane of a target database, for one run.

    Only runs of one lane exclude each other, and heal what a dead one left. A run holds the lock
    from its first record to its last. On PostgreSQL and MySQL signs of life and live counts are
    written by a thread, see :class:`~data_migration.ledger.heartbeat.Heartbeat`; on SQLite, where
    one connection writes at a time, by the run itself between its transactions.
    """

    def __init__(self, database: str, lane: str = IMPORTS) -> None:
        self.database = database
        self.lane = lane
        self._run: Run | None = None
        self._live: Live = dict
        self._next_beat = 0.0
        #: Whether somebody wants the run to end, as far as :meth:`check` and the beats saw it.
        self.stop_requested = False
        self._beats_here = database_of(database).has_one_writer

    def refuse_second(self) -> None:
        """Raise :exc:`RunRefused` when a living run holds the lock. Writes nothing.

        To be called before the transaction of :meth:`acquire`: on SQLite that would wait in vain
        for the other run's transaction, and could not say for whom.
        """
        _refuse(_recorded(self.database, self.lane), self.database)

    @contextmanager
    def refused_by_other_lanes(self) -> Iterator[None]:
        """Say whose transaction it is, where one writer has the database and it was waited for."""
        try:
            yield
        except OperationalError as error:
            database = database_of(self.database)
            if not (database.has_one_writer and database.is_locked(error)):
                raise
            other = active_run(self.database, lane=None)
            if other is None or other.status != RunStatus.RUNNING:
                raise
            raise RunRefused(
                f"Nobody else can write to database {self.database!r} while a transaction of run"
                f" {other.pk} is open, since it is SQLite, and that was waited for in vain."
                f" {describe_run(other)} Try again when it has ended."
            ) from error

    def acquire(self, run: Run) -> None:
        """Take the lock for ``run``, in the transaction that creates it.

        What a dead run left is marked as interrupted. Raises :exc:`RunRefused` when a living run
        holds the lock, and when its row cannot be had: a transaction that took it is still open.
        """
        deadline = time.monotonic() + _PATIENCE
        while True:
            row = _recorded_row(self.database, self.lane)
            if row is None:
                _make_row(self.database, self.lane)
            former = row.run if row is not None else None
            _refuse(former, self.database)
            if self._take(run, former):
                break
            if time.monotonic() > deadline:
                last = (
                    f" It may be that of run {former.pk} ({process_of(former)})." if former else ""
                )
                raise RunRefused(
                    f"The lock{of_lane(self.lane)} of database {self.database!r} cannot be had: an"
                    f" open transaction has it.{last} Try again in a moment. If this goes on, a"
                    " process hangs, or the server does not know yet that its connection is lost:"
                    " end that connection on the server."
                )
            time.sleep(0.05)
        self._run = run
        for dead in self._running().exclude(pk=run.pk):
            self._heal(dead, run)

    def release(self) -> None:
        """Give the lock back, in the transaction that ends the run; a lost one is let be."""
        if self._run is None:
            return
        self._rows().filter(run=self._run).update(run=None)
        self._run = None

    def check(self) -> None:
        """Raise :exc:`LockLost` when another run took over. For the transaction of a batch.

        The row stays locked until the batch is committed, so nobody can take over in between.
        The same query tells whether the run is to stop.
        """
        assert self._run is not None, "acquire() comes first"
        held_by, wants_end = next(iter(self._looked_at.all()), (None, False))
        if held_by != self._run.pk:
            runs = Run.objects.using(self.database)
            other = runs.filter(pk=held_by).first() if held_by else None
            taken = (
                f"Run {other.pk} ({process_of(other)}) took over" if other else "Its lock is gone"
            )
            raise LockLost(
                f"Run {self._run.pk} was taken to be dead, because no sign of life of it had come"
                f" for {settings.lock_timeout:g} s. {taken}. The batch going on is not kept, those"
                " committed before are; the same command does the rest when the other run has"
                " ended."
            )
        self.stop_requested = self.stop_requested or bool(wants_end)

    @cached_property
    def _looked_at(self) -> Any:
        """Who holds the lock, and whether that run is to stop; made once for many batches."""
        # A subquery, since what is joined would be locked as well, and the heartbeat waits then.
        stopped = Run.objects.filter(pk=OuterRef("run_id"), stop_requested=True)
        rows = self._rows().select_for_update().annotate(stopped=Exists(stopped))
        return rows.values_list("run_id", "stopped")

    @contextmanager
    def beating(self, run: Run, live: Live) -> Iterator[None]:
        """While the block lasts, write signs of life of ``run`` and what ``live()`` tells.

        The block ends with :meth:`release`. ``live`` is called from another thread on PostgreSQL
        and MySQL. Inside of an outer transaction nobody else can see the run, and nothing is
        written.
        """

        def write() -> None:
            write_beat(run, live(), self.database)
            # The only way to ask a run that is one long transaction.
            if stop_requested(run.pk, database=self.database):
                self.stop_requested = True

        self._live = live
        self._next_beat = time.monotonic() + settings.heartbeat_interval
        in_a_thread = beating(write, of=f"run {run.pk}", database=self.database)
        try:
            with nullcontext() if self._beats_here else in_a_thread:
                yield
        finally:
            if self._run is not None:
                _over.add((self.database, run.pk))

    def beat(self) -> None:
        """A sign of life where no thread gives them, at most one per interval.

        Does nothing inside of a transaction, which would hide it.
        """
        if not self._beats_here or self._run is None or time.monotonic() < self._next_beat:
            return
        if connections[self.database].in_atomic_block:
            return
        self._next_beat = time.monotonic() + settings.heartbeat_interval
        with suppress(Error):  # somebody else is writing: the next one will do
            write_beat(self._run, self._live(), self.database)

    def _rows(self) -> Any:
        return _row_of(self.database, self.lane)

    def _running(self) -> Any:
        runs = Run.objects.using(self.database).filter(lane=self.lane)
        return runs.filter(status=RunStatus.RUNNING)

    def _take(self, run: Run, former: Run | None) -> bool:
        """Whether the lock passed from ``former`` to ``run``; not if it is another's by now."""
        nowait = database_of(self.database).locks_without_waiting
        try:
            with transaction.atomic(using=self.database):
                # The UPDATE by itself would wait, maybe without end, for a row that is locked.
                list(self._rows().select_for_update(nowait=nowait))
                return bool(self._rows().filter(run=former).update(run=run))
        except OperationalError:
            if connections[self.database].needs_rollback:
                raise  # it was more than a row that is locked
            return False

    def _heal(self, dead: Run, run: Run) -> None:
        now = timezone.now()
        steps = RunStep.objects.using(self.database).filter(run=dead, status=RunStatus.RUNNING)
        error = (
            f"Its process ended, or fell silent, before the run did: {process_of(dead)}, last sign"
            f" of life {time_of(dead.heartbeat)}. Run {run.pk} took over. What was committed is"
            " kept; the same command does the rest."
        )
        for step in steps.filter(split_into__gt=0):
            # Its workers may have outlived it by a batch; now none of them can commit any more.
            sum_up(step, database=self.database)
        ended = {"status": RunStatus.INTERRUPTED, "finished_at": now, "error": error}
        steps.update(**ended)
        self._running().filter(pk=dead.pk).update(**ended)


def _recorded_row(database: str, lane: str) -> RunLock | None:
    return _row_of(database, lane).select_related("run").first()  # type: ignore[no-any-return]


def _recorded(database: str, lane: str) -> Run | None:
    """The run that the row of the lane's lock names, alive or not."""
    row = _recorded_row(database, lane)
    return row.run if row is not None else None


def _is_at_work(run: Run, database: str) -> bool:
    if run.status != RunStatus.RUNNING or not run.is_alive:
        return False
    is_own = run.process == os.getpid() and run.host == processes.host()
    return not (is_own and (database, run.pk) in _over)


def _refuse(run: Run | None, database: str) -> None:
    """Raise :exc:`RunRefused`, which says how to stop the run, where it is at work."""
    if run is None or not _is_at_work(run, database):
        return
    elsewhere = (
        f" on {host_of(run)}. If it is dead already, its lock is free"
        f" {settings.lock_timeout:g} s after its last sign of life."
    )
    raise RunRefused(
        f"Another run{of_lane(run.lane)} is at work in database {database!r}, and there can be one"
        f" at a time. {describe_run(run)} Wait until it has ended, or stop it: Ctrl-C in its"
        f" terminal, or kill {run.process}{'.' if run.host == processes.host() else elsewhere}"
    )
