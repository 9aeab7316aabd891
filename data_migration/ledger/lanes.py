"""Lanes: runs of one come one after the other, runs of two may be at work at once."""

from __future__ import annotations

#: Imports, and rollbacks of what they wrote.
IMPORTS = "imports"
#: Patches, and rollbacks of what they changed.
PATCHES = "patches"


def of_lane(lane: str) -> str:
    """Which runs are meant, behind the word run: nothing where they are imports."""
    return "" if lane == IMPORTS else f" of {lane}"
