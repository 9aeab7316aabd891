"""Pull a mapping of tests/apps/exchange from a system in memory: the real engine, one account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from data_migration.ledger import Ledger
from data_migration.ledger.messages import open_conflicts
from data_migration.models import MigrationState, RowError, RunStep
from data_migration.options import RunOptions
from data_migration.outcomes import Mode, OnError
from data_migration.plan.graph import Plan as Steps
from data_migration.run.runner import run_import
from data_migration.sync import Mapping
from data_migration.sync.compiled import steps
from data_migration.sync.definition import Definition
from data_migration.sync.discovery import Syncs, discover
from data_migration.undo import Rollback, Selection, roll_back
from tests.apps.exchange.data_sync_spec import GroupToAtlas, ItemToAtlas, TagToAtlas
from tests.support.memory_remote import MemoryRemote, Remote, remote_of

_COUNTS = ("created", "updated", "unchanged", "skipped", "failed", "warnings", "removed")


@dataclass(frozen=True)
class Pulled:
    """What became of one mapping."""

    step: RunStep
    error: BaseException | None
    messages: list[RowError]

    @property
    def counts(self) -> dict[str, int]:
        return {name: count for name in _COUNTS if (count := getattr(self.step, name))}

    @property
    def said(self) -> list[tuple[str, str, str, str]]:
        """(kind, key, column, cause) of each message."""
        return [(each.kind, each.key, each.column, each.cause) for each in self.messages]


def remote() -> Remote:
    return remote_of("atlas")


def mapping(base: type[Mapping], **attributes: Any) -> type[Mapping]:
    """A mapping with the memory of ``base``, and other attributes."""
    return type(base)(base.__name__, (base,), attributes)


def pull(
    *mappings: type[Mapping],
    connector: type[MemoryRemote] = MemoryRemote,
    settle: dict[str, str] | None = None,
    mode: Mode = Mode.COMMIT,
    **options: Any,
) -> list[Pulled]:
    """Pull these mappings, of which none needs a spec, in their order."""
    found = discover()
    apps = {**found.apps, **dict.fromkeys(mappings, "exchange")}
    chosen = tuple(
        Definition(app_label="exchange", mapping=each, connector="atlas") for each in mappings
    )
    syncs = Syncs(plans=found.plans, apps=apps, definitions=chosen)
    plan = Steps(tuple(steps(connector({"HOST": "atlas"}), "atlas", syncs, settle=settle or {})))
    asked = RunOptions(mode=mode, on_error=OnError.CONTINUE, update=True, **options)
    done = run_import(plan, asked, Ledger("default"))
    return [Pulled(step, done.error, list(step.messages.order_by("pk"))) for step in done.steps]


def pull_items(base: type[Mapping] = ItemToAtlas, **options: Any) -> Pulled:
    """Groups and tags before them; what became of the items."""
    return pull(GroupToAtlas, TagToAtlas, base, **options)[-1]


def undo(base: type[Mapping] = ItemToAtlas, *, force: bool = False) -> Rollback:
    """Roll back everything that pulls of the mapping did."""
    found = discover()
    definition = Definition(app_label="exchange", mapping=base, connector="atlas")
    syncs = Syncs(plans={}, apps={**found.apps, base: "exchange"}, definitions=(definition,))
    plan = Steps(tuple(steps(None, "atlas", syncs)))
    return roll_back(Selection(labels=(definition.label,)), plan, Ledger("default"), force=force)


def undecided(name: str = "ItemToAtlas") -> list[dict[str, str]]:
    """The open conflicts of each row."""
    state = MigrationState.objects.get(label=f"exchange.{name}@atlas")
    return list(open_conflicts(state, database="default").values())
