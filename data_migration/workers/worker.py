"""Who works on ranges of a migration: finds the same spec, and reads their rows."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..exceptions import SpecError
from ..ledger.claims import RangeLedger
from ..models import StepRange
from ..options import RunOptions, never
from ..plan.due import has_rows
from ..plan.graph import PlanStep, build_plan
from ..sources import close_connection
from ..spec.discovery import discover
from ..spec.fingerprint import fingerprint
from ..step.context import StepContext
from ..step.reading import Keep
from .range_reading import read_range
from .taking import Stop, take_range, take_ranges


def execute_range(number: int, database: str, *, should_stop: Stop = never) -> str:
    """Work on the range with this number, unless somebody has taken it; returns how it ended.

    For a worker anywhere: what goes wrong is recorded with the range, where the coordinator looks
    for it. With ``should_stop`` the range is let go after the batch that is going on.
    """
    opened: list[Any] = []
    read = partial(_read, keep_open=opened.append)
    try:
        return take_range(number, database, read, should_stop=should_stop)
    finally:
        for connection in opened:
            close_connection(connection)


def work_on(step: int, database: str, keep_open: Keep, *, should_stop: Stop = never) -> None:
    """Work on the ranges of a step until none waits.

    ``keep_open`` receives the connections that a spec opened, which may hand them out again.
    """
    take_ranges(step, database, partial(_read, keep_open=keep_open), should_stop=should_stop)


def _read(ledger: RangeLedger, should_stop: Stop, *, keep_open: Keep) -> None:
    row, step, database = ledger.row, ledger.step, ledger.database
    plan_step = _plan_step(row, database)
    options = RunOptions.from_recorded(
        step.run.options, mode=step.run.mode, database=database, should_stop=should_stop
    )
    context = StepContext(step, plan_step.migration(), ledger.state, options)
    read_range(row, context, ledger, plan_step, keep_open)


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
