"""What a worker does: claims a range, reads its rows, commits them batch by batch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from django.conf import settings as django_settings
from django.db import OperationalError, reset_queries

from ..exceptions import DataMigrationError, Interrupted, LockLost, SpecError
from ..ledger import LinkBook, LinkLookup
from ..ledger.claims import RangeLedger, claim_next_range, claim_range, stop_ranges
from ..models import StepRange
from ..options import RunOptions, never
from ..outcomes import RunStatus
from ..plan.due import has_rows
from ..plan.graph import Plan, PlanStep, build_plan
from ..progress import Progress
from ..rows.keys import key_of_text
from ..sources import Reader, close_connection
from ..sources.key_ranges import KeyRange, in_range
from ..sources.rows import Rows
from ..spec.discovery import discover
from ..spec.fingerprint import fingerprint
from ..spec.migration import Migration
from ..step.context import StepContext
from ..step.reading import open_source
from ..step.recording import Recorder, error_text, what_is_kept
from ..step.step import Keep, StepRunner
from ..transform.legacy_targets import Linked
from ..undo.removal import Removal
from ..utils.collector import rare_collections
from .divide import whole_groups

Stop = Callable[[], bool]

#: Two workers waited for each other, and the database chose one to begin again.
_SQLSTATES = frozenset({"40001", "40P01"})
_MYSQL_CODES = frozenset({1205, 1213})


class LetGo(Exception):
    """The worker has to end; its range is another's to go on with."""


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
    with ledger.beating(), rare_collections():
        try:
            plan_step = _plan_step(step.migration, database)
            _refuse_other_version(row, plan_step.migration)
            options = RunOptions.from_recorded(
                step.run.options, mode=step.run.mode, database=database, should_stop=should_stop
            )
            migration = plan_step.migration()
            context = StepContext(step, migration, ledger.state, options)
            _RangeRunner(row, context, ledger, plan_step, keep_open).run()
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
    if isinstance(error, LetGo) or not isinstance(error, Exception) or _is_deadlock(error):
        status = RunStatus.PENDING
        ledger.forget_failures()
    elif isinstance(error, Interrupted):
        status = RunStatus.INTERRUPTED
    else:
        text = error_text(step.migration, error, what_is_kept(step))
        is_ours = isinstance(error, DataMigrationError)
        fault = type(error).__name__ if is_ours else "StepFailed"
    ledger.end(status, text, fault)
    if status == RunStatus.FAILED:  # now, not when the coordinator looks next
        stop_ranges(step, database=ledger.database)
    return status.value


def _is_deadlock(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, OperationalError):
            cause = error.__cause__ or error
            state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
            code = cause.args[0] if cause.args else None
            if state in _SQLSTATES or code in _MYSQL_CODES:
                return True
        error = error.__cause__ or error.__context__
    return False


def _plan_step(label: str, database: str) -> PlanStep:
    plan = build_plan(discover(), lambda model: has_rows(model, database))
    for plan_step in plan:
        if plan_step.label == label:
            return plan_step
    raise SpecError(f"{label}: this worker has no such migration. Give it the same code.")


def _refuse_other_version(row: StepRange, migration: type[Migration]) -> None:
    if row.fingerprint != fingerprint(migration):
        raise SpecError(
            f"{row.step.migration}: the spec of this worker is another one than the coordinator's."
            " Give every worker the same code, start them anew, and run the same command again."
        )


class _RangeRunner(StepRunner):
    """Runs one range: the rows and their hooks; what is once for a step is the coordinator's."""

    ledger: RangeLedger

    def __init__(
        self,
        row: StepRange,
        context: StepContext,
        ledger: RangeLedger,
        plan_step: PlanStep,
        keep_open: Keep,
    ) -> None:
        self._row = row
        steps = [*context.step.run.steps.using(context.database).exclude(pk=context.step.pk)]
        progress = Progress()
        super().__init__(
            context,
            ledger,
            place=(row.number, row.number),
            record=Recorder(
                context,
                ledger,
                steps=[*steps, context.step],
                progress=progress,
                elsewhere=lambda: ledger.lock.elsewhere,
            ),
            removal=Removal(Plan(()), ledger, context.options),
            progress=progress,
            keep_open=keep_open,
            linked=Linked(
                label=plan_step.label,
                sources=plan_step.sources,
                find=LinkLookup(context.database),
            ),
        )

    def run(self) -> None:
        """Read the rows of the range. Raises what ends it."""
        connection = open_source(self.step.migration, self.migration)
        reader = Reader(connection, self.step.migration)
        try:
            reader.execute(
                *in_range(
                    connection,
                    self.migration.query or "",
                    self.migration.query_params,
                    range_of(self._row),
                )
            )
            self._compile(reader)
            self._read_rows(reader)
        finally:
            self._close(reader, connection)

    def _read_rows(self, reader: Reader) -> None:
        with ExitStack() as batch:
            is_open = False
            groups = whole_groups(reader.batches(self.batch_size), self._row.column)
            ready = ((self.pipeline.prepare(Rows(rows)), *end) for rows, *end in groups)
            for rows, last, is_whole in self._made_ahead(reader, ready):
                if not is_open and rows:
                    batch.enter_context(self._transaction())
                    is_open = True
                if rows:
                    self.pipeline.pass_over(rows)
                    self.pipeline.process(rows)
                if is_whole and is_open:
                    self.ledger.position = last
                    batch.close()
                    is_open = False
                    if django_settings.DEBUG:
                        reset_queries()  # DEBUG keeps every statement in memory
                    if self.options.should_stop():
                        raise LetGo
        with self._transaction():
            self.pipeline.finish(self.batch_size)

    def _book(self) -> LinkBook:
        return LinkBook(
            self.context.state, database=self.context.database, had_links=self._row.had_links
        )


def range_of(row: StepRange) -> KeyRange:
    """The rows of the range that are still to be read."""

    def value(text: str | None) -> Any:
        return None if text is None else key_of_text(text)

    return KeyRange(
        column=row.column,
        lower=value(row.lower),
        upper=value(row.upper),
        after=value(row.position),
        is_null=row.is_null,
    )
