"""What an environment remembers of a patch."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from ..outcomes import PatchState
from .runs import Run


class PatchRecord(models.Model):
    """How far one revision of a patch has come; a patch without a record is pending.

    Its attempts are runs. What it takes to go on is here, since runs are pruned: ``cursor`` is the
    key of the last object whose batch is committed, ``upper`` the highest key when the walk began,
    both as text (:mod:`data_migration.fields.primary_keys`).
    """

    app = models.CharField(_("app"), max_length=100)
    name = models.CharField(_("name"), max_length=255)
    #: "1" for ``revision = 1``; of a line in patches.txt its comment.
    revision = models.CharField(_("revision"), max_length=100)
    #: How often it was run again on purpose: each time adds a record.
    repeat = models.PositiveIntegerField(_("repeat"), default=0)
    state = models.CharField(_("state"), max_length=16, choices=PatchState)
    #: Of the source that ran; see :mod:`data_migration.patches.digest`.
    digest = models.CharField(_("digest"), max_length=32, blank=True)
    #: The last attempt, as long as it is remembered.
    run = models.ForeignKey(
        Run, models.SET_NULL, null=True, related_name="+", verbose_name=_("run")
    )
    owner = models.CharField(_("owner"), max_length=255, blank=True)
    host = models.CharField(_("host"), max_length=255, blank=True)
    #: Why it was recorded without being run, in the words of who did it; or what ended it.
    reason = models.TextField(_("reason"), blank=True)
    cursor = models.TextField(_("cursor"), null=True)  # noqa: DJ001
    upper = models.TextField(_("upper bound"), null=True)  # noqa: DJ001
    #: Whether every object up to ``upper`` was processed, well or not.
    is_walked = models.BooleanField(_("is walked to its end"), default=False)
    processed = models.PositiveBigIntegerField(_("processed"), default=0)
    total = models.PositiveBigIntegerField(_("total"), null=True)
    output = models.TextField(_("output"), blank=True)
    started_at = models.DateTimeField(_("started at"), null=True)
    finished_at = models.DateTimeField(_("finished at"), null=True)

    class Meta:
        verbose_name = _("patch")
        verbose_name_plural = _("patches")
        ordering: ClassVar = ["app", "name", "id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["app", "name", "revision", "repeat"], name="data_migration_patch_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.label} ({self.state})"

    @property
    def label(self) -> str:
        return f"{self.app}.{self.name}"

    @property
    def mark(self) -> str:
        """The fingerprint of its ranges: they are its own, with whichever code it goes on."""
        return f"record {self.pk}"
