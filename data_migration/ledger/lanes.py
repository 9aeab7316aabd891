"""Lanes: runs of one come one after the other, runs of two may be at work at once."""

from __future__ import annotations

#: Imports, and rollbacks of what they wrote.
IMPORTS = "imports"
#: Patches, and rollbacks of what they changed.
PATCHES = "patches"

_CONNECTOR = "connector "


def connector_lane(name: str) -> str:
    """The lane of the syncs with one account."""
    return f"{_CONNECTOR}{name}"


def connector_of(lane: str) -> str | None:
    """The account whose syncs are in this lane; None for any other lane."""
    return lane.removeprefix(_CONNECTOR) if lane.startswith(_CONNECTOR) else None


def of_lane(lane: str) -> str:
    """Which runs are meant, behind the word run: nothing where they are imports."""
    return "" if lane == IMPORTS else f" of {lane}"
