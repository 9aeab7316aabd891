"""What a run tells of the step that is going on, for other processes to see."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ..models import RunStep
from ..outcomes import RunStatus


def live_counts(steps: Collection[RunStep]) -> dict[str, Any]:
    """The counts of the step that is going on; empty between two of them."""
    for step in steps:
        if step.status == RunStatus.RUNNING:
            return {
                "migration": step.migration,
                "position": step.position,
                "steps": len(steps),
                "started_at": step.started_at.isoformat() if step.started_at else None,
                "total": step.total,
                **step.counts(),
            }
    return {}
