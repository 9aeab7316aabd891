"""Roll back what :func:`tests.support.engine.migrate` ran."""

from __future__ import annotations

from data_migration.ledger import Ledger
from data_migration.migration import Migration
from data_migration.models import Run
from data_migration.plan.graph import build_plan
from data_migration.undo import Rollback, Selection, roll_back
from tests.support.engine import label_of, over


def undo(migration: type[Migration], run: Run | None = None, *, force: bool = False) -> Rollback:
    """Roll back all of the migration, or what one run of it did."""
    label = label_of(migration)
    selection = Selection(labels=(label,), run=run.pk if run else None)
    plan = build_plan({label: over(migration, [], ["id"])})
    return roll_back(selection, plan, Ledger("default"), force=force)
