"""Ranges of a step: made by the coordinator, claimed by exactly one worker, saved by batches."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Subquery, Sum
from django.utils import timezone

from ..exceptions import Interrupted, LockLost
from ..models import MigrationState, Run, RunLock, RunStep, StepRange
from ..models.counts import COUNTS, is_fresh
from ..outcomes import RunStatus
from ..rows.keys import key_text
from ..utils import processes
from ..utils.databases import database_of
from .heartbeat import Heartbeat
from .links import LinkBook
from .lock import Lock
from .messages import Messages
from .runs import Ledger

#: How often a range is taken before it counts as one that kills its workers.
MAX_CLAIMS = 5


def ranges_of(step: RunStep, database: str) -> Any:
    """The ranges of a step in their order."""
    return StepRange.objects.using(database).filter(step=step).order_by("number")


def hand_out(step: RunStep, ranges: Collection[StepRange], *, database: str) -> None:
    """Record the ranges into which a step is split, with the step, for workers to claim."""
    StepRange.objects.using(database).bulk_create(ranges)
    step.save(using=database)


def claim(number: int, *, database: str) -> StepRange | None:
    """Make a range one of this process; None when it does not wait for anybody (any more)."""
    rows = StepRange.objects.using(database)
    found = rows.filter(pk=number).first()
    if found is None:
        return None
    waiting = rows.filter(
        pk=number, status=RunStatus.PENDING, is_stopped=False, claims=found.claims
    )
    now = timezone.now()
    taken = waiting.update(
        status=RunStatus.RUNNING,
        claims=found.claims + 1,
        host=processes.host(),
        process=os.getpid(),
        process_started=processes.started(os.getpid()),
        heartbeat=now,
        started_at=found.started_at or now,
    )
    return rows.select_related("step__run").get(pk=number) if taken else None


def claim_next(step: int, *, database: str) -> StepRange | None:
    """The first range of the step that waits; None when none does."""
    waiting = StepRange.objects.using(database).filter(
        step=step, status=RunStatus.PENDING, is_stopped=False
    )
    for number in waiting.order_by("number").values_list("pk", flat=True):
        if found := claim(number, database=database):
            return found
    return None


def give_back(ranges: Iterable[StepRange], *, database: str) -> list[StepRange]:
    """Let others take ranges whose workers are gone; returns those that can be taken now.

    One that has been taken too often has failed: its rows end the process that reads them.
    """
    freed = []
    for each in ranges:
        is_deadly = each.claims >= MAX_CLAIMS
        status = RunStatus.FAILED if is_deadly else RunStatus.PENDING
        # The heartbeat as it was seen: a worker that was slow may have saved a batch since.
        held = StepRange.objects.using(database).filter(
            pk=each.pk, status=RunStatus.RUNNING, claims=each.claims, heartbeat=each.heartbeat
        )
        fields = {"error": _deadly(each), "fault": "StepFailed"} if is_deadly else {}
        if held.update(status=status, **fields) and not is_deadly:
            freed.append(each)
    return freed


def stop_ranges(step: RunStep, *, database: str) -> None:
    """Ask every worker of the step to end after its batch; what waits is taken by nobody."""
    rows = StepRange.objects.using(database).filter(step=step)
    rows.filter(status__in=(RunStatus.PENDING, RunStatus.RUNNING)).update(is_stopped=True)
    rows.filter(status=RunStatus.PENDING).update(status=RunStatus.INTERRUPTED)


def save_sums(step: RunStep, ranges: Collection[StepRange], *, database: str) -> None:
    """The counts of a step are the sums of those of its ranges; kept for others to see.

    Without the lock, which workers share for as long as their batches last.
    """
    sums = {name: sum(getattr(each, name) for each in ranges) for name in COUNTS}
    if sums != step.counts():
        step.set_counts(sums)
        RunStep.objects.using(database).filter(pk=step.pk).update(**sums)


def holds_lock(run: Run, *, database: str) -> bool:
    """Whether the run still has the lock of its database. Locks nothing."""
    return RunLock.objects.using(database).filter(run=run).exists()


def _deadly(each: StepRange) -> str:
    return (
        f"{each.step.migration}: range {each.number} was taken {each.claims} times, and its"
        f" worker died each time, last process {each.process} on {each.host}. Look for what ended"
        " the processes (out of memory?), then run the same command again."
    )


class SharedLock(Lock):
    """The lock of the run, as a worker looks at it: shared with the other workers.

    ``elsewhere`` is how many rows have failed in the other ranges, as of the last look.
    """

    def __init__(self, database: str, row: StepRange) -> None:
        super().__init__(database)
        self._row = row
        self._run = row.step.run
        self._query = self._look()
        self.elsewhere = 0

    def _look(self) -> Any:
        """One query: whose lock it is, whether the range is still ours, what failed elsewhere."""
        rows = StepRange.objects.using(self.database)
        own = rows.filter(pk=self._row.pk, claims=self._row.claims, status=RunStatus.RUNNING)
        others = rows.filter(step=self._row.step_id).exclude(pk=self._row.pk)
        failed = others.order_by().values("step").annotate(sum=Sum("failed")).values("sum")
        # Subqueries, since what is joined would be locked as well.
        return (
            RunLock.objects.using(self.database)
            .filter(pk=1)
            .values_list(
                "run_id",
                Exists(own.filter(is_stopped=False)),
                Exists(own),
                Subquery(failed),
                Subquery(Run.objects.filter(pk=OuterRef("run_id")).values("heartbeat")),
            )
        )

    def check(self) -> None:
        """Raise when the batch must not be committed.

        :exc:`LockLost` when another run has the lock or another worker the range,
        :exc:`Interrupted` when the coordinator wants the range to end or is gone itself. The row
        of the lock stays share-locked until the batch is committed.
        """
        assert self._run is not None
        looked = self._fetch()
        held_by, goes_on, is_ours, elsewhere, heartbeat = looked or (None, False, False, 0, None)
        if held_by != self._run.pk or not is_ours:
            raise LockLost(f"{self._name} is not this worker's any more. Its batch is not kept.")
        if not goes_on:
            raise Interrupted(f"{self._name} was stopped.")
        if not self._coordinator_lives(heartbeat):
            raise Interrupted(f"{self._name} was stopped: run {self._run.pk} has died.")
        self.elsewhere = int(elsewhere or 0)

    @property
    def _name(self) -> str:
        return f"{self._row.step.migration}: range {self._row.number}"

    def _fetch(self) -> tuple[Any, ...] | None:
        database = database_of(self.database)
        rows = self._query
        if not database.share_lock:
            rows = rows.select_for_update()
            return rows.first()  # type: ignore[no-any-return]
        compiler = rows.query.get_compiler(self.database)
        sql, params = compiler.as_sql()
        with database.connection.cursor() as cursor:
            cursor.execute(sql + database.share_lock, params)
            found = cursor.fetchall()
        converters = compiler.get_converters([column[0] for column in compiler.select])
        return next((tuple(row) for row in compiler.apply_converters(found, converters)), None)

    def _coordinator_lives(self, heartbeat: Any) -> bool:
        assert self._run is not None
        is_there = self._run.is_in_process_table
        return is_fresh(heartbeat) if is_there is None else is_there


class RangeHeartbeat(Heartbeat):
    """Signs of life of a range while somebody works on it."""

    def __init__(self, row: StepRange, *, database: str) -> None:
        super().__init__(row.step.run, dict, lambda: None, database=database)
        self._row = row

    def _write(self) -> None:
        ours(self._row, self._database).update(heartbeat=timezone.now())


def ours(row: StepRange, database: str) -> Any:
    """The row in the ledger as long as it is this process's."""
    rows = StepRange.objects.using(database)
    return rows.filter(pk=row.pk, claims=row.claims, status=RunStatus.RUNNING)


