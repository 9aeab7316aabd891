"""Runs, their steps, and messages about rows."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from ..outcomes import MessageKind, Mode, RunKind, RunStatus
from ..utils import processes
from .counts import Counted, is_fresh
from .links import MigrationState

#: What steps of patches have before the label, beside those of migrations.
PATCH_STEP = "patch:"
#: What steps of a sync that send have before the label of the mapping, whose pull has none.
PUSH_STEP = "push:"


class Run(models.Model):
    """One execution of a plan, rehearsed or committed; or one that waits for a worker (queued).

    ``options`` are those of :meth:`RunOptions.recorded() <data_migration.options.RunOptions>` or,
    of a rollback, its selection: enough to execute the run, or another one like it.
    """

    status = models.CharField(_("status"), max_length=16, choices=RunStatus)
    #: A :class:`RunKind`. Without choices, so that another kind changes nothing here.
    kind = models.CharField(_("kind"), max_length=16, default=RunKind.IMPORT)
    #: Only runs of one lane exclude each other; see :mod:`data_migration.ledger.lock`.
    lane = models.CharField(_("lane"), max_length=100, default="imports")
    mode = models.CharField(_("mode"), max_length=16, choices=Mode)
    options = models.JSONField(_("options"), default=dict)
    #: A name, not a foreign key: users may be in another database.
    requested_by = models.CharField(_("requested by"), max_length=255, blank=True)
    queued_at = models.DateTimeField(_("queued at"), null=True)
    owner = models.CharField(_("owner"), max_length=255, blank=True)
    #: Host and process are empty and 0 until a process has claimed the run.
    host = models.CharField(_("host"), max_length=255, blank=True)
    process = models.PositiveBigIntegerField(_("process"), default=0)
    process_started = models.CharField(_("start of the process"), max_length=64, blank=True)
    heartbeat = models.DateTimeField(_("heartbeat"))
    #: Counts of the step that is going on, written with the heartbeat; see ``ledger.lock``.
    live = models.JSONField(_("live counts"), default=dict)
    #: Set by whoever wants the run to end after the batch that is going on.
    stop_requested = models.BooleanField(_("stop requested"), default=False)
    error = models.TextField(_("error"), blank=True)
    started_at = models.DateTimeField(_("started at"), null=True)
    finished_at = models.DateTimeField(_("finished at"), null=True)

    class Meta:
        verbose_name = _("run")
        verbose_name_plural = _("runs")
        ordering: ClassVar = ["-id"]
        permissions: ClassVar = [
            ("start_run", _("Can start a run")),
            ("rollback_run", _("Can roll back")),
            ("run_patch", _("Can run patches")),
            ("fake_patch", _("Can record a patch as done without running it")),
            ("pull_run", _("Can pull from remote systems")),
            ("push_run", _("Can send changes to remote systems")),
        ]

    def __str__(self) -> str:
        return f"{self.pk} ({self.mode}, {self.current_status})"

    @property
    def is_rollback(self) -> bool:
        return self.kind == RunKind.ROLLBACK

    @property
    def is_dry(self) -> bool:
        return self.mode == Mode.REHEARSAL

    @property
    def labels(self) -> list[str]:
        """The apps and migrations that were chosen; none where all were."""
        return list(self.options.get("labels") or ())

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
        is_there = self.is_in_process_table
        return is_fresh(self.heartbeat) if is_there is None else is_there

    @property
    def is_in_process_table(self) -> bool | None:
        """Whether its process is there; None where that cannot be seen from this host."""
        if self.host != processes.host():
            return None
        return processes.is_alive(self.process, self.process_started)


class RunLock(models.Model):
    """The row that a run holds while it works, one for each lane; ``run`` is None in between."""

    lane = models.CharField(_("lane"), max_length=100, unique=True, default="imports")
    run = models.ForeignKey(
        Run, models.SET_NULL, null=True, related_name="+", verbose_name=_("run")
    )

    class Meta:
        verbose_name = _("lock")
        verbose_name_plural = _("locks")

    def __str__(self) -> str:
        return f"held by run {self.run_id}" if self.run_id else "free"


class RunStep(Counted):
    """One migration within a run, with its counts: the sums of those of its ranges, if any."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="steps", verbose_name=_("run"))
    position = models.PositiveIntegerField(_("position"))
    migration = models.CharField(_("migration"), max_length=255, db_index=True)
    #: Whether its rows have a legacy key, so that it commits in batches and can go on.
    has_key = models.BooleanField(_("has a legacy key"), default=False)
    writer = models.CharField(_("writer"), max_length=16, blank=True)
    writer_reason = models.CharField(_("reason for the writer"), max_length=255, blank=True)
    #: How many ranges of keys it is read in, by several processes; 0 for one process.
    split_into = models.PositiveIntegerField(_("split into ranges"), default=0)
    #: Why it is split so, or why it is not; empty where nobody asked for several processes.
    split_reason = models.CharField(_("reason for splitting"), max_length=255, blank=True)

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
    def label(self) -> str:
        """That of its migration, patch or mapping, as people know it."""
        return self.migration.removeprefix(PATCH_STEP).removeprefix(PUSH_STEP)

    @property
    def is_push(self) -> bool:
        return self.migration.startswith(PUSH_STEP)

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


class RowError(models.Model):
    """Why a row failed, or what a person should know of it."""

    step = models.ForeignKey(
        RunStep, models.CASCADE, related_name="messages", verbose_name=_("step")
    )
    migration = models.ForeignKey(MigrationState, models.CASCADE, related_name="messages")
    kind = models.CharField(_("kind"), max_length=16, choices=MessageKind)
    row_number = models.PositiveBigIntegerField(_("row number"))
    #: The typed key as :mod:`data_migration.rows.keys` writes it: the row can be read again.
    key = models.TextField(_("legacy key"), blank=True)
    key_hash = models.UUIDField(_("hash of the key"), null=True)
    #: A failure that is still to be mended: of a committed run, and not done since.
    is_open = models.BooleanField(_("is open"), default=False)
    #: The row and the ``hook_error_creating_instance`` that returned for it, as one checksum:
    #: the hook is not called again for the same. None where it did not return.
    handled = models.BigIntegerField(_("checksum"), null=True)
    column = models.CharField(_("column"), max_length=255, blank=True)
    value = models.TextField(_("value"), blank=True)
    cause = models.TextField(_("cause"))
    #: The cause without what is particular to one row; see :mod:`data_migration.ledger.patterns`.
    pattern = models.CharField(_("pattern of the cause"), max_length=255, blank=True)

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
