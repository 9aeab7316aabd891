"""A part of a step: the rows of a range of keys, worked on by one process at a time."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from ..utils import processes
from .counts import Counted, is_fresh
from .runs import RunStep


class StepRange(Counted):
    """The rows of one step whose ``column`` is in ``lower <= column < upper``.

    Bounds and position are typed keys as :mod:`data_migration.rows.keys` writes them; a bound
    that is None is open. The range of the rows whose column is NULL has ``is_null`` and no bounds.
    ``position`` is the last key whose rows are all committed: who takes the range after somebody
    died goes on behind it.
    """

    step = models.ForeignKey(
        RunStep, models.CASCADE, related_name="ranges", verbose_name=_("step")
    )
    number = models.PositiveIntegerField(_("number"))
    column = models.CharField(_("column"), max_length=255)
    lower = models.TextField(_("lower bound"), null=True)  # noqa: DJ001
    upper = models.TextField(_("upper bound"), null=True)  # noqa: DJ001
    is_null = models.BooleanField(_("rows without a key"), default=False)
    position = models.TextField(_("position"), null=True)  # noqa: DJ001
    #: How many rows the ranges before it have, so that rows are numbered as one process does.
    rows_before = models.PositiveBigIntegerField(_("rows before it"), default=0)
    #: Whether the migration had links when the range was made.
    had_links = models.BooleanField(_("had links"), default=True)
    #: Digest of the spec, so that no worker reads it with another version of the code.
    fingerprint = models.CharField(_("fingerprint"), max_length=32)
    #: How often it was taken. With the number it tells one taker from the next.
    claims = models.PositiveIntegerField(_("claims"), default=0)
    #: Set by the coordinator when the range is to end after the batch that is going on.
    is_stopped = models.BooleanField(_("is stopped"), default=False)
    host = models.CharField(_("host"), max_length=255, blank=True)
    process = models.PositiveBigIntegerField(_("process"), default=0)
    process_started = models.CharField(_("start of the process"), max_length=64, blank=True)
    heartbeat = models.DateTimeField(_("heartbeat"), null=True)
    #: The class of the error that ended it.
    fault = models.CharField(_("kind of error"), max_length=64, blank=True)

    class Meta:
        verbose_name = _("range of a step")
        verbose_name_plural = _("ranges of steps")
        ordering: ClassVar = ["step", "number"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["step", "number"], name="data_migration_range_once_per_step"
            ),
        ]

    def __str__(self) -> str:
        return f"range {self.number} of {self.step_id} ({self.status})"

    @property
    def is_alive(self) -> bool:
        """Whether somebody is at work on it.

        The process alone does not tell: a worker that lives may have given the range up.
        """
        if self.heartbeat is None or not is_fresh(self.heartbeat):
            return False
        if self.host != processes.host():
            return True
        return processes.is_alive(self.process, self.process_started) is not False
