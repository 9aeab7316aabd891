"""One batch of drafts -> objects. A bad row is found and pinned, the rest is kept."""

from __future__ import annotations

from .base import Writer
from .choice import choose_writer, instances_needed
from .conflicts import Conflicts
from .diagnosis import describe
from .instances import Instances

__all__ = [
    "Conflicts",
    "Instances",
    "Writer",
    "choose_writer",
    "describe",
    "instances_needed",
]
