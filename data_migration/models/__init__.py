"""What the app remembers, in the target database of the rows: runs, messages, a link per row."""

from __future__ import annotations

from .links import BeforeImage, DeferredRelation, MigrationState, RowLink
from .patches import PatchRecord
from .ranges import StepRange
from .runs import PATCH_STEP, RowError, Run, RunLock, RunStep

__all__ = [
    "PATCH_STEP",
    "BeforeImage",
    "DeferredRelation",
    "MigrationState",
    "PatchRecord",
    "RowError",
    "RowLink",
    "Run",
    "RunLock",
    "RunStep",
    "StepRange",
]
