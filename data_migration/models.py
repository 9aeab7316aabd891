"""What the app remembers: runs, their steps, and messages about rows."""

from __future__ import annotations

import os
import socket
from typing import Any, ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from .outcomes import MessageKind, Mode, Outcome, RunStatus


class Run(models.Model):
    """One execution of a plan, rehearsed or committed."""

    status = models.CharField(_("status"), max_length=16, choices=RunStatus)
    mode = models.CharField(_("mode"), max_length=16, choices=Mode)
    options = models.JSONField(_("options"), default=dict)
    host = models.CharField(_("host"), max_length=255)
    process = models.PositiveBigIntegerField(_("process"))
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
        if self.status == RunStatus.RUNNING and not self._process_lives():
            return RunStatus.INTERRUPTED
        return self.status

    def _process_lives(self) -> bool:
        if self.host != socket.gethostname():
            return True  # nothing can be said from here
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


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

    def count(self, outcome: Outcome, rows: int = 1) -> None:
        """Add ``rows`` to one outcome and to the rows read; the two never part."""
        setattr(self, outcome.value, getattr(self, outcome.value) + rows)
        self.read += rows

    def keep_failures_only(self) -> None:
        """The step was rolled back: of its rows only the failed ones have a lasting outcome."""
        self.read = self.failed
        self.created = self.updated = self.unchanged = self.skipped = self.warnings = 0


class RowError(models.Model):
    """Why a row failed, or what a person should know of it."""

    step = models.ForeignKey(
        RunStep, models.CASCADE, related_name="messages", verbose_name=_("step")
    )
    kind = models.CharField(_("kind"), max_length=16, choices=MessageKind)
    row_number = models.PositiveBigIntegerField(_("row number"))
    key = models.CharField(_("legacy key"), max_length=255, blank=True)
    column = models.CharField(_("column"), max_length=255, blank=True)
    value = models.TextField(_("value"), blank=True)
    cause = models.TextField(_("cause"))

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        ordering: ClassVar = ["step", "id"]

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
