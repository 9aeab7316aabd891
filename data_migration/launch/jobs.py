"""From what was asked for to what is executed: the same for commands, workers and pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import NoneType
from typing import Any

from django.conf import settings
from django.core.checks import ERROR, CheckMessage
from django.db.models import Field
from django.utils import translation

from ..checks import check_specs
from ..checks.attributes import lacks_key
from ..checks.connections import check_missing
from ..exceptions import SpecError
from ..fields.lookup import field_of
from ..ledger import PATCHES, Ledger, give_up, queued_run
from ..ledger.lanes import connector_of
from ..models import Run
from ..options import RunOptions, never, silent
from ..outcomes import RunKind
from ..patches import rollback as patches
from ..patches.discovery import discover as discover_patches
from ..patches.options import PatchOptions
from ..patches.runner import PatchRun, run_patches
from ..plan.due import changed, due, has_rows, left_out, with_consequences, with_failures
from ..plan.graph import Plan, PlanStep, build_plan
from ..progress import Progress
from ..run.runner import Import, run_import
from ..spec.discovery import discover
from ..spec.migration import Migration
from ..sync.compiled import steps as pulls_of
from ..sync.discovery import discover as discover_syncs
from ..sync.options import SyncOptions
from ..sync.runner import SyncRun, run_sync
from ..undo import Rollback, RollbackPlan, Selection, models_of, plan_rollback, roll_back
from ..utils.wording import error_text
from .lanes import lane_of

#: What executing a run comes to.
Done = Import | Rollback | PatchRun | SyncRun


def whole_plan(database: str) -> Plan:
    """Every migration in order. Raises :exc:`SpecError` for a fault in a spec."""
    migrations = discover()
    refuse_faults(check_specs(migrations))
    return build_plan(migrations, lambda model: has_rows(model, database))


def todo(whole: Plan, ledger: Ledger, options: RunOptions) -> Plan:
    """What a run with these options would execute now, and the skipped steps, which it lists.

    Raises :exc:`SpecError` for a label that matches nothing, and for a migration that is named
    although it cannot be updated.
    """
    selected = whole.select(options.labels, options.exclude)
    if options.retry_failed:
        failed = ledger.failed_columns()
        tried = with_failures(selected, failed)
        return with_consequences(tried, whole.select((), options.exclude), failed)
    steps = due(selected, ledger.finished(), update=options.update or options.full)
    unknown = _without_objects(steps, ledger, options)
    if refused := [step for step in unknown if step.label in options.labels]:
        raise SpecError("\n".join(f"{each.label} {_no_update(each, options)}" for each in refused))
    return Plan(tuple(step for step in steps if step not in unknown))


def _no_update(step: PlanStep, options: RunOptions) -> str:
    return (
        "was imported without a legacy key, so nobody knows which object a row became, and"
        f" {'--full' if options.full else '--update'} would create them all again. Set search_attr"
        f" to a field of {step.migration.model._meta.label} that the query returns and that is"
        " different for every row."
    )


def _without_objects(plan: Plan, ledger: Ledger, options: RunOptions) -> list[PlanStep]:
    """The steps of which an update would not find the objects that they made."""
    if not (options.update or options.full):
        return []
    keyless, stale = ledger.keyless(), changed(plan, ledger.applied_fingerprints())
    return [
        step
        for step in plan
        if step.label in keyless and not _finds_objects(step.migration, step.label in stale)
    ]


def _finds_objects(migration: type[Migration], is_changed: bool) -> bool:
    """Whether objects can be found by the values of a row, without a link.

    By a primary key that the query returns, too, which it may do since the spec ``is_changed``.
    """
    key = migration.search_attr or migration.legacy_key
    if key is None:
        return is_changed and not lacks_key(migration)
    attrs = (key,) if isinstance(key, str) else tuple(key)
    return bool(attrs) and all(isinstance(field_of(migration.model, a), Field) for a in attrs)


def warnings_of(
    todo: Plan, whole: Plan, ledger: Ledger, options: RunOptions | None = None
) -> list[str]:
    """What a person should know before the run begins: what it leaves out."""
    options = options or RunOptions()
    selected = whole.select(options.labels, options.exclude)
    return [
        *(
            f"{step.label} is left out: it {_no_update(step, options)}"
            for step in _without_objects(selected, ledger, options)
        ),
        *(
            f"{label} needs {needed}, which is left out and not finished."
            for label, needed in left_out(todo, whole, ledger.finished())
        ),
    ]


def require_sources(plan: Plan) -> None:
    """Before the first row is written: a run needs every source that its steps name.

    Raises :exc:`SpecError`.
    """
    _raise_faults(check_missing({step.label: step.migration for step in plan}))


def refuse_faults(found: Iterable[CheckMessage]) -> None:
    """Raise :exc:`SpecError` with those of the messages of checks that are errors."""
    _raise_faults(fault for fault in found if fault.level >= ERROR)


def _raise_faults(faults: Iterable[CheckMessage]) -> None:
    if listed := "\n".join(f"  {fault}" for fault in faults):
        raise SpecError(f"The specs have faults, nothing was run:\n{listed}")


def execute(
    number: int,
    database: str,
    *,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] = never,
    warn: Callable[[str], None] = silent,
) -> Done:
    """Claim the queued run with this number and execute it in this process.

    What keeps it from beginning, a fault in a spec or another run, is recorded with it and
    raised. Raises :exc:`RunRefused` when it is not queued (any more).
    """
    queued = queued_run(number, database=database)
    callbacks = {"should_stop": should_stop, "warn": warn}
    try:
        if queued.kind not in EXECUTORS:
            raise SpecError(
                f"This process does not know how to execute a run of the kind {queued.kind!r}."
                " Give every worker the same version of data_migration."
            )
        # Not in that of the person who clicked: django-modeltranslation writes by the language.
        with translation.override(settings.LANGUAGE_CODE):
            return EXECUTORS[queued.kind](queued, database, progress, callbacks)
    except Exception as error:
        # Unless it had begun: then it tells that itself.
        give_up(number, error_text(error), database=database)
        raise


def run(
    steps: Plan,
    options: RunOptions,
    whole: Plan,
    ledger: Ledger,
    progress: Progress | None = None,
    *,
    queued: Run | None = None,
) -> Import:
    """Execute the steps in this process; Ctrl-C ends it like any other error.

    Raises :exc:`SpecError` for a source that is missing, before the run begins. What wants the
    process itself to end, such as :exc:`SystemExit`, is raised when it was recorded.
    """
    for warning in warnings_of(steps, whole, ledger, options):
        options.warn(warning)
    require_sources(steps)
    done = run_import(steps, options, ledger, progress, whole=whole, queued=queued)
    if not isinstance(done.error, (Exception, KeyboardInterrupt, NoneType)):
        raise done.error
    return done


def plan_undo(selection: Selection, whole: Plan, database: str) -> RollbackPlan:
    """What undoing the selection would mean, of migrations and pulls or of patches.

    ``whole`` are all migrations. Raises :exc:`SpecError` and :exc:`LedgerError`.
    """
    whole = _with_pulls(whole)
    if lane_of(selection, database) == PATCHES:
        return patches.plan_rollback(selection, models_of(whole), database=database)
    return plan_rollback(selection, whole, Ledger(database))


def _with_pulls(whole: Plan) -> Plan:
    """All migrations, and behind them the pulls of every account, which refer to their objects."""
    syncs = discover_syncs()
    pulls = [step for account in syncs.connectors for step in pulls_of(None, account, syncs)]
    return Plan((*whole, *pulls))


def undo(
    selection: Selection,
    whole: Plan,
    database: str,
    *,
    force: bool = False,
    queued: Run | None = None,
) -> Rollback:
    """Undo the selection in this process, as :func:`plan_undo` tells; raises like it."""
    whole = _with_pulls(whole)
    lane = lane_of(selection, database)
    ledger = Ledger(database, lane)
    if lane == PATCHES:
        models = models_of(whole)
        return patches.roll_back(selection, models, ledger, force=force, queued=queued)
    return roll_back(selection, whole, ledger, force=force, queued=queued)


def _import(
    queued: Run, database: str, progress: Progress | None, callbacks: dict[str, Any]
) -> Import:
    whole, ledger = whole_plan(database), Ledger(database)
    options = RunOptions.from_recorded(
        queued.options, mode=queued.mode, database=database, **callbacks
    )
    steps = todo(whole, ledger, options)
    return run(steps, options, whole, ledger, progress, queued=queued)


def _roll_back(
    queued: Run, database: str, progress: Progress | None, callbacks: dict[str, Any]
) -> Rollback:
    selection = Selection.from_recorded(queued.options)
    force = bool(queued.options.get("force"))
    return undo(selection, whole_plan(database), database, force=force, queued=queued)


def _patch(
    queued: Run, database: str, progress: Progress | None, callbacks: dict[str, Any]
) -> PatchRun:
    options = PatchOptions.from_recorded(
        queued.options, mode=queued.mode, database=database, **callbacks
    )
    return run_patches(discover_patches(), options, progress=progress, queued=queued)


def _sync(
    queued: Run, database: str, progress: Progress | None, callbacks: dict[str, Any]
) -> SyncRun:
    options = SyncOptions.from_recorded(
        queued.options, mode=queued.mode, database=database, **callbacks
    )
    account = connector_of(queued.lane) or options.connector
    syncs = discover_syncs().select(options.labels, options.connector).of_account(account)
    return run_sync(syncs, options, progress=progress, queued=queued)


#: Who executes a queued run: by its kind, the run, its database, the progress that is shown, and
#: what is called back meanwhile (``should_stop`` and ``warn`` of :class:`RunOptions`).
EXECUTORS: dict[str, Callable[[Run, str, Progress | None, dict[str, Any]], Done]] = {
    RunKind.IMPORT: _import,
    RunKind.ROLLBACK: _roll_back,
    RunKind.PATCH: _patch,
    RunKind.SYNC: _sync,
}
