"""What a worker does with a range, whatever is in it: takes it, works, says how it ended."""

from __future__ import annotations

from collections.abc import Callable

from ..exceptions import DataMigrationError, Interrupted, LockLost
from ..ledger.claims import RangeLedger, claim_next_range, claim_range, stop_ranges
from ..ledger.sums import sum_up
from ..models import StepRange
from ..options import never
from ..outcomes import RunStatus
from ..step.recording import what_is_kept
from ..utils.collector import rare_collections
from ..utils.databases import database_of
from ..utils.sessions import writing
from ..utils.wording import error_text

Stop = Callable[[], bool]
#: Works on the range of a ledger to its end, batch by batch. Raises what ends it early,
#: :exc:`LetGo` where somebody wants the worker to end.
Do = Callable[[RangeLedger, Stop], None]


class LetGo(Exception):
    """The worker has to end; its range is another's to go on with."""


def take_range(number: int, database: str, do: Do, *, should_stop: Stop = never) -> str:
    """Work on the range with this number, unless somebody has taken it; returns how it ended.

    What goes wrong is recorded with the range, where the coordinator looks for it. With
    ``should_stop`` the range is let go after the batch that is going on.
    """
    row = claim_range(number, database=database)
    return "not waiting" if row is None else _work(row, database, do, should_stop)


def take_ranges(step: int, database: str, do: Do, *, should_stop: Stop = never) -> None:
    """Work on the ranges of a step until none waits."""
    while not should_stop():
        row = claim_next_range(step, database=database)
        if row is None:
            return
        _work(row, database, do, should_stop)


def _work(row: StepRange, database: str, do: Do, should_stop: Stop) -> str:
    ledger = RangeLedger(row, database=database)
    with writing(database), ledger.beating(), rare_collections():
        try:
            do(ledger, should_stop)
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
        text = error_text(error, step.label, what_is_kept(step))
        is_ours = isinstance(error, DataMigrationError)
        fault = type(error).__name__ if is_ours else "StepFailed"
    ledger.end(status, text, fault)
    if status == RunStatus.INTERRUPTED:  # by a coordinator that counts, or by its death
        sum_up(step, database=ledger.database)
    if status == RunStatus.FAILED:  # now, not when the coordinator looks next
        stop_ranges(step, database=ledger.database)
    return status.value
