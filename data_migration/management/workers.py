"""``--workers`` and ``--distribute``: whether they make sense, and who does the work then."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..exceptions import SpecError
from ..launch.handover import availability, enqueue
from ..options import RunOptions
from ..plan.graph import PlanStep
from ..utils.databases import database_of
from ..workers import why_not_split

#: How many workers the ranges are made for where nobody says how many listen.
_RANGES_FOR = 4


def refuse_workers(options: dict[str, Any]) -> None:
    """Raise :exc:`SpecError` where several processes cannot share the work."""
    for name in ("workers", "distribute"):
        if not options[name] or options["plan"]:
            continue
        if not options["commit"]:
            raise SpecError(f"--{name} needs --commit: a rehearsal is one transaction.")
        if options["atomic"]:
            raise SpecError(f"--{name} makes no sense with --atomic, which is one transaction.")
        is_one = name == "workers" and options["workers"] == 1
        if not is_one and database_of(options["database"]).has_one_writer:
            raise SpecError(
                f"--{name}: SQLite takes one writer at a time, so that workers would wait for each"
                " other. Leave it out, or import into PostgreSQL, MySQL or MariaDB."
            )


def crew_options(options: dict[str, Any]) -> dict[str, Any]:
    """Who shares the work, as fields of :class:`RunOptions`."""
    if not options["distribute"]:
        return {"workers": options["workers"] or 1}
    return {
        "workers": options["workers"] or _RANGES_FOR,
        "enqueue": enqueue_range(options["database"]),
    }


def enqueue_range(database: str) -> Callable[[int], None]:
    """What hands a range over to the workers of the project's task queue.

    Raises :exc:`SpecError` when there is none.
    """
    engine, why_not = availability()
    if why_not:
        raise SpecError(f"--distribute: {why_not}")
    if engine == "process":
        raise SpecError(
            '--distribute needs a task queue, and DATA_MIGRATION_BACKGROUND is "process". For'
            " processes of this host use --workers N."
        )
    return lambda number: enqueue("execute_range", number, database)


def reasons_not_split(steps: Sequence[PlanStep], options: dict[str, Any]) -> Iterator[str]:
    """Which migrations ``--workers`` would split, as far as their specs tell."""
    asked = RunOptions(limit=options["limit"], retry_failed=options["retry_failed"])
    for step in steps:
        why_not = why_not_split(step.migration, asked)
        yield f"{step.label}: " + (
            f"read by one process, because {why_not}."
            if why_not
            else "--workers splits it into ranges of its key, if it has rows enough."
        )
