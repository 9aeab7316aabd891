"""Runs that wait for a worker: queued, claimed by exactly one, or given up before they begin."""

from __future__ import annotations

import os
from typing import Any

from django.db import Error
from django.utils import timezone

from ..exceptions import LedgerError, RunRefused
from ..models import Run, RunStep
from ..outcomes import Mode, RunKind, RunStatus
from ..utils import processes
from ..utils.databases import database_of
from .lanes import IMPORTS

#: A run in one of these states is not over.
ACTIVE = (RunStatus.QUEUED, RunStatus.RUNNING)


def active_run(database: str, lane: str | None = IMPORTS) -> Run | None:
    """The run that is going on, else the one that waits for a worker; None when there is none.

    Of a lane, or of any where that is None.
    """
    runs = Run.objects.using(database).filter(status__in=ACTIVE).order_by("-pk")
    if lane is not None:
        runs = runs.filter(lane=lane)
    # A run whose process is gone is neither, and is left in the table until the next one begins.
    living = [run for run in runs[:20] if run.current_status in ACTIVE]
    return min(living, key=lambda run: (run.status != RunStatus.RUNNING, run.pk), default=None)


def queue_run(
    *,
    kind: RunKind,
    mode: Mode,
    options: dict[str, Any],
    requested_by: str = "",
    database: str,
    lane: str = IMPORTS,
) -> Run:
    """Record a run that a worker is to execute. It does not hold the lock of its lane."""
    now = timezone.now()
    return Run.objects.using(database).create(
        status=RunStatus.QUEUED,
        kind=kind,
        lane=lane,
        mode=mode,
        options=options,
        requested_by=requested_by,
        queued_at=now,
        heartbeat=now,
    )


def queued_run(number: int, *, database: str) -> Run:
    """The queued run with this number. Raises :exc:`LedgerError` when there is none."""
    run = _run(number, database)
    if run.status != RunStatus.QUEUED:
        raise RunRefused(_not_queued(run))
    return run


def claim_run(run: Run, *, database: str) -> Run:
    """Make a queued run one of this process. Raises :exc:`RunRefused` when another one was faster.

    For the transaction that takes the lock: should that be refused, the run stays queued.
    """
    if not _queued(run.pk, database).update(status=RunStatus.RUNNING, **this_process()):
        raise RunRefused(_not_queued(_run(run.pk, database)))
    return _run(run.pk, database)


def give_up(number: int, error: str, *, database: str) -> bool:
    """End a run as failed that could not begin; False when it is not queued any more."""
    return _end(number, RunStatus.FAILED, error, database)


def withdraw(number: int, *, by: str = "", database: str) -> None:
    """Take a run back that nobody has claimed. Raises :exc:`LedgerError` when it has begun."""
    who = f" by {by}" if by else ""
    text = f"Withdrawn{who} before it began."
    if not _end(number, RunStatus.INTERRUPTED, text, database):
        raise LedgerError(_not_queued(_run(number, database)))


def request_stop(number: int, *, database: str) -> None:
    """Ask a run to end after the batch that is going on, as Ctrl-C in its terminal does.

    Raises :exc:`LedgerError` when it is not at work, and when it cannot be asked: a rollback is
    done as a whole or not at all, as is a patch without batches, and a rehearsal on SQLite has
    the database to itself. A run of patches that has more to do ends before the next one.
    """
    run = _run(number, database)
    if run.current_status != RunStatus.RUNNING:
        raise LedgerError(f"Run {number} is not at work: it is {run.current_status}.")
    if run.is_rollback:
        raise LedgerError(
            f"Run {number} is a rollback, which is done as a whole or not at all. Ctrl-C in its"
            " terminal undoes what it did so far."
        )
    if whole := _last_and_whole(run, database):
        raise LedgerError(
            f"Run {number} executes {whole}, which is done as a whole or not at all, and nothing"
            " comes after it. Ctrl-C in its terminal undoes what it did so far."
        )
    running = Run.objects.using(database).filter(pk=number, status=RunStatus.RUNNING)
    try:
        running.update(stop_requested=True)
    except Error as error:
        if database_of(database).has_one_writer:
            where = f" on {run.host}" if run.host != processes.host() else ""
            raise LedgerError(
                f"Run {number} has the SQLite database to itself until it ends, so it cannot be"
                f" asked to stop. Ctrl-C in its terminal, or kill {run.process}{where}."
            ) from error
        raise LedgerError(
            f"Run {number} could not be asked to stop, because the database says:"
            f" {type(error).__name__}. Try again in a moment."
        ) from error


def _last_and_whole(run: Run, database: str) -> str:
    """The patch that the run is at and that nothing interrupts; empty where something does."""
    if run.kind != RunKind.PATCH or run.is_dry:  # steps of a rehearsal are not stored meanwhile
        return ""
    steps = RunStep.objects.using(database).filter(run=run)
    if steps.filter(status=RunStatus.PENDING).exists():
        return ""
    whole = steps.filter(status=RunStatus.RUNNING, has_key=False)
    return whole.values_list("migration", flat=True).first() or ""


def stop_requested(number: int, *, database: str) -> bool:
    """Whether somebody wants the run to end."""
    rows = Run.objects.using(database).filter(pk=number, stop_requested=True)
    return bool(rows.exists())


def this_process() -> dict[str, Any]:
    """The fields of a run that say which process executes it, from now on."""
    now = timezone.now()
    return {
        "owner": processes.owner(),
        "host": processes.host(),
        "process": os.getpid(),
        "process_started": processes.started(os.getpid()),
        "heartbeat": now,
        "started_at": now,
    }


def _queued(number: int, database: str) -> Any:
    return Run.objects.using(database).filter(pk=number, status=RunStatus.QUEUED)


def _end(number: int, status: RunStatus, error: str, database: str) -> bool:
    ended = {"status": status, "error": error, "finished_at": timezone.now()}
    return bool(_queued(number, database).update(**ended))


def _run(number: int, database: str) -> Run:
    run = Run.objects.using(database).filter(pk=number).first()
    if run is None:
        raise LedgerError(
            f"There is no run {number} in database {database!r}. See: manage.py show_legacy --runs"
        )
    return run


def _not_queued(run: Run) -> str:
    return f"Run {run.pk} does not wait for a worker: it is {run.current_status}."
