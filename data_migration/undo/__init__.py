"""What may go and what is put back: rollbacks, and objects whose rows are gone from their query.

Imports the ledger and what is below it; knows nothing of how rows become objects.
"""

from __future__ import annotations

from .execution import Rollback, carry_out, roll_back
from .planner import plan_rollback, plan_undo
from .refusals import Refusals
from .rollback_plan import RollbackPlan, Undo
from .selection import Part, Selection, check_run, models_of

__all__ = [
    "Part",
    "Refusals",
    "Rollback",
    "RollbackPlan",
    "Selection",
    "Undo",
    "carry_out",
    "check_run",
    "models_of",
    "plan_rollback",
    "plan_undo",
    "roll_back",
]
