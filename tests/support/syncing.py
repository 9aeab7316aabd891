"""Run mappings against a connector that a test chooses: the real engine, no discovery.

::

    syncs = syncs_of(Items, connector="atlas")
    pull, push = synced(syncs)["shop.Items"]
    assert push == {"created": 3}
"""

from __future__ import annotations

from collections.abc import Mapping as Dict
from dataclasses import dataclass
from typing import Any

from data_migration.models import PUSH_STEP, RowError, Run, RunStep
from data_migration.outcomes import Mode, RunKind
from data_migration.sync import Mapping, Plan
from data_migration.sync.discovery import Syncs
from data_migration.sync.options import SyncOptions
from data_migration.sync.runner import run_sync

_OUTCOMES = ("created", "updated", "unchanged", "skipped", "failed")

Counts = dict[str, int]


@dataclass(frozen=True)
class Synced:
    """One run of one account: its steps by label, pushes under their own."""

    run: Run
    steps: Dict[str, RunStep]

    def pull(self, mapping: type[Mapping]) -> Counts:
        """The outcomes that occurred in the pull of a mapping."""
        return counted(self.steps[f"shop.{mapping.__name__}@{self.account}"])

    def push(self, mapping: type[Mapping]) -> Counts:
        return counted(self.steps[f"{PUSH_STEP}shop.{mapping.__name__}@{self.account}"])

    @property
    def account(self) -> str:
        return next(iter(self.steps)).rpartition("@")[2]

    @property
    def written(self) -> Counts:
        """What the run created and updated, on either side."""
        return {
            f"{label} {name}": getattr(step, name)
            for label, step in self.steps.items()
            for name in ("created", "updated", "failed")
            if getattr(step, name)
        }

    @property
    def messages(self) -> list[tuple[str, str, str, str]]:
        """(kind, key, column, cause) of each."""
        found = RowError.objects.filter(step__run=self.run).order_by("pk")
        return [(each.kind, each.key, each.column, each.cause) for each in found]


def counted(step: RunStep) -> Counts:
    """The outcomes that occurred. Every row that was read has exactly one."""
    found = {name: number for name in _OUTCOMES if (number := getattr(step, name))}
    assert sum(found.values()) == step.read, f"{step}: {step.read} read, {found}"
    return found


def syncs_of(*mappings: type[Mapping], connector: str = "atlas") -> Syncs:
    """A plan of these mappings, all of the app ``shop``."""
    plan = type("TestSync", (Plan,), {"mappings": mappings, "connector": connector})
    apps = dict.fromkeys(mappings, "shop")
    return Syncs(plans={"shop.TestSync": plan}, apps=apps, definitions=()).select()


def synced(syncs: Syncs, *, mode: Mode = Mode.COMMIT, **options: Any) -> Synced:
    """Run them; with what the ledger says of it. What is raised that is no error comes out."""
    run_sync(syncs, SyncOptions(mode=mode, **options))
    return last_sync()


def last_sync() -> Synced:
    """The run of syncs that was begun last, as the ledger has it."""
    run = Run.objects.filter(kind=RunKind.SYNC).latest("pk")
    return Synced(run, {step.migration: step for step in run.steps.order_by("position")})
