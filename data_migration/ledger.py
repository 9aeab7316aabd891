"""The only writer of the run, step and message tables, which live in the target database."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable
from typing import Any

from django.db import connections, transaction
from django.db.models import QuerySet
from django.utils import timezone

from .drafts import Draft, Note
from .exceptions import LedgerError
from .graph import Plan, PlanStep
from .models import RowError, Run, RunStep, shown
from .outcomes import MessageKind, Mode, RunStatus

#: What a step may end in so that the migration is not run again by itself.
FINISHED = frozenset({RunStatus.DONE, RunStatus.PARTIAL})


class Ledger:
    """Remembers one run in ``database``.

    A step's counts and messages gather in memory and are written with :meth:`save_step`: inside
    the transaction of its rows when they are kept, after the rollback when they are not.
    """

    def __init__(self, database: str) -> None:
        self.database = database
        self._messages: dict[RunStep, list[RowError]] = {}
        self._check_tables()

    def _check_tables(self) -> None:
        tables = connections[self.database].introspection.table_names()
        if Run._meta.db_table not in tables:
            option = "" if self.database == "default" else f" --database {self.database}"
            raise LedgerError(
                f"Database {self.database!r} has no table {Run._meta.db_table}. Create it with:"
                f" manage.py migrate data_migration{option}"
            )

    def states(self) -> dict[str, RunStep]:
        """The last committed step of each migration, by label."""
        steps = (
            RunStep.objects.using(self.database)
            .exclude(run__mode=Mode.REHEARSAL)
            .exclude(status__in=(RunStatus.PENDING, RunStatus.SKIPPED))
            .select_related("run")
            .order_by("run_id", "position")
        )
        return {step.migration: step for step in steps}

    def finished(self) -> set[str]:
        """The labels of the migrations that need not run again.

        One that was done stays done when a later rerun of it fails: that rerun was rolled back.
        """
        steps = RunStep.objects.using(self.database).exclude(run__mode=Mode.REHEARSAL)
        kept = steps.filter(status__in=FINISHED)
        return set(kept.values_list("migration", flat=True).distinct().order_by())

    def runs(self, labels: Iterable[str] = ()) -> QuerySet[Run]:
        """The runs of these migrations (every run without one), newest first."""
        runs = Run.objects.using(self.database).prefetch_related("steps")
        if labels := list(labels):
            runs = runs.filter(steps__migration__in=labels).distinct()
        return runs

    def messages(self, labels: Iterable[str]) -> QuerySet[RowError]:
        """The messages of the last run of each of these migrations, rehearsals included."""
        last: dict[str, int] = {}
        steps = RunStep.objects.using(self.database).filter(migration__in=list(labels))
        for step in steps.exclude(started_at=None).order_by("run_id"):
            last[step.migration] = step.pk
        return (
            RowError.objects.using(self.database)
            .filter(step__in=last.values())
            .select_related("step")
        )

    def start_run(self, plan: Plan, *, mode: Mode, options: dict[str, Any]) -> Run:
        """Record a run with its steps, none of them started; skipped ones are marked."""
        with transaction.atomic(using=self.database):
            run = Run.objects.using(self.database).create(
                status=RunStatus.RUNNING,
                mode=mode,
                options=options,
                host=socket.gethostname(),
                process=os.getpid(),
                started_at=timezone.now(),
            )
            RunStep.objects.using(self.database).bulk_create(
                _new_step(run, position, step) for position, step in enumerate(plan, start=1)
            )
        return run

    def start_step(self, step: RunStep) -> None:
        step.status = RunStatus.RUNNING
        step.started_at = timezone.now()
        self._messages[step] = []
        if not step.run.is_dry:
            step.save(using=self.database)

    def note_warning(self, step: RunStep, draft: Draft, note: Note) -> None:
        """Count a warning of a row that was kept."""
        step.warnings += 1
        self._messages[step].append(_message(step, MessageKind.WARNING, draft, note))

    def note_failure(self, step: RunStep, draft: Draft, note: Note) -> RowError:
        """Keep why a row failed."""
        message = _message(step, MessageKind.FAILURE, draft, note)
        self._messages[step].append(message)
        return message

    def keep_failures_only(self, step: RunStep) -> None:
        """The step was rolled back: warnings spoke of rows that are not there any more."""
        step.keep_failures_only()
        self._messages[step] = [
            message
            for message in self._messages.get(step, [])
            if message.kind == MessageKind.FAILURE
        ]

    def finish_step(self, step: RunStep, status: RunStatus, error: str = "") -> None:
        step.status = status
        step.error = error
        step.finished_at = timezone.now()
        if step.started_at is not None:
            step.seconds = (step.finished_at - step.started_at).total_seconds()

    def save_step(self, step: RunStep) -> None:
        """Write the step and its messages; may be repeated after a rollback."""
        with transaction.atomic(using=self.database):
            step.save(using=self.database)
            messages = self._messages.get(step, [])
            for message in messages:
                message.pk = None
            RowError.objects.using(self.database).bulk_create(messages, batch_size=1000)

    def finish_run(self, run: Run, status: RunStatus, error: str = "") -> None:
        run.status, run.error, run.finished_at = status, error, timezone.now()
        run.save(using=self.database)


def _new_step(run: Run, position: int, step: PlanStep) -> RunStep:
    status = RunStatus.SKIPPED if step.migration.skip else RunStatus.PENDING
    return RunStep(run=run, position=position, migration=step.label, status=status)


def _message(step: RunStep, kind: MessageKind, draft: Draft, note: Note) -> RowError:
    return RowError(
        step=step,
        kind=kind,
        row_number=draft.number,
        key=_shown_key(draft.key),
        column=note.column[:255],
        value=shown(note.value) if note.column else "",
        cause=note.cause,
    )


def _shown_key(key: Any) -> str:
    """``7``, ``"01581"`` or ``["DE", 7]``: JSON, so that text and numbers stay apart."""
    if key is None:
        return ""
    return json.dumps(key, default=str, ensure_ascii=False)[:255]
