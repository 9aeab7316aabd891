"""Push a mapping of tests/apps/exchange to a system in memory: the real step, one account."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from django.db import transaction

from data_migration.ledger import Ledger, NewStep
from data_migration.ledger.lanes import connector_lane
from data_migration.models import Outgoing, RowError, RowLink, RunStep
from data_migration.outcomes import Mode, RunKind, RunStatus
from data_migration.sync import Connector, Mapping
from data_migration.sync.definition import Definition
from data_migration.sync.discovery import Syncs, discover
from data_migration.sync.options import SyncOptions
from data_migration.sync.push import PushDiff, PushStep
from tests.support.memory_remote import MemoryRemote

_COUNTS = ("created", "updated", "unchanged", "skipped", "failed", "warnings", "removed")


@dataclass(frozen=True)
class Pushed:
    """What became of one mapping."""

    step: RunStep
    error: Exception | None
    messages: list[RowError]
    diffs: list[PushDiff]

    @property
    def counts(self) -> dict[str, int]:
        return {name: count for name in _COUNTS if (count := getattr(self.step, name))}

    @property
    def said(self) -> list[tuple[str, str, str, str]]:
        """(kind, key, column, cause) of each message."""
        return [(each.kind, each.key, each.column, each.cause) for each in self.messages]


def push(
    base: type[Mapping],
    *,
    connector: type[Connector] | Connector = MemoryRemote,
    mode: Mode = Mode.COMMIT,
    before: Callable[[], object] | None = None,
    **options: Any,
) -> Pushed:
    """Push one mapping, which needs no spec, and delete what is gone, in a run of its own.

    ``before`` is what is done between finding out what became of an earlier run and the push.
    """
    found = discover()
    definition = Definition(app_label="exchange", mapping=base, connector="atlas")
    syncs = Syncs(
        plans=found.plans, apps={**found.apps, base: "exchange"}, definitions=(definition,)
    )
    asked = SyncOptions(mode=mode, **options)
    ledger = Ledger("default", connector_lane("atlas"))
    run = ledger.start_run(
        [NewStep(definition.push_label)], kind=RunKind.SYNC, mode=mode, options=asked.recorded()
    )
    (step,) = run.steps.all()
    made = connector({"HOST": "atlas"}) if isinstance(connector, type) else connector
    error, diffs = None, []
    asked = replace(asked, should_stop=lambda: ledger.lock.stop_requested)
    if mode == Mode.REHEARSAL:
        made.refuse_writes()
    try:
        with transaction.atomic() if mode == Mode.REHEARSAL else nullcontext():
            ledger.start_step(step)
            recovered: set[str] = set()
            if before is not None:
                recovered = PushStep(definition, made, ledger, step, asked, syncs).recover()
                before()
            pushing = PushStep(definition, made, ledger, step, asked, syncs, recovered=recovered)
            diffs = pushing.run()
            diffs += pushing.delete_gone()
            if mode == Mode.REHEARSAL:
                transaction.set_rollback(True)
    except Exception as raised:
        error = raised
        ledger.finish_step(step, RunStatus.FAILED, str(raised))
    ledger.save_step(step)
    ledger.finish_run(run, RunStatus(step.status))
    return Pushed(step, error, list(step.messages.order_by("pk")), diffs)


def on_its_way() -> list[tuple[str, str, str]]:
    """(object, action, state) of everything that is outgoing."""
    rows = Outgoing.objects.order_by("pk")
    return [(each.object_pk, each.action, each.state) for each in rows]


def linked(name: str = "ItemToAtlas") -> dict[str, str]:
    """The remote key of each object, as text."""
    rows = RowLink.objects.filter(migration__label=f"exchange.{name}@atlas")
    return {str(each.object_pk): each.key for each in rows.order_by("object_pk")}
