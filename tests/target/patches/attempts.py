"""Execute a patch that a test spells out, as one step of a run of its own."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.apps import apps
from django.db import transaction

from data_migration.ledger import PATCHES, Ledger, NewStep
from data_migration.ledger.patches import PatchBook
from data_migration.models import PatchRecord, RowError, Run, RunStep
from data_migration.outcomes import Mode, OnError, PatchState, RunKind, RunStatus
from data_migration.patches import Context, Patch
from data_migration.patches.definition import Definition
from data_migration.patches.execution import Work, execute
from data_migration.patches.options import PatchOptions
from data_migration.patches.patch import snake_case
from data_migration.run.rehearsal import rehearse
from data_migration.utils.sessions import writing
from data_migration.workers import Crew

_COUNTS = ("updated", "unchanged", "skipped", "failed", "warnings", "passed")


@dataclass(frozen=True)
class Attempt:
    """What became of it; ``state`` is None where ``error`` ended it."""

    run: Run
    step: RunStep
    state: PatchState | None
    error: BaseException | None
    output: list[str]

    @property
    def counts(self) -> dict[str, int]:
        return {name: count for name in _COUNTS if (count := getattr(self.step, name))}

    @property
    def messages(self) -> list[tuple[str, str]]:
        return list(self.step.messages.values_list("key", "cause"))


def define(patch: type[Patch], *, replaces: tuple[str, ...] = ()) -> Definition:
    """The patch as one of the app ``shop``."""
    return Definition(
        app_label="shop",
        name=patch.name or snake_case(patch.__name__),
        revision=str(patch.revision),
        title="",
        patch=patch,
        folder=Path(__file__).parent,
        place="a test",
        replaces=replaces,
    )


def attempt(
    patch: type[Patch],
    *,
    mode: Mode = Mode.COMMIT,
    record: PatchRecord | None = None,
    again: bool = False,
    ledger: Ledger | None = None,
    crew: Crew | None = None,
    **options: Any,
) -> Attempt:
    """Execute ``patch``; ``options`` are those of :class:`PatchOptions`."""
    definition = define(patch)
    ledger = ledger or Ledger("default", PATCHES)
    asked = PatchOptions(mode=mode, **options)
    run = ledger.start_run(
        [NewStep(definition.step_label)],
        kind=RunKind.PATCH,
        mode=mode,
        options=asked.recorded(),
    )
    (step,) = run.steps.select_related("run")
    lines: list[str] = []
    work = Work(
        ledger=ledger,
        book=PatchBook("default"),
        run=run,
        step=step,
        options=asked,
        ctx=Context(
            apps=apps,
            database="default",
            is_rehearsal=mode == Mode.REHEARSAL,
            log=lines.append,
        ),
        output=lines,
        record=record,
        again=again,
        crew=crew,
    )
    state, error = None, None
    with writing("default"), ledger.lock.beating(run, dict):
        try:
            if mode == Mode.REHEARSAL:
                with rehearse("default"):
                    state = execute(definition, work)
            else:
                state = execute(definition, work)
        except BaseException as raised:
            error = raised
            ledger.finish_step(step, RunStatus.FAILED, str(raised))
        with suppress(Exception):
            ledger.save_step(step)
        ledger.finish_run(run, step.status, step.error)
    return Attempt(run, step, state, error, lines)


def record_of(patch: type[Patch]) -> PatchRecord | None:
    definition = define(patch)
    return PatchBook("default").current("shop", definition.name, definition.revision)


def open_failures() -> list[str]:
    return list(RowError.objects.filter(is_open=True).order_by("pk").values_list("key", flat=True))


__all__ = ["OnError", "attempt", "define", "open_failures", "record_of", "transaction"]
