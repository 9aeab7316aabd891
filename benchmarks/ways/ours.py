"""``migrate_legacy --commit``, with every check, count, message and link that belongs to it."""

from __future__ import annotations

from typing import Any

from django.core.management import CommandError, call_command, load_command_class

from benchmarks.cases import Case
from benchmarks.job import Absent

USAGE = 2  # the exit code of what does not exist for this target


def prepare(case: Case, **options: Any) -> None:
    """Import the command: like Django itself, no part of the measured time."""
    load_command_class("data_migration", "migrate_legacy")


def run(case: Case, *, update: bool = False, workers: int = 1, **spec: Any) -> None:
    """``spec`` (writer, hooks, links) is read by ``benchmarks.people.data_migration_spec``."""
    options: dict[str, Any] = {"commit": True, "update": update, "no_progress": True}
    if workers > 1:
        options["workers"] = workers
    try:
        call_command("migrate_legacy", **options)
    except CommandError as error:
        if error.returncode != USAGE:
            raise
        raise Absent(str(error).splitlines()[-1].strip()) from error
