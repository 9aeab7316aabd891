"""How the commands tell a run of syncs."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError

from ..exceptions import SpecError
from ..outcomes import RunStatus
from ..sync import report
from ..sync.runner import SyncRun
from ..utils.wording import number_of
from .base import EXIT_FAILED, EXIT_USAGE, LegacyCommand


def show_sync_run(command: LegacyCommand, done: SyncRun, options: dict[str, Any]) -> None:
    """Tell what became of a run of syncs, and exit accordingly."""
    if options["format"] == "json":
        command.print_document({"runs": [report.document(each) for each in done.runs]})
    elif options["verbosity"] > 0:
        for each in done.runs:
            for part in report.text(each):
                command.tell(part)
    problems = done.problems()
    if failed := sum(step.failed for step in done.steps):
        problems.append(
            f"{number_of(failed, 'row')} failed. See: manage.py show_remote --messages"
        )
    if problems or any(each.run.status != RunStatus.DONE for each in done.runs):
        code = EXIT_USAGE if isinstance(done.error, SpecError) else EXIT_FAILED
        raise CommandError(
            "\n".join(problems) or "Not everything was done.", returncode=code
        ) from done.error