class RangeBook(LinkBook):
    """The links of a migration that other workers write to at the same time."""

    def __init__(self, state: MigrationState, *, database: str, had_links: bool) -> None:
        super().__init__(state, database=database)
        self._had_links = had_links

    def is_empty(self) -> bool:
        """Whether no row of this range can have a link yet: other keys are other ranges'."""
        return not self._had_links

    def know_layout(self, layout: int, names: Any) -> None:
        """The layouts of all workers stand in one row: they are merged, not written over."""
        if str(layout) in self.state.layouts:
            return
        # Locked until the batch is committed, once for each layout and worker.
        no_key = database_of(self.database).locks_all_but_the_key
        rows = MigrationState.objects.using(self.database).select_for_update(no_key=no_key)
        self.state.layouts = rows.values_list("layouts", flat=True).get(pk=self.state.pk)
        super().know_layout(layout, names)


class RangeLedger(Ledger):
    """Remembers one range: its counts are the step's that the pipeline counts on.

    ``position`` is the last key that is done with, once the batch going on is committed.
    """

    def __init__(self, row: StepRange, *, database: str) -> None:
        super().__init__(database)
        self.row = row
        self.lock = self.shared = SharedLock(database, row)
        self.position: Any = None

    def start_range(self) -> tuple[RunStep, MigrationState]:
        """The step, with the counts of the range, and what is remembered of the migration."""
        row = self.row
        step, step.total = row.step, row.step.total
        step.set_counts(row.counts())
        state = MigrationState.objects.using(self.database).get(label=step.migration)
        messages = self._messages[step] = Messages(step, state, database=self.database)
        messages.rows_before = row.rows_before + row.read + row.passed
        return step, state

    def _save(self, step: RunStep) -> None:
        fields: dict[str, Any] = {**step.counts(), "heartbeat": timezone.now()}
        if self.position is not None:
            fields["position"] = key_text(self.position)
        if not ours(self.row, self.database).update(**fields):
            raise LockLost(f"{step.migration}: range {self.row.number} was taken by another.")
        if step in self._messages:
            self._messages[step].save()

    def forget_failures(self, step: RunStep) -> None:
        """What was not committed counts for nothing: whoever takes the range meets it again."""
        self.row.refresh_from_db(using=self.database)
        step.set_counts(self.row.counts())
        self._messages[step].saved()

    def end_range(
        self, step: RunStep, status: RunStatus, error: str = "", fault: str = ""
    ) -> None:
        """Say how the range ended, with the failures that no batch could keep.

        A range that is let go (``pending``) is taken by another worker.
        """
        self.position = None  # of a batch that was rolled back
        now = timezone.now()
        with transaction.atomic(using=self.database):
            self._save(step)
            ours(self.row, self.database).update(
                status=status, error=error, fault=fault, finished_at=now, seconds=self._age(now)
            )
        self._messages[step].saved()

    def _age(self, now: Any) -> float:
        begun = self.row.started_at or now
        return float((now - begun).total_seconds())
