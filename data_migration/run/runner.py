"""A plan -> a run: one transaction per migration, or one around all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from django.db import transaction

from .. import signals
from ..exceptions import Interrupted, TooManyErrors
from ..ledger import FINISHED, Ledger, LinkLookup, NewStep, Outstanding
from ..models import Run, RunStep
from ..options import RunOptions
from ..outcomes import Mode, OnError, RunKind, RunStatus
from ..plan.graph import Plan, PlanStep
from ..progress import Progress
from ..sources import close_connection
from ..step.compilation import Compiler
from ..step.context import StepContext
from ..step.deferral import fill_deferred
from ..step.earlier import Untraced
from ..step.recording import Recorder, what_is_kept
from ..step.step import StepRunner
from ..undo.removal import Removal
from ..utils.collector import rare_collections
from ..utils.sessions import writing
from ..utils.wording import error_text
from ..workers import Crew, RangeCoordinator, crew_for
from .ending import problems_of, status_of
from .live import live_counts
from .rehearsal import rehearse
from .target import require_target


@dataclass(frozen=True, slots=True)
class Import:
    """An import that came to its end: its run, a step for each migration, what ended it early.

    ``filled`` are the relations of rows of earlier runs that got their targets, by label.
    """

    run: Run
    steps: list[RunStep]
    error: BaseException | None
    filled: Mapping[str, int] = field(default_factory=dict)

    def problems(self) -> list[str]:
        """Each sentence that says what went wrong with the run, once, in order."""
        return problems_of(self.steps, self.error)


def run_import(
    plan: Plan,
    options: RunOptions,
    ledger: Ledger,
    progress: Progress | None = None,
    *,
    whole: Plan | None = None,
    queued: Run | None = None,
) -> Import:
    """Take the lock, execute the steps of a plan once, and record what happened.

    ``whole`` is the plan of every migration: what they deferred is filled at the end. ``queued``
    is the run that was recorded when it was asked for, a new one without. Raises
    :exc:`RunRefused` or :exc:`TargetError` when the run cannot begin. What goes wrong after that
    is recorded and told by the value, not raised; Ctrl-C and :exc:`SystemExit` as well.
    """
    require_target(plan, options.database)
    run = ledger.start_run(
        [NewStep(step.label, is_skipped=step.migration.skip) for step in plan],
        kind=RunKind.IMPORT,
        mode=options.mode,
        options=options.recorded(),
        queued=queued,
        fills=filled_by(plan),
    )
    runner = Runner(run, plan, options, ledger, progress or Progress(), whole or plan)
    with writing(options.database):
        return runner.execute()


def filled_by(plan: Plan) -> tuple[str, ...]:
    """The labels of the models that the steps of a plan fill."""
    models = {step.migration.model._meta.concrete_model for step in plan}
    return tuple(sorted(model._meta.label for model in models if model is not None))


class Runner:
    """Executes the steps of one run, which holds the lock.

    ``run`` and ``steps`` are the ledger's rows, with the counts as they stand; the steps of the
    plan come first.
    """

    def __init__(
        self,
        run: Run,
        plan: Plan,
        options: RunOptions,
        ledger: Ledger,
        progress: Progress,
        whole: Plan,
    ) -> None:
        self.run = run
        self.steps: list[RunStep] = list(run.steps.using(ledger.database))
        self.plan = plan
        self.whole = whole
        asked = options.should_stop
        self.options = replace(options, should_stop=lambda: asked() or ledger.lock.stop_requested)
        self.ledger = ledger
        self.progress = progress
        self.removal = Removal(whole, ledger, options)
        self._error: BaseException | None = None
        self._not_done: set[str] = set()
        self._filled: dict[str, int] = {}
        self._connections: list[Any] = []
        #: The processes that share the work, of this run only; None for this one alone.
        self._crew: Crew | None = crew_for(options)

    def execute(self) -> Import:
        """Run every step, and record how the run ended."""
        with self.ledger.lock.beating(self.run, partial(live_counts, self.steps)):
            self._execute_steps()
            self._save_what_was_rolled_back()
            done = Import(self.run, self.steps, self._error, self._filled)
            status = status_of(self.steps, self._error)
            self.ledger.finish_run(self.run, status, "\n".join(done.problems()))
            signals.run_finished.send(Run, run=self.run)
        return done

    def _execute_steps(self) -> None:
        try:
            signals.run_started.send(Run, run=self.run)
            with rare_collections(), self._around_the_run():
                self._work()
                if self.options.mode == Mode.ATOMIC:
                    for step in self.steps:
                        self.ledger.store_step(step)
        except BaseException as error:
            self._error = error
            if self.options.mode != Mode.COMMIT:
                self._filled = {}  # rolled back
        finally:
            self.removal.close()
            for connection in {id(each): each for each in self._connections}.values():
                close_connection(connection)
            if self._crew is not None:
                self._crew.end()

    def _work(self) -> None:
        """The steps of the plan, then what they left for the end."""
        steps = self.steps[: len(self.plan)]
        for plan_step, step in zip(self.plan, steps, strict=True):
            self._run_step(plan_step, step)
        self._filled = fill_deferred(self.whole, self.ledger, self.options, self.run, steps)
        self.removal.settle()

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
        signals.step_started.send(Run, run=self.run, step=step)
        try:
            with self._step_recorded(step):
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
            if self.options.mode != Mode.COMMIT:
                self.ledger.keep_failures_only(step)
            interrupted = isinstance(error, (Interrupted, KeyboardInterrupt, SystemExit))
            status, text = self._end_of(step, error)
            if interrupted:
                status = RunStatus.INTERRUPTED
            self.ledger.finish_step(step, status, text)
            if self.options.mode == Mode.COMMIT:
                self.ledger.save_step(step)
            if status == RunStatus.PARTIAL:
                return
            if (
                interrupted
                or not isinstance(error, Exception)
                or isinstance(error, TooManyErrors)
                or self.options.on_error == OnError.STOP
                or self.options.mode == Mode.ATOMIC
            ):
                raise
            self._error = self._error or error

    def _end_of(self, step: RunStep, error: BaseException) -> tuple[RunStatus, str]:
        """How a step ends that ``error`` has ended, and what is said of it."""
        return RunStatus.FAILED, error_text(error, step.migration, what_is_kept(step))

    def _execute(self, plan_step: PlanStep, step: RunStep) -> None:
        migration = plan_step.migration()
        if self.options.log_query:
            self.options.log_query(plan_step.label, migration.query or "")
        context = StepContext(step, migration, self.ledger.start_step(step), self.options)
        database = self.options.database
        StepRunner(
            context,
            self.ledger,
            Compiler(
                plan_step,
                migration,
                context.hooks,
                database=database,
                find=LinkLookup(database),
                outstanding=Outstanding(
                    self.ledger,
                    own=plan_step.label,
                    is_own_unread=context.leaves_rows_unread,
                ),
            ),
            place=(step.position, len(self.steps)),
            record=Recorder(
                context,
                self.ledger,
                steps=self.steps,
                progress=self.progress,
                earlier=Untraced(context),
            ),
            removal=self.removal,
            progress=self.progress,
            keep_open=self._connections.append,
            coordinator=RangeCoordinator(self._crew) if self._crew is not None else None,
        ).run()

    def _save_what_was_rolled_back(self) -> None:
        rolled_back = self.options.mode == Mode.ATOMIC and self._error is not None
        if rolled_back:
            for step in self.steps:
                if step.status in FINISHED:
                    self.ledger.keep_failures_only(step)
                    why = f"{step.migration} was rolled back with the rest of the run."
                    self.ledger.finish_step(step, RunStatus.PENDING, why)
        if rolled_back or self.options.mode == Mode.REHEARSAL:
            for step in self.steps:
                self.ledger.save_step(step)
