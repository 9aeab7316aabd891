"""What may go and what is put back: rollbacks, and objects whose rows are gone from their query.

Imports the ledger and what is below it; knows nothing of how rows become objects.
"""

from __future__ import annotations

from .execution import Rollback, roll_back
from .planner import plan_rollback
from .refusals import Refusals
from .rollback_plan import RollbackPlan
from .selection import Selection

__all__ = [
    "Refusals",
    "Rollback",
    "RollbackPlan",
    "Selection",
    "plan_rollback",
    "roll_back",
]
