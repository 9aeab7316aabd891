"""Changes of data that run once for each environment, around Django's schema migrations.

What people write is in ``patch``, ``ready_made`` and ``operations``; how it is found in
``discovery``; what an environment remembers of it in :mod:`data_migration.ledger.patches`. A run
of patches is a run as any other, on the same ledger, lock, rehearsal, workers and undo. Imports
all rooms below it; ``launch``, the commands and the admin import it.
"""

from __future__ import annotations

from .operations import RequirePatch, RunPatch
from .patch import Context, Patch, patch
from .ready_made import LoadFixture, RunSQL

__all__ = ["Context", "LoadFixture", "Patch", "RequirePatch", "RunPatch", "RunSQL", "patch"]
