"""What the commands on patches share: how a run of them is told."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from django.core.management.base import CommandError

from ..exceptions import SpecError
from ..models import RowError
from ..outcomes import MessageKind, OnError
from ..patches import report
from ..patches.records import Standing
from ..patches.runner import PatchRun
from ..reports import messages as told
from ..utils.wording import number_of
from .base import EXIT_FAILED, EXIT_USAGE, LegacyCommand, say, width_of


def show_patch_run(
    command: LegacyCommand,
    done: PatchRun,
    options: dict[str, Any],
    *,
    left: Sequence[Standing] = (),
    documents: list[dict[str, Any]] | None = None,
) -> None:
    """Tell what became of a run of patches, and exit accordingly.

    ``left`` are patches that it was to run and that are blocked, or come too late. Where it is one
    of several, its JSON goes into ``documents`` and is not printed.
    """
    if options["format"] == "json":
        document = report.run_document(done, left)
        if documents is None:
            command.print_document(document)
        else:
            documents.append(document)
    elif options["verbosity"] > 0:
        if table := report.closing_table(done.steps, command.width):
            command.tell(table)
        for sentence in (*report.afterwords(done), *report.waiting(left)):
            command.tell(sentence)
        command.tell(report.verdict(done))
    if options["verbosity"] > 0 and done.failed and _goes_on(done):
        rows = RowError.objects.using(options["database"]).filter(step__run=done.run)
        for line in told.by_cause(rows.filter(kind=MessageKind.FAILURE), width_of(sys.stderr)):
            say(line)
    if problems := _problems_of(done):
        code = EXIT_USAGE if isinstance(done.error, SpecError) else EXIT_FAILED
        raise CommandError("\n".join(problems), returncode=code) from done.error


def _problems_of(done: PatchRun) -> list[str]:
    """Each sentence that says what went wrong, and which command is of use then."""
    problems = done.problems()
    if done.failed and _goes_on(done):
        problems.append(
            f"{number_of(done.failed, 'object')} failed. See: manage.py show_patches --messages"
        )
        if not (done.run is not None and done.run.is_dry):
            again = "manage.py run_patches --retry-failed --commit"
            problems.append(f"When they, or the patch, are mended: {again}")
    return problems


def _goes_on(done: PatchRun) -> bool:
    """Whether failed objects are on record only; otherwise each ended its patch, with words."""
    if done.run is None:
        return False
    asked = done.run.options
    return bool(asked.get("max_errors")) or asked.get("on_error") == OnError.CONTINUE
