"""The counts of a step in ranges: the sums of theirs."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db import transaction

from ..models import RunStep, StepRange
from ..models.counts import COUNTS


def ranges_of(step: RunStep, database: str) -> Any:
    """The ranges of a step in their order."""
    return StepRange.objects.using(database).filter(step=step).order_by("number")


def save_sums(step: RunStep, ranges: Collection[StepRange], *, database: str) -> None:
    """The counts of a step are the sums of those of its ranges; kept for others to see.

    Without the lock, which workers share for as long as their batches last.
    """
    sums = {name: sum(getattr(each, name) for each in ranges) for name in COUNTS}
    if sums != step.counts():
        step.set_counts(sums)
        RunStep.objects.using(database).filter(pk=step.pk).update(**sums)


def sum_up(step: RunStep, *, database: str) -> None:
    """The same where no coordinator does it any more: of several who do, the last one has all."""
    with transaction.atomic(using=database):
        row = RunStep.objects.using(database).select_for_update().get(pk=step.pk)
        save_sums(row, list(ranges_of(row, database)), database=database)
