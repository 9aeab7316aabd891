"""What the app remembers, in the target database of the rows: runs, messages, a link per row."""

from __future__ import annotations

from .links import BeforeImage, DeferredRelation, MigrationState, RowLink
from .patches import PatchRecord
from .ranges import StepRange
from .remote import Outgoing, RemoteAccount, RemoteState
from .runs import PATCH_STEP, PUSH_STEP, RowError, Run, RunLock, RunStep

__all__ = [
    "PATCH_STEP",
    "PUSH_STEP",
    "BeforeImage",
    "DeferredRelation",
    "MigrationState",
    "Outgoing",
    "PatchRecord",
    "RemoteAccount",
    "RemoteState",
    "RowError",
    "RowLink",
    "Run",
    "RunLock",
    "RunStep",
    "StepRange",
]
