"""Move a legacy database into Django models."""

from __future__ import annotations

from .spec.columns import is_a
from .spec.migration import BaseMigration, Migration

__all__ = ["BaseMigration", "Migration", "is_a"]

__version__ = "1.0.0.dev0"
