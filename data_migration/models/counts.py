"""What a step and a range of it have in common: counts of rows, a status, times."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..conf import settings
from ..outcomes import Outcome, RunStatus


class Counted(models.Model):
    """Rows that were handled, counted by what became of them."""

    status = models.CharField(_("status"), max_length=16, choices=RunStatus)
    total = models.PositiveBigIntegerField(_("total"), null=True)
    read = models.PositiveBigIntegerField(_("read"), default=0)
    created = models.PositiveBigIntegerField(_("created"), default=0)
    updated = models.PositiveBigIntegerField(_("updated"), default=0)
    unchanged = models.PositiveBigIntegerField(_("unchanged"), default=0)
    skipped = models.PositiveBigIntegerField(_("skipped"), default=0)
    failed = models.PositiveBigIntegerField(_("failed"), default=0)
    warnings = models.PositiveBigIntegerField(_("warnings"), default=0)
    #: Rows that earlier runs had done; they are not among those read.
    passed = models.PositiveBigIntegerField(_("done before"), default=0)
    #: Objects deleted: their rows are gone from the source, or they were rolled back.
    removed = models.PositiveBigIntegerField(_("removed"), default=0)
    seconds = models.FloatField(_("seconds"), default=0)
    error = models.TextField(_("error"), blank=True)
    started_at = models.DateTimeField(_("started at"), null=True)
    finished_at = models.DateTimeField(_("finished at"), null=True)

    class Meta:
        abstract = True

    def count(self, outcome: Outcome, rows: int = 1) -> None:
        """Add ``rows`` to one outcome and to the rows read; the two never part."""
        setattr(self, outcome.value, getattr(self, outcome.value) + rows)
        self.read += rows

    def counts(self) -> dict[str, int]:
        """The counts of rows as they stand, by field name."""
        return {name: getattr(self, name) for name in COUNTS}

    def set_counts(self, counts: dict[str, int]) -> None:
        """Take over what :meth:`counts` gave."""
        for name in COUNTS:
            setattr(self, name, counts[name])

    def keep_failures_only(self, before: dict[str, int] | None = None) -> None:
        """What was counted since ``before`` is rolled back; of it only failures are lasting."""
        failed = self.failed
        self.set_counts(before or dict.fromkeys(COUNTS, 0))
        self.read += failed - self.failed
        self.failed = failed


#: The names of the counts.
COUNTS = (
    *("read", "created", "updated", "unchanged", "skipped", "failed", "warnings"),
    *("passed", "removed"),
)


def is_fresh(heartbeat: datetime) -> bool:
    """Whether a sign of life is younger than ``DATA_MIGRATION_LOCK_TIMEOUT``."""
    return timezone.now() - heartbeat < timedelta(seconds=settings.lock_timeout)
