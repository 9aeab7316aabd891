"""A rollback plan -> done, in one transaction, and recorded as a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from django.db import Error, transaction
from django.db.models import ProtectedError, RestrictedError

from .. import signals
from ..exceptions import LedgerError
from ..ledger import Ledger
from ..ledger.forgetting import forget_undone
from ..models import Run, RunStep
from ..outcomes import Mode, RunKind, RunStatus
from ..plan.graph import Plan
from ..utils.redaction import redact
from ..utils.sessions import writing
from ..utils.wording import words
from .deletion import delete
from .planner import plan_rollback
from .restoration import Restoration
from .rollback_plan import RollbackPlan, deleted_by, uncovered_by
from .selection import Selection


@dataclass(frozen=True, slots=True)
class Rollback:
    """A rollback that was done: its run, what it undid, and the step of each migration."""

    run: Run
    plan: RollbackPlan
    steps: list[RunStep]


def _nothing(plan: RollbackPlan) -> None:
    """Links and images are all that there is to forget."""


def roll_back(
    selection: Selection,
    plan: Plan,
    ledger: Ledger,
    *,
    force: bool = False,
    queued: Run | None = None,
) -> Rollback:
    """Undo the selection: all of it, or nothing. ``run_started`` and ``run_finished`` are sent.

    ``queued`` is the run that was recorded when it was asked for, a new one without. Raises
    :exc:`LedgerError` when something stands against it that ``force`` does not overrule, or when
    the database refuses.
    """
    planned = partial(plan_rollback, selection, plan, ledger, locks=True)
    return carry_out(planned, selection, ledger, force=force, queued=queued)


def carry_out(
    planned: Callable[[], RollbackPlan],
    selection: Selection,
    ledger: Ledger,
    *,
    force: bool,
    queued: Run | None,
    forget: Callable[[RollbackPlan], None] = _nothing,
) -> Rollback:
    """Undo what ``planned`` tells in the transaction that undoes it; like :func:`roll_back`.

    ``forget`` is called in the same transaction, when it is undone.
    """
    options = {**selection.recorded(), "force": force}
    run = ledger.start_run(
        (), kind=RunKind.ROLLBACK, mode=Mode.ROLLBACK, options=options, queued=queued
    )
    # Steps are recorded with what they did, so a refused or killed rollback has none.
    with writing(ledger.database), ledger.lock.beating(run, dict), _announced(run, ledger):
        try:
            with transaction.atomic(using=ledger.database):
                ledger.lock.check()
                # Planned here, since people may have worked on while the question was asked.
                undoing = planned()
                undoing.check(force=force)
                steps = _undo(undoing, run, ledger)
                forget(undoing)
        except Error as error:
            raise LedgerError(
                "Nothing was rolled back: the target database says:"
                f" {type(error).__name__}: {words(error)}. When that is mended, the same command"
                " does it."
            ) from error
    return Rollback(run, undoing, steps)


@contextmanager
def _announced(run: Run, ledger: Ledger) -> Iterator[None]:
    """Tell that the run begins, record how it ended, and tell that."""
    try:
        signals.run_started.send(Run, run=run)
        yield
    except BaseException as error:
        stopped = not isinstance(error, Exception)
        status = RunStatus.INTERRUPTED if stopped else RunStatus.FAILED
        ledger.finish_run(run, status, redact(str(error)) or words(error))
        signals.run_finished.send(Run, run=run)
        raise
    ledger.finish_run(run, RunStatus.DONE)
    signals.run_finished.send(Run, run=run)


def _undo(plan: RollbackPlan, run: Run, ledger: Ledger) -> list[RunStep]:
    restoration = Restoration(plan.undos, database=ledger.database)
    with restoration.unchecked():
        # Relations first, so that no deletion takes along what only the run made refer to it;
        # the rest after it, since it may need what is unique.
        restoration.restore(relations=True)
        restoration.restore_parents()
        _delete(plan, ledger.database)
        restoration.recreate()
        restoration.restore(relations=False)
    restoration.restore_m2m()
    for undo in plan.undos:
        forget_undone(undo.part.book, run=undo.part.run, hashes=undo.part.hashes)
    # At the end, since on MySQL a step locks its run, and the heartbeat has to wait for it.
    steps = []
    for position, undo in enumerate(plan.undos, start=1):
        status = RunStatus.DONE if undo.part.state.is_read else RunStatus.PARTIAL
        if undo.part.book.is_empty():
            status = RunStatus.PENDING
        counts = {"removed": len(undo.deleted), "updated": undo.counts["restored"]}
        steps.append(
            ledger.add_step(run, undo.label, position=position, status=status, counts=counts)
        )
    return steps


def _delete(plan: RollbackPlan, database: str) -> None:
    try:
        delete(deleted_by(plan.undos), database=database, uncovered=uncovered_by(plan.undos))
    except (ProtectedError, RestrictedError) as error:
        kept = getattr(error, "protected_objects", None) or error.restricted_objects  # type: ignore[union-attr]
        named = sorted(f"{each._meta.label} {each.pk}" for each in kept)
        more = f" and {len(named) - 5} more" if len(named) > 5 else ""
        raise LedgerError(
            f"Nothing was rolled back: {', '.join(named[:5])}{more} protect what would be deleted"
            " (on_delete of their relation). Delete them first, or let them refer to others."
        ) from error
