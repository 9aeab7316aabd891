"""Runs, their steps, and messages about rows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .. import processes
from ..conf import settings
from ..outcomes import MessageKind, Mode, Outcome, RunStatus
from .links import MigrationState


class Run(models.Model):
    """One execution of a plan, rehearsed or committed."""

    status = models.CharField(_("status"), max_length=16, choices=RunStatus)
    mode = models.CharField(_("mode"), max_length=16, choices=Mode)
    options = models.JSONField(_("options"), default=dict)
    owner = models.CharField(_("owner"), max_length=255, blank=True)
    host = models.CharField(_("host"), max_length=255)
    process = models.PositiveBigIntegerField(_("process"))
    process_started = models.CharField(_("start of the process"), max_length=64, blank=True)
    heartbeat = models.DateTimeField(_("heartbeat"))
    #: Counts of the step that is going on, written with the heartbeat; see ``ledger.lock``.
    live = models.JSONField(_("live counts"), default=dict)
    error = models.TextField(_("error"), blank=True)
    started_at = models.DateTimeField(_("started at"))
    finished_at = models.DateTimeField(_("finished at"), null=True)

    class Meta:
        verbose_name = _("run")
        verbose_name_plural = _("runs")
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.pk} ({self.mode}, {self.current_status})"

    @property
    def is_dry(self) -> bool:
        return self.mode == Mode.REHEARSAL

    @property
    def current_status(self) -> str:
        """The status, with a run whose process is gone shown as interrupted."""
        if self.status == RunStatus.RUNNING and not self.is_alive:
            return RunStatus.INTERRUPTED
        return self.status

    @property
    def is_alive(self) -> bool:
        """Whether the process of the run can be at work still.

        On this host the process table tells. Of another host or container only the heartbeat is
        known: it is dead once ``DATA_MIGRATION_LOCK_TIMEOUT`` seconds went by without one.
        """
        if self.host == processes.host():
            is_there = processes.is_alive(self.process, self.process_started)
            if is_there is not None:
                return is_there
        return timezone.now() - self.heartbeat < timedelta(seconds=settings.lock_timeout)


class RunLock(models.Model):
    """The one row that a run holds while it works; ``run`` is None when nobody does."""

    run = models.ForeignKey(
        Run, models.SET_NULL, null=True, related_name="+", verbose_name=_("run")
    )

    class Meta:
        verbose_name = _("lock")
        verbose_name_plural = _("locks")

    def __str__(self) -> str:
        return f"held by run {self.run_id}" if self.run_id else "free"


class RunStep(models.Model):
    """One migration within a run, with its counts."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="steps", verbose_name=_("run"))
    position = models.PositiveIntegerField(_("position"))
    migration = models.CharField(_("migration"), max_length=255, db_index=True)
    status = models.CharField(_("status"), max_length=16, choices=RunStatus)
    total = models.PositiveBigIntegerField(_("total"), null=True)
    read = models.PositiveBigIntegerField(_("read"), default=0)
    created = models.PositiveBigIntegerField(_("created"), default=0)
    updated = models.PositiveBigIntegerField(_("updated"), default=0)
    unchanged = models.PositiveBigIntegerField(_("unchanged"), default=0)
    skipped = models.PositiveBigIntegerField(_("skipped"), default=0)
    failed = models.PositiveBigIntegerField(_("failed"), default=0)
    warnings = models.PositiveBigIntegerField(_("warnings"), default=0)
    #: Whether its rows have a legacy key, so that it commits in batches and can go on.
    has_key = models.BooleanField(_("has a legacy key"), default=False)
    #: Rows that earlier runs had done; they are not among those read.
    passed = models.PositiveBigIntegerField(_("done before"), default=0)
    #: Objects deleted: their rows are gone from the source, or they were rolled back.
    removed = models.PositiveBigIntegerField(_("removed"), default=0)
    seconds = models.FloatField(_("seconds"), default=0)
    writer = models.CharField(_("writer"), max_length=16, blank=True)
    writer_reason = models.CharField(_("reason for the writer"), max_length=255, blank=True)
    error = models.TextField(_("error"), blank=True)
    started_at = models.DateTimeField(_("started at"), null=True)
    finished_at = models.DateTimeField(_("finished at"), null=True)

    class Meta:
        verbose_name = _("step")
        verbose_name_plural = _("steps")
        ordering: ClassVar = ["run", "position"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["run", "migration"], name="data_migration_step_once_per_run"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.migration} ({self.status})"

    @property
    def current_status(self) -> str:
        """The status, with a step whose run died shown as interrupted."""
        if self.status == RunStatus.RUNNING:
            return self.run.current_status
        return self.status

    @property
    def commits_batches(self) -> bool:
        """Whether each batch is committed by itself, so that a later run can go on behind it."""
        return self.has_key and self.run.mode == Mode.COMMIT

    def count(self, outcome: Outcome, rows: int = 1) -> None:
        """Add ``rows`` to one outcome and to the rows read; the two never part."""
        setattr(self, outcome.value, getattr(self, outcome.value) + rows)
        self.read += rows

    def counts(self) -> dict[str, int]:
        """The counts of rows as they stand, by field name."""
        return {name: getattr(self, name) for name in _COUNTS}

    def keep_failures_only(self, before: dict[str, int] | None = None) -> None:
        """What was counted since ``before`` is rolled back; of it only failures are lasting."""
        failed = self.failed
        for name in _COUNTS:
            setattr(self, name, before[name] if before else 0)
        self.read += failed - self.failed
        self.failed = failed


_COUNTS = (
    *("read", "created", "updated", "unchanged", "skipped", "failed", "warnings"),
    *("passed", "removed"),
)


class RowError(models.Model):
    """Why a row failed, or what a person should know of it."""

    step = models.ForeignKey(
        RunStep, models.CASCADE, related_name="messages", verbose_name=_("step")
    )
    migration = models.ForeignKey(MigrationState, models.CASCADE, related_name="messages")
    kind = models.CharField(_("kind"), max_length=16, choices=MessageKind)
    row_number = models.PositiveBigIntegerField(_("row number"))
    #: The typed key as :mod:`data_migration.keys` writes it, so that the row can be read again.
    key = models.TextField(_("legacy key"), blank=True)
    key_hash = models.UUIDField(_("hash of the key"), null=True)
    #: A failure that is still to be mended: of a committed run, and not done since.
    is_open = models.BooleanField(_("is open"), default=False)
    column = models.CharField(_("column"), max_length=255, blank=True)
    value = models.TextField(_("value"), blank=True)
    cause = models.TextField(_("cause"))

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        ordering: ClassVar = ["step", "id"]
        indexes: ClassVar = [
            models.Index(fields=["migration", "is_open", "key_hash"], name="data_migration_queue"),
        ]

    def __str__(self) -> str:
        return f"{self.where}: {self.cause}"

    @property
    def where(self) -> str:
        """The row and the column in one phrase."""
        row = self.key or f"row {self.row_number}"
        return f"{row}, {self.column} = {self.value}" if self.column else row


def shown(value: Any) -> str:
    """A value as people read it in a message; at most 500 characters."""
    text = (
        "NULL" if value is None else repr(value) if isinstance(value, (str, bytes)) else str(value)
    )
    return text if len(text) <= 500 else text[:499] + "…"
