"""In which lane a rollback runs: that of what it undoes."""

from __future__ import annotations

from ..ledger.lanes import IMPORTS, connector_lane, connector_of
from ..models import Run
from ..patches import rollback as patches
from ..undo import Selection


def lane_of(selection: Selection, database: str) -> str:
    """That of imports, of patches, or of the account whose pulls are undone.

    Raises :exc:`SpecError` where the selection names patches and migrations.
    """
    lane = patches.lane_of(selection, database)
    if lane != IMPORTS:
        return lane
    if selection.run is not None and not selection.labels:
        runs = Run.objects.using(database).filter(pk=selection.run)
        asked = runs.values_list("lane", flat=True).first() or IMPORTS
        return asked if connector_of(asked) else IMPORTS
    accounts = {label.partition("@")[2] for label in selection.labels}
    account = accounts.pop() if len(accounts) == 1 else ""
    return connector_lane(account) if account else IMPORTS
