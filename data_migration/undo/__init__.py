"""What runs did, undone: objects deleted or put back, links forgotten, dependants first."""

from __future__ import annotations

from .execution import Rollback, refuse, roll_back
from .refusals import Refusal, Refusals
from .rollback_plan import plan_rollback
from .selection import Part, Selection
from .undos import RollbackPlan, Undo

__all__ = [
    "Part",
    "Refusal",
    "Refusals",
    "Rollback",
    "RollbackPlan",
    "Selection",
    "Undo",
    "plan_rollback",
    "refuse",
    "roll_back",
]
