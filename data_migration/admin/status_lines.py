"""Where each migration stands: what one line of the status page tells."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from django.core.cache import cache
from django.db.models import Count, Max, Q

from ..ledger import Ledger
from ..models import MigrationState, RowError, RowLink, Run, RunStep
from ..outcomes import MessageKind, Mode, RunStatus
from ..plan.due import changed
from ..plan.graph import Plan, PlanStep
from ..reports import migrations as report

#: For so many seconds the links are not counted again while a run adds to them, and for so many
#: when there is none.
_WHILE_GOING, _AT_REST = 10, 3600


@dataclass(frozen=True, kw_only=True, slots=True)
class StatusLine:
    """One migration. ``step`` is its last committed step, None before the first.

    ``total`` is the number of source rows when the whole query was last counted, ``linked`` how
    many rows the ledger knows, skipped ones among them; each is None where nobody knows.
    ``waiting`` are failed rows still to be mended.
    """

    position: int
    plan_step: PlanStep
    state: str
    step: RunStep | None
    total: int | None
    linked: int | None
    waiting: int
    is_changed: bool

    @property
    def label(self) -> str:
        return self.plan_step.label

    @property
    def app_label(self) -> str:
        return self.plan_step.app_label

    @property
    def name(self) -> str:
        return self.label.partition(".")[2]

    @property
    def short_name(self) -> str:
        """The name without the ending that nearly all of them share."""
        return self.name.removesuffix("Migration") or self.name

    @property
    def model(self) -> str:
        return self.plan_step.migration.model._meta.label

    @property
    def needs(self) -> tuple[str, ...]:
        return self.plan_step.needs

    @property
    def word(self) -> Any:
        return RunStatus(self.state).label

    @property
    def anchor(self) -> str:
        return anchor_of(self.label)

    @property
    def is_incomplete(self) -> bool:
        """Whether rows of the source are not linked."""
        return self.total is not None and self.linked is not None and self.linked < self.total


def anchor_of(label: str) -> str:
    """The id of a migration's line in the status page."""
    return f"migration-{label.replace('.', '-')}"


def status_lines(plan: Plan, ledger: Ledger) -> list[StatusLine]:
    """Every migration in the order of the plan; a fixed number of queries."""
    states, stale = ledger.states(), changed(plan, ledger.applied_fingerprints())
    totals, linked = _totals(plan, ledger.database), linked_rows(ledger.database)
    waiting, open_relations = _waiting(ledger.database), ledger.open_relations()
    found = []
    for position, plan_step in enumerate(plan, start=1):
        label, step = plan_step.label, states.get(plan_step.label)
        count = linked.get(label)
        if not count and step is not None and not step.has_key:
            count = None  # it has run and keeps no links
        found.append(
            StatusLine(
                position=position,
                plan_step=plan_step,
                state=report.state_of(label, plan, states, open_relations),
                step=step,
                total=totals.get(label),
                linked=count,
                waiting=waiting.get(label, 0),
                is_changed=label in stale,
            )
        )
    return found


def _totals(plan: Plan, database: str) -> dict[str, int]:
    """How many rows each query returned in all; the legacy database is not asked."""
    whole = Q(run__options__limit=None, run__options__retry_failed=False)
    counted = (
        RunStep.objects.using(database)
        .filter(whole, total__isnull=False)
        .order_by()
        .values("migration")
        .annotate(last=Max("pk"), most=Max("total"))
    )
    found = {row["migration"]: row for row in counted}
    last = RunStep.objects.using(database).filter(pk__in=[row["last"] for row in found.values()])
    totals = {step.migration: step.total or 0 for step in last}
    for step in plan:
        # An incremental run counts only what is above its mark.
        if step.migration.high_water and step.label in found:
            totals[step.label] = found[step.label]["most"]
    return totals


def _waiting(database: str) -> dict[str, int]:
    failures = RowError.objects.using(database).filter(kind=MessageKind.FAILURE, is_open=True)
    counted = failures.order_by().values("migration__label").annotate(rows=Count("pk"))
    return {row["migration__label"]: row["rows"] for row in counted}


def linked_rows(database: str) -> dict[str, int]:
    """How many rows the ledger knows, by label.

    To count a million links takes a part of a second. Only runs change them, so they are counted
    once after each run, and now and then while one is going.
    """
    last = Run.objects.using(database).exclude(mode=Mode.REHEARSAL).order_by("-pk").first()
    if last is None:
        moment, seconds = "never", _AT_REST
    elif last.finished_at is None:
        moment, seconds = f"{last.pk}.{time.time() // _WHILE_GOING:.0f}", _WHILE_GOING
    else:
        moment, seconds = f"{last.pk}.{last.finished_at.timestamp()}", _AT_REST
    key = f"data_migration.linked.{database}.{moment}"
    counts: dict[str, int] | None = cache.get(key)
    if counts is None:
        rows = RowLink.objects.using(database).order_by().values_list("migration_id")
        by_state = dict(rows.annotate(rows=Count("*")))
        states = MigrationState.objects.using(database).values_list("pk", "label")
        counts = {label: by_state[number] for number, label in states if number in by_state}
        cache.set(key, counts, seconds)
    return counts
