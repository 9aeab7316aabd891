"""One run of patches: which are due, in which order, in which transaction, and how it ended."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from django.apps import apps as installed
from django.apps.registry import Apps
from django.db import transaction

from .. import signals
from ..exceptions import Interrupted, LedgerError, LockLost, PatchRefused
from ..ledger import PATCHES, Ledger, NewStep
from ..ledger.patches import PatchBook
from ..models import Run, RunStep
from ..outcomes import Mode, PatchState, RunKind, RunStatus
from ..progress import Progress
from ..run.ending import problems_of, status_of
from ..run.live import live_counts
from ..run.rehearsal import rehearse
from ..utils.collector import rare_collections
from ..utils.sessions import writing
from ..utils.wording import error_text, line_within
from .definition import Definition
from .digest import digest_of
from .discovery import Patches
from .execution import Work, execute
from .options import PatchOptions
from .output import logging_to
from .patch import Context
from .ranges import crew_for
from .records import SETTLED, Standing, standings
from .schema import Schema


@dataclass(frozen=True, slots=True)
class PatchRun:
    """A run of patches that came to its end.

    ``run`` is None where nothing was due, so that no run was recorded. ``states`` says of each
    patch, by label, what became of it; ``outputs`` what it logged.
    """

    run: Run | None
    steps: list[RunStep]
    states: Mapping[str, PatchState]
    outputs: Mapping[str, str] = field(default_factory=dict)
    error: BaseException | None = None

    @property
    def failed(self) -> int:
        """How many objects have failed."""
        return sum(step.failed for step in self.steps)

    def problems(self) -> list[str]:
        """Each sentence that says what went wrong with the run, once, in order."""
        return problems_of(self.steps, self.error)


def due(
    patches: Patches, options: PatchOptions, *, schema: Schema | None = None
) -> list[Standing]:
    """What a run with these options would execute now, in order. ``patches`` are all of them.

    Raises :exc:`UnknownLabel`, and :exc:`PatchRefused` for a patch that is named and cannot run.
    """
    schema = schema or Schema.of(options.database)
    chosen = {each.label for each in patches.select((*options.labels, *options.force))}
    found = []
    for standing in standings(patches, database=options.database, schema=schema):
        if standing.label not in chosen:
            continue
        if options.phase not in (None, schema.phase(standing.definition)):
            continue
        is_named = standing.label in (*options.labels, *options.force)
        if _is_asked_for(standing, options, is_named=is_named):
            found.append(standing)
        elif is_named and standing.cannot_run:
            raise PatchRefused(f"{standing.label} is {standing.state.label}. {standing.why}")
    return found


def _is_asked_for(standing: Standing, options: PatchOptions, *, is_named: bool) -> bool:
    if options.retry_failed:
        return bool(standing.failed) and standing.is_due
    if standing.label in options.force:
        return standing.is_due or standing.is_settled
    if standing.definition.patch.always:
        return (is_named or options.with_always) and (standing.is_due or standing.is_settled)
    return standing.is_due


def run_patches(
    patches: Patches,
    options: PatchOptions,
    *,
    progress: Progress | None = None,
    queued: Run | None = None,
    apps: Apps = installed,
) -> PatchRun:
    """Take the lock of patches, execute what is due, and record what happened.

    ``patches`` are all of them. ``apps`` are the models as the tables are now, where these are
    behind the code. ``queued`` is the run that was recorded when it was asked for.
    Raises :exc:`SpecError`, :exc:`PatchRefused` and :exc:`RunRefused` when the run cannot begin.
    What goes wrong after that is recorded and told by the value, not raised; Ctrl-C as well.
    """
    ledger = Ledger(options.database, lane=PATCHES)
    todo = due(patches, options)
    if not todo and queued is None:
        return PatchRun(None, [], {})
    run = ledger.start_run(
        [NewStep(each.definition.step_label) for each in todo],
        kind=RunKind.PATCH,
        mode=options.mode,
        options=options.recorded(),
        queued=queued,
    )
    # Another host may have done some of it until the lock was ours.
    still = {each.label: each for each in due(patches, options)}
    runner = _Runner(
        run,
        [each.definition for each in todo],
        still,
        options,
        ledger,
        apps=apps,
        progress=progress or Progress(),
        settled={
            each.label for each in standings(patches, database=options.database) if each.is_settled
        },
    )
    with writing(options.database):
        return runner.execute()


def run_one(
    definition: Definition,
    *,
    apps: Apps,
    database: str,
    replaced: Standing | None = None,
    progress: Progress | None = None,
) -> PatchRun:
    """Execute one patch here and now, whatever its state is, with the models of ``apps``.

    For a schema migration: inside of its transaction, where it has one. Raises like
    :func:`run_patches`.
    """
    options = PatchOptions(mode=Mode.COMMIT, database=database, labels=(definition.label,))
    ledger = Ledger(database, lane=PATCHES)
    standing = replaced or Standing(definition=definition, state=PatchState.PENDING)
    run = ledger.start_run(
        [NewStep(definition.step_label)],
        kind=RunKind.PATCH,
        mode=options.mode,
        options=options.recorded(),
    )
    runner = _Runner(
        run,
        [definition],
        {definition.label: standing},
        options,
        ledger,
        apps=apps,
        progress=progress or Progress(),
        settled=set(definition.depends_on),
    )
    with writing(database):
        return runner.execute()


class _Runner:
    """Executes the patches of one run, which holds the lock.

    ``still`` are those that are due, ``settled`` the labels of patches that others may depend on.
    """

    def __init__(
        self,
        run: Run,
        definitions: Sequence[Definition],
        still: Mapping[str, Standing],
        options: PatchOptions,
        ledger: Ledger,
        *,
        apps: Apps,
        progress: Progress,
        settled: Collection[str],
    ) -> None:
        self._run = run
        self._definitions = definitions
        self._still = still
        asked = options.should_stop
        self._options = replace(options, should_stop=lambda: asked() or ledger.lock.stop_requested)
        self._ledger = ledger
        self._book = PatchBook(ledger.database)
        self._apps = apps
        self._progress = progress
        self._settled = set(settled)
        self._steps = list(run.steps.using(ledger.database))
        self._states: dict[str, PatchState] = {}
        self._outputs: dict[str, str] = {}
        self._error: BaseException | None = None
        #: The processes that share the work, of this run only; None for this one alone.
        self._crew = crew_for(options) if apps is installed else None

    def execute(self) -> PatchRun:
        """Run every patch, and record how the run ended."""
        with self._ledger.lock.beating(self._run, partial(live_counts, self._steps)):
            self._execute_steps()
            if self._options.mode == Mode.REHEARSAL:
                for step in self._steps:
                    self._ledger.save_step(step)
            done = PatchRun(self._run, self._steps, self._states, self._outputs, self._error)
            status = status_of(self._steps, self._error)
            self._ledger.finish_run(self._run, status, "\n".join(done.problems()))
            signals.run_finished.send(Run, run=self._run)
        return done

    def _execute_steps(self) -> None:
        try:
            signals.run_started.send(Run, run=self._run)
            with rare_collections(), self._around_the_run():
                for definition, step in zip(self._definitions, self._steps, strict=True):
                    self._run_step(definition, step)
        except BaseException as error:
            self._error = error
        finally:
            if self._crew is not None:
                self._crew.end()

    def _around_the_run(self) -> AbstractContextManager[Any]:
        is_dry = self._options.mode == Mode.REHEARSAL
        return rehearse(self._options.database) if is_dry else nullcontext()

    def _run_step(self, definition: Definition, step: RunStep) -> None:
        label = definition.label
        if why := self._why_not(definition):
            step.status, step.error = why
            if self._options.mode == Mode.COMMIT:
                self._ledger.save_step(step)
            return
        signals.step_started.send(Run, run=self._run, step=step)
        try:
            with self._step_recorded(definition, step):
                state = self._execute(definition, step)
                self._states[label] = state
                if state in SETTLED:
                    self._settled.add(label)
        finally:
            signals.step_finished.send(Run, run=self._run, step=step)

    def _why_not(self, definition: Definition) -> tuple[RunStatus, str] | None:
        """Why the patch is not run although it was due, and with which status that is told."""
        label = definition.label
        if label not in self._still:
            return RunStatus.SKIPPED, ""  # somebody else has just done it
        if missing := [each for each in definition.depends_on if each not in self._settled]:
            return (
                RunStatus.PENDING,
                f"{label} was not run, because it needs {', '.join(missing)}.",
            )
        if self._options.mode == Mode.REHEARSAL and definition.patch.atomic is False:
            return (
                RunStatus.SKIPPED,
                f"{label} cannot be rehearsed: it has atomic = False, so nobody could take back"
                " what it does.",
            )
        return None

    @contextmanager
    def _step_recorded(self, definition: Definition, step: RunStep) -> Iterator[None]:
        """Record a failure of the patch; raise it only when the run cannot go on."""
        is_commit = self._options.mode == Mode.COMMIT
        try:
            yield
        except BaseException as error:
            interrupted = isinstance(error, (Interrupted, KeyboardInterrupt, SystemExit))
            text = error_text(error, _named(definition, error), _what_is_kept(definition))
            status = RunStatus.INTERRUPTED if interrupted else RunStatus.FAILED
            self._ledger.finish_step(step, status, text)
            self._states[definition.label] = PatchState.PARTIAL
            if definition.patch.is_whole() and not interrupted:
                self._states[definition.label] = PatchState.FAILED
            if is_commit:
                self._record_failure(definition, text)
                self._ledger.save_step(step)
            if (
                interrupted
                or not isinstance(error, Exception)
                or isinstance(error, LedgerError)
                or definition.patch.critical
                or not self._options.skip_failing
            ):
                raise
            self._error = self._error or error

    def _record_failure(self, definition: Definition, text: str) -> None:
        """What ended the patch, in its record; that of a whole patch was rolled back with it.

        Where it was done, and only a callback after the commit failed, it stays done. Where
        another run took over, the record is that one's.
        """
        identity = definition.identity
        digest, label = digest_of(definition), definition.label
        with suppress(LockLost), transaction.atomic(using=self._ledger.database):
            self._ledger.lock.check()
            record = self._book.current(*identity)
            is_settled = record is not None and record.state in SETTLED
            if record is not None and is_settled and record.run_id == self._run.pk:
                self._states[label] = PatchState(record.state)
                self._settled.add(label)
                return
            if record is not None and is_settled and definition.patch.always:
                record = self._book.renew(record, digest=digest, run=self._run)
            else:
                record = self._book.begin(*identity, digest=digest, run=self._run)
            self._book.finish(record, self._states[label], reason=text)

    def _execute(self, definition: Definition, step: RunStep) -> PatchState:
        lines: list[str] = []
        database = self._options.database
        standing = self._still[definition.label]
        work = Work(
            ledger=self._ledger,
            book=self._book,
            run=self._run,
            step=step,
            options=self._options,
            ctx=Context(
                apps=self._apps,
                database=database,
                is_rehearsal=self._options.mode == Mode.REHEARSAL,
                log=logging_to(lines),
            ),
            output=lines,
            record=standing.record,
            again=standing.record is not None and standing.record.state in SETTLED,
            progress=self._progress,
            crew=self._crew,
        )
        try:
            return execute(definition, work)
        finally:
            if lines:
                self._outputs[definition.label] = "\n".join(lines)


def _named(definition: Definition, error: BaseException) -> str:
    """The patch, and the line of its file in which an error was raised."""
    place = definition.place.rpartition(", line ")[0]  # a statement stands there itself
    module = getattr(sys.modules.get(definition.patch.__module__), "__file__", None)
    lines = [line_within(error, each) for each in (place, module) if each]
    where = next(filter(None, lines), "") if isinstance(error, Exception) else ""
    return f"{definition.label}, {where}" if where else definition.label


def _what_is_kept(definition: Definition) -> str:
    if definition.patch.is_whole():
        return "Nothing of it was kept; the same command does it."
    return "The batches committed before are kept; the same command goes on there."
