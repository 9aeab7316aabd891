"""One batch of drafts -> objects. A bad row is found and pinned, the rest is kept.

Which writer is chosen, and what becomes of a field that a person changed, is decided here. Writes
the target's tables and nothing of the ledger's, whose digests are handed in.
"""

from __future__ import annotations

from .base import Writer
from .choice import Choice, choose_writer, instances_needed
from .conflicts import Conflicts
from .diagnosis import describe
from .instances import Instances

__all__ = [
    "Choice",
    "Conflicts",
    "Instances",
    "Writer",
    "choose_writer",
    "describe",
    "instances_needed",
]
