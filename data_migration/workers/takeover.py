"""The ranges of a step in the ledger: new ones, or those that an interrupted run left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..models import RunStep, StepRange
from ..outcomes import RunStatus
from ..rows.keys import key_text
from ..spec.fingerprint import fingerprint
from ..step.context import StepContext
from .divide import Part


def new_ranges(
    step: RunStep, parts: Sequence[Part], digest: str, *, had_links: bool
) -> list[StepRange]:
    """The ranges of a pass that begins; not saved yet."""
    ranges = []
    before = 0
    for number, part in enumerate(parts, start=1):
        ranges.append(
            StepRange(
                step=step,
                number=number,
                status=RunStatus.PENDING,
                column=part.range.column,
                lower=_written(part.range.lower),
                upper=_written(part.range.upper),
                is_null=part.range.is_null,
                total=part.rows,
                rows_before=before,
                had_links=had_links,
                fingerprint=digest,
            )
        )
        before += part.rows
    return ranges


def _written(value: Any) -> str | None:
    return None if value is None else key_text(value)


def earlier_ranges(context: StepContext, *, column: str) -> list[StepRange]:
    """The ranges with which the open pass goes on; empty when it has none that fit.

    What an earlier run has read without a failed row is not read again; it counts as passed. A
    range with failed rows is read from its beginning, so that they are tried again.
    """
    former_step = _former_step(context)
    if former_step is None:
        return []
    digest = fingerprint(type(context.migration))
    ranges = []
    for former in former_step.ranges.using(context.database).order_by("number"):
        if former.fingerprint != digest or former.column != column:
            return []
        is_clean = not former.failed
        is_done = is_clean and former.status == RunStatus.DONE
        ranges.append(
            StepRange(
                step=context.step,
                number=former.number,
                status=RunStatus.DONE if is_done else RunStatus.PENDING,
                column=former.column,
                lower=former.lower,
                upper=former.upper,
                is_null=former.is_null,
                position=former.position if is_clean else None,
                passed=former.read + former.passed if is_clean else 0,
                total=former.total,
                rows_before=former.rows_before,
                had_links=True,
                fingerprint=former.fingerprint,
            )
        )
    return ranges


def former_range(row: StepRange, context: StepContext) -> StepRange | None:
    """The same range as an interrupted run had it, where failed rows let it be read again."""
    former_step = _former_step(context)
    if former_step is None:
        return None
    bounds = {"column": row.column, "lower": row.lower, "upper": row.upper}
    same = former_step.ranges.using(context.database).filter(number=row.number, **bounds)
    return same.filter(failed__gt=0, position__isnull=False).first()


def _former_step(context: StepContext) -> RunStep | None:
    """The last step of the open pass that was split, if it treated rows as this one does."""
    pass_run = context.state.pass_run
    if pass_run is None:
        return None
    steps = RunStep.objects.using(context.database).filter(
        migration=context.label, run__gte=pass_run, split_into__gt=0
    )
    former = steps.exclude(pk=context.step.pk).select_related("run").order_by("-run_id").first()
    if former is None:
        return None
    wanted = context.options.recorded()
    same = all(former.run.options.get(name) == wanted[name] for name in ("update", "full"))
    return former if same else None
