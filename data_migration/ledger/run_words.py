"""A run that is going on, in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils import timezone

from ..models import PATCH_STEP, Run
from ..outcomes import Mode, RunStatus
from ..utils.databases import database_of


def describe_run(run: Run) -> str:
    """Whose run it is, since when, its last sign of life, and what it is doing: one sentence."""
    mode = "" if run.mode == Mode.COMMIT else f" ({run.mode})"
    assert run.started_at is not None, "it is going"
    sign = f"last sign of life {_ago((timezone.now() - run.heartbeat).total_seconds())} ago"
    is_one_transaction = run.mode in (Mode.REHEARSAL, Mode.ATOMIC)
    if is_one_transaction and database_of(run._state.db or "default").has_one_writer:
        sign = "no sign of life until it ends, as it is one transaction on SQLite"
    parts = [f"{process_of(run)}, since {time_of(run.started_at)}, {sign}"]
    if doing := _doing(run):
        parts.append(doing)
    return f"Run {run.pk}{mode} is going: {'; '.join(parts)}."


def process_of(run: Run) -> str:
    """Owner, host and process."""
    return f"{host_of(run)}, process {run.process}"


def host_of(run: Run) -> str:
    return f"{run.owner}@{run.host}" if run.owner else run.host


def time_of(moment: datetime) -> str:
    """A moment in local time; without the date when that is today's."""
    now = timezone.now()
    if timezone.is_aware(moment):
        moment, now = timezone.localtime(moment), timezone.localtime(now)
    return moment.strftime("%H:%M" if moment.date() == now.date() else "%Y-%m-%d %H:%M")


def _ago(seconds: float) -> str:
    seconds = max(0, round(seconds))  # clocks differ
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"


def _doing(run: Run) -> str:
    """The step going on, as the run last told it or, before its first beat, last committed it."""
    counts: Mapping[str, Any] = run.live
    if not counts:
        steps = run.steps.using(run._state.db).filter(status=RunStatus.RUNNING)
        counts = steps.values("migration", "read", "total", "failed").last() or {}
    if not counts.get("migration"):
        return ""
    total = counts.get("total")
    of = f" of {total:,}" if total is not None else ""
    failed = counts.get("failed") or 0
    step = str(counts["migration"])
    nouns = "objects" if step.startswith(PATCH_STEP) else "rows"
    label = step.removeprefix(PATCH_STEP)
    return f"{label} {counts.get('read') or 0:,}{of} {nouns}, {failed:,} failed"
