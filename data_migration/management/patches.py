"""What the commands on patches share: how a run of them is told."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandError

from ..exceptions import SpecError
from ..models import RowError
from ..outcomes import MessageKind
from ..patches import report
from ..patches.runner import PatchRun
from ..reports import messages as told
from ..utils.wording import number_of
from .base import EXIT_FAILED, EXIT_USAGE, LegacyCommand, say, width_of


def show_patch_run(command: LegacyCommand, done: PatchRun, options: dict[str, Any]) -> None:
    """Tell what became of a run of patches, and exit accordingly."""
    failed = sum(step.failed for step in done.steps)
    if options["format"] == "json":
        command.print_document(report.run_document(done))
    elif options["verbosity"] > 0:
        if done.steps:
            command.tell(report.closing_table(done.steps))
        for sentence in report.afterwords(done):
            command.tell(sentence)
        command.tell(report.verdict(done))
    if options["verbosity"] > 0 and failed and done.run is not None:
        rows = RowError.objects.using(options["database"]).filter(step__run=done.run)
        for line in told.by_cause(rows.filter(kind=MessageKind.FAILURE), width_of(sys.stderr)):
            say(line)
    if done.error is not None:
        code = EXIT_USAGE if isinstance(done.error, SpecError) else EXIT_FAILED
        raise CommandError("\n".join(done.problems()), returncode=code) from done.error
    if failed:
        raise CommandError(
            f"{number_of(failed, 'object')} failed. See: manage.py show_patches --messages",
            returncode=EXIT_FAILED,
        )
    if problems := done.problems():
        raise CommandError("\n".join(problems), returncode=EXIT_FAILED)
