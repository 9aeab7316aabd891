"""Runs, patches and rollbacks for other processes: ``from data_migration import background``.

How they are handed over is in :mod:`data_migration.launch.handover`.
"""

from __future__ import annotations

from .launch.handover import (
    Availability,
    availability,
    enqueue,
    look_again,
    resume,
    start_patches,
    start_rollback,
    start_run,
    start_sync,
)

__all__ = [
    "Availability",
    "availability",
    "enqueue",
    "look_again",
    "resume",
    "start_patches",
    "start_rollback",
    "start_run",
    "start_sync",
]
