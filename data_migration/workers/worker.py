"""What a worker does: claims a range, reads its rows, commits them batch by batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..exceptions import DataMigrationError, Interrupted, LockLost, SpecError
from ..ledger.claims import RangeLedger, claim_next_range, claim_range, stop_ranges
from ..ledger.sums import sum_up
from ..models import StepRange
from ..options import RunOptions, never
from ..outcomes import RunStatus
from ..plan.due import has_rows
from ..plan.graph import PlanStep, build_plan
from ..sources import close_connection
from ..spec.discovery import discover
from ..spec.fingerprint import fingerprint
from ..step.context import StepContext
from ..step.reading import Keep
from ..step.recording import what_is_kept
from ..utils.collector import rare_collections
from ..utils.databases import database_of
from ..utils.sessions import writing
from ..utils.wording import error_text
from .range_reading import LetGo, read_range

Stop = Callable[[], bool]


def execute_range(number: int, database: str, *, should_stop: Stop = never) -> str:
    """Work on the range with this number, unless somebody has taken it; returns how it ended.

    For a worker anywhere: what goes wrong is recorded with the range, where the coordinator looks
    for it. With ``should_stop`` the range is let go after the batch that is going on.
    """
    row = claim_range(number, database=database)
    if row is None:
        return "not waiting"
    opened: list[Any] = []
    try:
        return _work(row, database, should_stop, opened.append)
    finally:
        for connection in opened:
            close_connection(connection)


def work_on(step: int, database: str, keep_open: Keep, *, should_stop: Stop = never) -> None:
    """Work on the ranges of a step until none waits.

    ``keep_open`` receives the connections that a spec opened, which may hand them out again.
    """
    while not should_stop():
        row = claim_next_range(step, database=database)
        if row is None:
            return
        _work(row, database, should_stop, keep_open)


def _work(row: StepRange, database: str, should_stop: Stop, keep_open: Keep) -> str:
    ledger = RangeLedger(row, database=database)
    step = ledger.step
    with writing(database), ledger.beating(), rare_collections():
        try:
            plan_step = _plan_step(row, database)
            options = RunOptions.from_recorded(
                step.run.options, mode=step.run.mode, database=database, should_stop=should_stop
            )
            migration = plan_step.migration()
            context = StepContext(step, migration, ledger.state, options)
            read_range(row, context, ledger, plan_step, keep_open)
        except BaseException as error:
            status = _end(ledger, error)
            if not isinstance(error, Exception):
                raise
            return status
        ledger.end(RunStatus.DONE)
    return RunStatus.DONE.value


def _end(ledger: RangeLedger, error: BaseException) -> str:
    """Record what ended the range early; returns its status."""
    step = ledger.step
    if isinstance(error, LockLost):
        return "lost"  # the row is somebody else's
    status, text, fault = RunStatus.FAILED, "", ""
    is_deadlock = database_of(ledger.database).is_deadlock(error)
    if isinstance(error, LetGo) or not isinstance(error, Exception) or is_deadlock:
        status = RunStatus.PENDING
        ledger.forget_failures()
    elif isinstance(error, Interrupted):
        status = RunStatus.INTERRUPTED
    else:
        text = error_text(error, step.migration, what_is_kept(step))
        is_ours = isinstance(error, DataMigrationError)
        fault = type(error).__name__ if is_ours else "StepFailed"
    ledger.end(status, text, fault)
    if status == RunStatus.INTERRUPTED:  # by a coordinator that counts, or by its death
        sum_up(step, database=ledger.database)
    if status == RunStatus.FAILED:  # now, not when the coordinator looks next
        stop_ranges(step, database=ledger.database)
    return status.value


def _plan_step(row: StepRange, database: str) -> PlanStep:
    """The range's migration. Raises :exc:`SpecError` unless it is the one that was split."""
    label = row.step.migration
    for plan_step in build_plan(discover(), lambda model: has_rows(model, database)):
        if plan_step.label == label:
            break
    else:
        raise SpecError(f"{label}: this worker has no such migration. Give it the same code.")
    if row.fingerprint != fingerprint(plan_step.migration):
        raise SpecError(
            f"{label}: the spec of this worker is another one than the coordinator's."
            " Give every worker the same code, start them anew, and run the same command again."
        )
    return plan_step
