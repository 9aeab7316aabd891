"""Work for other processes: which backend carries it out, and runs handed over to it.

``DATA_MIGRATION_BACKGROUND`` chooses the backend: ``django.tasks``, Celery, or a detached process.
The row of a run is the job: what is handed over is its number, once the row is committed.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any, NamedTuple

from django.db import transaction

from ..conf import BACKGROUNDS, settings
from ..exceptions import SpecError
from ..ledger import IMPORTS, PATCHES, give_up, nobody_else, queue_run
from ..ledger.lanes import connector_lane
from ..models import Run
from ..options import RunOptions
from ..outcomes import Mode, RunKind
from ..patches.options import PatchOptions
from ..sync.discovery import Syncs, discover
from ..sync.options import SyncOptions
from ..sync.words import PULL
from ..undo import Selection
from ..utils.wording import error_text
from .backends import BACKENDS, Backend
from .lanes import lane_of


class Availability(NamedTuple):
    """Which backend would carry work out, and why it cannot: empty when it can."""

    engine: str
    reason: str


def availability() -> Availability:
    """Whether work can be handed over, and to whom. Cheap: asks settings, connects to nothing."""
    backend, why_not = _choose()
    return Availability(backend.name, why_not)


def enqueue(task: str, *arguments: Any) -> None:
    """Hand a task of :mod:`data_migration.tasks` over; the arguments are what JSON can hold.

    Raises :exc:`SpecError` when there is no backend, and whatever the backend raises.
    """
    backend, why_not = _choose()
    if why_not:
        raise SpecError(why_not)
    backend.enqueue(task, *arguments)


def start_run(options: RunOptions, *, requested_by: str = "", alone: bool = False) -> Run:
    """Queue a run and hand it over when the transaction is committed.

    Raises :exc:`SpecError` when there is no backend and, with ``alone``, :exc:`RunRefused` when
    another run is going on or waits: runs that are queued are carried out one after the other.
    """
    return _start(
        RunKind.IMPORT,
        options.mode,
        options.recorded(),
        database=options.database,
        lane=IMPORTS,
        requested_by=requested_by,
        alone=alone,
    )


def start_patches(options: PatchOptions, *, requested_by: str = "", alone: bool = False) -> Run:
    """Queue a run of patches and hand it over when the transaction is committed.

    It has a lane of its own: an import may be going on. Raises like :func:`start_run`.
    """
    return _start(
        RunKind.PATCH,
        options.mode,
        options.recorded(),
        database=options.database,
        lane=PATCHES,
        requested_by=requested_by,
        alone=alone,
    )


def start_sync(
    syncs: Syncs, options: SyncOptions, *, requested_by: str = "", alone: bool = False
) -> list[Run]:
    """Queue a run for each account of what is chosen, and hand them over when it is committed.

    Each account has a lane of its own. Raises like :func:`start_run`.
    """
    return [
        _start(
            RunKind.SYNC,
            options.mode,
            options.recorded(),
            database=options.database,
            lane=connector_lane(name),
            requested_by=requested_by,
            alone=alone,
        )
        for name in syncs.connectors
    ]


def look_again(
    label: str, keys: Iterable[object], *, database: str = "default", requested_by: str = ""
) -> list[Run]:
    """Queue a run that pulls rows with these remote keys, because something may have changed.

    For what another system calls (a webhook): it is not believed, but asked. ``label`` is that of
    a mapping, or of a plan. Raises like :func:`start_run`, and :exc:`UnknownLabel`.
    """
    chosen = discover().select([label])
    options = SyncOptions(
        mode=Mode.COMMIT,
        database=database,
        labels=(label,),
        direction=PULL,
        keys=tuple(map(str, keys)),
    )
    return start_sync(chosen, options, requested_by=requested_by)


def start_rollback(
    selection: Selection,
    *,
    database: str,
    force: bool = False,
    requested_by: str = "",
    alone: bool = False,
) -> Run:
    """Queue a rollback and hand it over when the transaction is committed.

    One of patches is a run of their lane. Raises like :func:`start_run`.
    """
    options = {**selection.recorded(), "force": force}
    return _start(
        RunKind.ROLLBACK,
        Mode.ROLLBACK,
        options,
        database=database,
        lane=lane_of(selection, database),
        requested_by=requested_by,
        alone=alone,
    )


def resume(run: Run, *, requested_by: str = "", alone: bool = False) -> Run:
    """Queue a new run with the labels and options of one that ended: it goes on where that was.

    Raises like :func:`start_run`.
    """
    return _start(
        RunKind(run.kind),
        Mode(run.mode),
        run.options,
        database=run._state.db or "default",
        lane=run.lane,
        requested_by=requested_by,
        alone=alone,
    )


def _choose() -> tuple[Backend, str]:
    """The backend, and why it cannot be used. With ``auto`` the first that can."""
    chosen = settings.background
    if chosen in BACKENDS:
        return BACKENDS[chosen], BACKENDS[chosen].unavailable()
    first = BACKENDS["django"]
    if chosen != "auto":
        known = ", ".join(f'"{name}"' for name in BACKGROUNDS)
        return first, f"DATA_MIGRATION_BACKGROUND is {chosen!r}, which is not one of {known}."
    for backend in (first, BACKENDS["celery"]):
        if not backend.unavailable():
            return backend, ""
    return first, _NO_BACKEND.format(why=first.unavailable())


_NO_BACKEND = (
    "Nothing is set up to run in the background. {why} Celery serves as well, or set"
    ' DATA_MIGRATION_BACKGROUND = "process" to start a process for each run.'
)


def _start(
    kind: RunKind,
    mode: Mode,
    options: dict[str, Any],
    *,
    database: str,
    lane: str,
    requested_by: str,
    alone: bool,
) -> Run:
    if why_not := availability().reason:
        raise SpecError(why_not)

    def hand_over() -> None:
        # The row is committed, so what goes wrong from here on is told there.
        try:
            enqueue("execute_run", run.pk, database)
        except Exception as error:
            text = f"It could not be handed over to the background. {error_text(error)}"
            give_up(run.pk, text, database=database)

    with nobody_else(database, lane) if alone else nullcontext():
        run = queue_run(
            kind=kind,
            mode=mode,
            options=options,
            requested_by=requested_by,
            database=database,
            lane=lane,
        )
        transaction.on_commit(hand_over, using=database)
    return run
