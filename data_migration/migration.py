"""What a spec imports: ``from data_migration.migration import Migration, is_a``.

The same names as in :mod:`data_migration`; this is where django-data-migration had them.
"""

from __future__ import annotations

from .spec.columns import is_a
from .spec.migration import BaseMigration, Migration

__all__ = ["BaseMigration", "Migration", "is_a"]
