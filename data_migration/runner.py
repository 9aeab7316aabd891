"""A plan -> a run: one transaction per migration, or one around all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from django.db import Error, transaction

from . import signals
from .collector import rare_collections
from .drafts import Draft
from .exceptions import DataMigrationError, Interrupted, StepFailed, TooManyErrors
from .graph import Plan, PlanStep
from .ledger import Ledger
from .migration import Migration, hook_is_overridden
from .models import RowError, Run, RunStep
from .options import RunOptions
from .outcomes import Mode, OnError, Outcome, RunStatus
from .progress import Progress
from .rehearsal import rehearse
from .sources import close_connection
from .sources.base import words
from .step import StepRunner
from .writers import describe, hook_of


class Runner:
    """Executes the steps of a plan once and records what happened.

    ``run`` and ``steps`` are the ledger's rows, with the counts as they stand. ``error`` is what
    ended the run early, None otherwise.
    """

    def __init__(
        self, plan: Plan, options: RunOptions, ledger: Ledger, progress: Progress | None = None
    ) -> None:
        self.plan = plan
        self.options = options
        self.ledger = ledger
        self.progress = progress or Progress()
        self.error: BaseException | None = None
        self.run: Run = ledger.start_run(plan, mode=options.mode, options=options.recorded())
        self.steps: list[RunStep] = list(
            self.run.steps.using(ledger.database).select_related("run")
        )
        self._not_done: set[str] = set()
        self._connections: list[Any] = []

    def execute(self) -> Run:
        """Run every step. What goes wrong is recorded and kept in ``error``, not raised.

        Only what is no :exc:`Exception` (a second Ctrl-C) is raised, after it was recorded.
        """
        try:
            signals.run_started.send(Run, run=self.run)
            with rare_collections(), self._around_the_run():
                for plan_step, step in zip(self.plan, self.steps, strict=True):
                    self._run_step(plan_step, step)
        except BaseException as error:
            self.error = error
        finally:
            self._close_connections()
        self._save_what_was_rolled_back()
        self._finish()
        if self.error is not None and not isinstance(self.error, Exception):
            raise self.error
        return self.run

    def problems(self) -> list[str]:
        """Each sentence that says what went wrong with the run, once, in order."""
        told = [step.error for step in self.steps if step.error]
        if self.error is not None and not told:
            told = [error_text("The run", self.error)]
        return list(dict.fromkeys(told))

    def _around_the_run(self) -> AbstractContextManager[Any]:
        match self.options.mode:
            case Mode.REHEARSAL:
                return rehearse(self.options.database)
            case Mode.ATOMIC:
                return transaction.atomic(using=self.options.database)
            case _:
                return nullcontext()

    def _run_step(self, plan_step: PlanStep, step: RunStep) -> None:
        if step.status == RunStatus.SKIPPED:
            return
        if missing := sorted(self._not_done.intersection(plan_step.needs)):
            self._not_done.add(step.migration)
            step.error = f"{step.migration} was not run, because it needs {', '.join(missing)}."
            if self.options.mode == Mode.COMMIT:
                self.ledger.save_step(step)
            return
        self.ledger.start_step(step)
        signals.step_started.send(Run, run=self.run, step=step)
        try:
            with self._step_recorded(step), transaction.atomic(using=self.options.database):
                self._execute(plan_step, step)
        finally:
            signals.step_finished.send(Run, run=self.run, step=step)

    @contextmanager
    def _step_recorded(self, step: RunStep) -> Iterator[None]:
        """Record a failure of the step; raise it only when the run cannot go on."""
        try:
            yield
        except BaseException as error:
            self._not_done.add(step.migration)
            self.ledger.keep_failures_only(step)
            interrupted = isinstance(error, (Interrupted, KeyboardInterrupt, SystemExit))
            status = RunStatus.INTERRUPTED if interrupted else RunStatus.FAILED
            self.ledger.finish_step(step, status, error_text(step.migration, error))
            if self.options.mode == Mode.COMMIT:
                self.ledger.save_step(step)
            if self._ends_the_run(error):
                raise
            self.error = self.error or error

    def _ends_the_run(self, error: BaseException) -> bool:
        return (
            not isinstance(error, Exception)
            or isinstance(error, (Interrupted, TooManyErrors))
            or self.options.on_error == OnError.STOP
            or self.options.mode == Mode.ATOMIC
        )

    def _execute(self, plan_step: PlanStep, step: RunStep) -> None:
        migration = plan_step.migration()
        if self.options.log_query:
            self.options.log_query(plan_step.label, migration.query or "")
        runner = StepRunner(
            step,
            migration,
            self.options,
            place=(step.position, len(self.steps)),
            record=self._recorder(step, migration),
            progress=self.progress,
            keep_open=self._connections.append,
        )
        runner.run()
        self._check_max_errors(step, step.read)
        is_partial = step.failed or runner.left_rows_unread
        self.ledger.finish_step(step, RunStatus.PARTIAL if is_partial else RunStatus.DONE)
        if not self.run.is_dry:
            # In the transaction of the rows: one is never without the other.
            self.ledger.save_step(step)

    def _recorder(self, step: RunStep, migration: Migration) -> Callable[[list[Draft]], None]:
        def record(drafts: list[Draft]) -> None:
            outcomes = Counter(draft.outcome for draft in drafts if draft.error is None)
            for outcome, rows in outcomes.items():
                assert outcome is not None, "every row ends in an outcome"
                step.count(outcome, rows)
            for draft in drafts:
                if draft.error is not None:
                    self._record_failure(step, migration, draft)
                elif draft.notes and draft.outcome != Outcome.SKIPPED:
                    for note in draft.notes:
                        self.ledger.note_warning(step, draft, note)

        return record

    def _record_failure(self, step: RunStep, migration: Migration, draft: Draft) -> None:
        error = draft.error
        assert error is not None
        step.count(Outcome.FAILED)
        note = describe(draft, database=self.options.database)
        message = self.ledger.note_failure(step, draft, note)
        signals.row_failed.send(Run, run=self.run, step=step, row=draft.row, exception=error)
        try:
            self.progress.give_way()
            self._call_error_hook(migration, error, draft.row)
        except Exception as raised:
            if self.options.on_error == OnError.STOP:
                raise StepFailed(_row_failed(step, message)) from raised
        self._check_max_errors(step, step.total)

    def _call_error_hook(
        self, migration: Migration, error: Exception, row: dict[str, Any]
    ) -> None:
        own = hook_is_overridden(type(migration), "hook_error_creating_instance")
        # A hook may write (a log table, say); what it writes before it raises must not stay.
        with transaction.atomic(using=self.options.database) if own else nullcontext():
            migration.hook_error_creating_instance(error, row)

    def _check_max_errors(self, step: RunStep, rows: int | None) -> None:
        limit = self.options.max_errors
        if limit is None:
            return
        failed = sum(step.failed for step in self.steps)
        if limit.is_exceeded(failed=failed, failed_in_step=step.failed, rows=rows):
            raise TooManyErrors(
                f"{step.migration}: {rows_failed(failed)}, more than --max-errors {limit} allows."
                f" Nothing of {step.migration} is kept."
                " The messages say why: manage.py show_legacy --messages"
            )

    def _close_connections(self) -> None:
        for connection in {id(each): each for each in self._connections}.values():
            close_connection(connection)

    def _save_what_was_rolled_back(self) -> None:
        rolled_back = self.options.mode == Mode.ATOMIC and self.error is not None
        if rolled_back:
            for step in self.steps:
                if step.status in (RunStatus.DONE, RunStatus.PARTIAL):
                    self.ledger.keep_failures_only(step)
                    why = f"{step.migration} was rolled back with the rest of the run."
                    self.ledger.finish_step(step, RunStatus.PENDING, why)
        if rolled_back or self.options.mode == Mode.REHEARSAL:
            for step in self.steps:
                self.ledger.save_step(step)

    def _finish(self) -> None:
        statuses = {step.status for step in self.steps}
        failed = self.error is not None
        for status in (RunStatus.INTERRUPTED, RunStatus.FAILED, RunStatus.PARTIAL):
            if status in statuses:
                break
        else:
            status = RunStatus.FAILED if failed else RunStatus.DONE
        self.ledger.finish_run(self.run, status, "\n".join(self.problems()))
        signals.run_finished.send(Run, run=self.run)


def _row_failed(step: RunStep, message: RowError) -> str:
    where = f"row {message.row_number}" + (f", key {message.key}" if message.key else "")
    what = f"column {message.column}, value {message.value}: " if message.column else ""
    return (
        f"{step.migration}: {where}: {what}{message.cause.rstrip('.')}."
        f" Nothing of {step.migration} is kept."
        " Mend the row or the spec, or go on past failed rows with --on-error continue."
    )


def rows_failed(count: int) -> str:
    return "1 row failed" if count == 1 else f"{count} rows failed"


def error_text(label: str, error: BaseException) -> str:
    """What stopped a step, for people: on one line, without secrets; a fault in a hook is located.

    An error of this package is such a sentence already.
    """
    if isinstance(error, DataMigrationError):
        return str(error)
    if isinstance(error, (KeyboardInterrupt, SystemExit)):
        return (
            f"{label} was stopped at once. Nothing of it is kept; the same command does the rest."
        )
    where = f"{label}: {hook_of(error)}"
    name = type(error).__name__
    if isinstance(error, Error):
        where += "the target database says: "
    return f"{where}{name}: {words(error)}." if words(error) != name else f"{where}{name}."
