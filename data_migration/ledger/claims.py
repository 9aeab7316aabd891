"""Ranges of a step: made by the coordinator, claimed by exactly one worker, saved by batches."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Subquery, Sum
from django.utils import timezone

from ..exceptions import Interrupted, LockLost
from ..models import MigrationState, PatchRecord, Run, RunLock, RunStep, StepRange
from ..models.counts import is_fresh
from ..outcomes import RunStatus
from ..rows.keys import key_text
from ..utils import processes
from ..utils.databases import database_of
from .heartbeat import beating
from .steps import StepLedger

#: How often a range is taken before it counts as one that kills its workers.
MAX_CLAIMS = 5


def hand_out(step: RunStep, ranges: Collection[StepRange], *, database: str) -> None:
    """Record the ranges into which a step is split, with the step, for workers to claim."""
    StepRange.objects.using(database).bulk_create(ranges)
    step.save(using=database)


def keep_ranges(ranges: Collection[StepRange], *, database: str) -> None:
    """Record ranges that one process works on by itself, after another; nobody claims them."""
    StepRange.objects.using(database).bulk_create(ranges)


def advance_range(row: StepRange, rows: int, *, position: Any, is_done: bool) -> None:
    """So many more rows of such a range are done, up to a key (None: none more), or all."""
    row.read += rows
    row.position = row.position if position is None else key_text(position)
    row.status = RunStatus.DONE if is_done else RunStatus.RUNNING
    row.save(update_fields=["read", "position", "status"])


def ranges_of_record(record: PatchRecord, *, database: str) -> list[StepRange]:
    """The ranges in which a patch was processed last, in their order; empty without any."""
    rows = StepRange.objects.using(database).filter(fingerprint=record.mark)
    last = rows.order_by("-step__run_id").values_list("step", flat=True).first()
    return list(rows.filter(step=last).order_by("number"))


def claim_range(number: int, *, database: str) -> StepRange | None:
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


def claim_next_range(step: int, *, database: str) -> StepRange | None:
    """The first range of the step that waits; None when none does."""
    waiting = StepRange.objects.using(database).filter(
        step=step, status=RunStatus.PENDING, is_stopped=False
    )
    for number in waiting.order_by("number").values_list("pk", flat=True):
        if found := claim_range(number, database=database):
            return found
    return None


def give_back(ranges: Iterable[StepRange], *, database: str) -> list[StepRange]:
    """Let others take ranges whose workers are gone; returns those that can be taken now.

    One that has been taken too often has failed: its rows end the process that reads them.
    """
    freed = []
    for each in ranges:
        is_deadly = each.claims >= MAX_CLAIMS
        ended: dict[str, Any] = {"status": RunStatus.PENDING}
        if is_deadly:
            error = (
                f"{each.step.label}: range {each.number} was taken {each.claims} times, and"
                f" its worker died each time, last process {each.process} on {each.host}. Look for"
                " what ended the processes (out of memory?), then run the same command again."
            )
            ended = {"status": RunStatus.FAILED, "error": error, "fault": "StepFailed"}
        # The heartbeat as it was seen: a worker that was slow may have saved a batch since.
        held = StepRange.objects.using(database).filter(
            pk=each.pk, status=RunStatus.RUNNING, claims=each.claims, heartbeat=each.heartbeat
        )
        if held.update(**ended) and not is_deadly:
            freed.append(each)
    return freed


def stop_ranges(step: RunStep, *, database: str) -> None:
    """Ask every worker of the step to end after its batch; what waits is taken by nobody."""
    rows = StepRange.objects.using(database).filter(step=step)
    rows.filter(status__in=(RunStatus.PENDING, RunStatus.RUNNING)).update(is_stopped=True)
    rows.filter(status=RunStatus.PENDING).update(status=RunStatus.INTERRUPTED)


class RangeLock:
    """The lock of the run, as the worker of a range looks at it: shared with the other workers.

    ``elsewhere`` is how many rows have failed in the other ranges, as of the last look.
    """

    def __init__(self, row: StepRange, *, database: str) -> None:
        self.elsewhere = 0
        self._row = row
        self._run = row.step.run
        self._database = database
        #: Whose lock it is, whether the range is still ours, what failed elsewhere: one query.
        self._looked_at = _looked_at(row, database)

    def check(self) -> None:
        """Raise when the batch must not be committed.

        :exc:`LockLost` when another run has the lock or another worker the range,
        :exc:`Interrupted` when the coordinator wants the range to end or is gone itself. The row
        of the lock stays share-locked until the batch is committed.
        """
        looked = self._fetch()
        held_by, goes_on, is_ours, elsewhere, heartbeat = looked or (None, False, False, 0, None)
        name = f"{self._row.step.label}: range {self._row.number}"
        if held_by != self._run.pk or not is_ours:
            raise LockLost(f"{name} is not this worker's any more. Its batch is not kept.")
        if not goes_on:
            raise Interrupted(f"{name} was stopped.")
        is_there = self._run.is_in_process_table
        if not (is_fresh(heartbeat) if is_there is None else is_there):
            raise Interrupted(f"{name} was stopped: run {self._run.pk} has died.")
        self.elsewhere = int(elsewhere or 0)

    def beat(self) -> None:
        """Nothing: a thread gives the signs of life of a range."""

    def _fetch(self) -> tuple[Any, ...] | None:
        database = database_of(self._database)
        rows = self._looked_at
        if not database.share_lock:
            rows = rows.select_for_update()
            return rows.first()  # type: ignore[no-any-return]
        compiler, sql, params, converters = self._compiled
        with database.connection.cursor() as cursor:
            cursor.execute(sql + database.share_lock, params)
            found = cursor.fetchall()
        return next((tuple(row) for row in compiler.apply_converters(found, converters)), None)

    @cached_property
    def _compiled(self) -> tuple[Any, str, Any, Any]:
        """The query that is made once and sent with each batch: making it takes longer."""
        compiler = self._looked_at.query.get_compiler(self._database)
        sql, params = compiler.as_sql()
        converters = compiler.get_converters([column[0] for column in compiler.select])
        return compiler, sql, params, converters


def _looked_at(row: StepRange, database: str) -> Any:
    rows = StepRange.objects.using(database)
    own = rows.filter(pk=row.pk, claims=row.claims, status=RunStatus.RUNNING)
    others = rows.filter(step=row.step_id).exclude(pk=row.pk)
    failed = others.order_by().values("step").annotate(sum=Sum("failed")).values("sum")
    # Subqueries, since what is joined would be locked as well.
    return (
        RunLock.objects.using(database)
        .filter(lane=row.step.run.lane)
        .values_list(
            "run_id",
            Exists(own.filter(is_stopped=False)),
            Exists(own),
            Subquery(failed),
            Subquery(Run.objects.filter(pk=OuterRef("run_id")).values("heartbeat")),
        )
    )


class RangeLedger(StepLedger):
    """Remembers one range while this process has it.

    ``step`` is the range's with the counts of the range, on which the pipeline counts; ``state``
    what is remembered of the migration. ``position`` is the last key that is done with, once the
    batch going on is committed.
    """

    def __init__(self, row: StepRange, *, database: str) -> None:
        self.lock = RangeLock(row, database=database)
        super().__init__(database, guard=self.lock, store=self._store_range)
        self.row = row
        self.position: Any = None
        self.step = step = row.step
        step.total = row.total
        step.set_counts(row.counts())
        self.state = MigrationState.objects.using(database).get(label=step.migration)
        rows_before = row.rows_before + row.read + row.passed
        self._kept = self.open_messages(step, self.state, rows_before=rows_before)

    @property
    def _own(self) -> Any:
        """The row in the ledger, as long as it is this process's."""
        rows = StepRange.objects.using(self.database)
        return rows.filter(pk=self.row.pk, claims=self.row.claims, status=RunStatus.RUNNING)

    def beating(self) -> AbstractContextManager[None]:
        """While the block lasts, signs of life of the range are written."""

        def write() -> None:
            self._own.update(heartbeat=timezone.now())

        return beating(write, of=f"range {self.row.pk}", database=self.database)

    def _store_range(self, step: RunStep) -> None:
        fields: dict[str, Any] = {**step.counts(), "heartbeat": timezone.now()}
        if self.position is not None:
            fields["position"] = key_text(self.position)
        if not self._own.update(**fields):
            raise LockLost(f"{step.label}: range {self.row.number} was taken by another.")

    def forget_failures(self) -> None:
        """What was not committed counts for nothing: whoever takes the range meets it again."""
        self.row.refresh_from_db(using=self.database)
        self.step.set_counts(self.row.counts())
        self._kept.saved()

    def end(self, status: RunStatus, error: str = "", fault: str = "") -> None:
        """Say how the range ended, with the failures that no batch could keep.

        A range that is let go (``pending``) is taken by another worker.
        """
        self.position = None  # of a batch that was rolled back
        now = timezone.now()
        seconds = (now - (self.row.started_at or now)).total_seconds()
        ended = {"status": status, "error": error, "fault": fault, "finished_at": now}
        with transaction.atomic(using=self.database):
            self.store_step(self.step)
            self._own.update(**ended, seconds=seconds)
        self._kept.saved()
