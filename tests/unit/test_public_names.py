"""The names that specs import."""

from __future__ import annotations

import importlib
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

import data_migration
from data_migration import migration


def public(module: ModuleType) -> list[str]:
    """The names of a module that are neither private nor modules of it."""
    return sorted(
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not isinstance(value, ModuleType) and name != "annotations"
    )


@pytest.mark.parametrize("name", ["data_migration", "data_migration.sources"])
def test_all_lists_the_public_names_in_order(name: str) -> None:
    module: Any = importlib.import_module(name)
    assert list(module.__all__) == sorted(module.__all__)
    missing = set(module.__all__) - set(vars(module))
    assert not missing


def test_the_namespace_holds_nothing_else() -> None:
    assert public(data_migration) == list(data_migration.__all__)


def test_the_names_of_the_contract_are_there() -> None:
    assert {"BaseMigration", "Migration", "is_a"} <= set(data_migration.__all__)


@pytest.mark.parametrize("name", ["BaseMigration", "Migration", "is_a"])
def test_the_import_path_of_the_older_package_gives_the_same_objects(name: str) -> None:
    assert getattr(migration, name) is getattr(data_migration, name)


def test_a_star_import_from_the_old_path_brings_what_specs_use() -> None:
    namespace: dict[str, Any] = {}
    exec("from data_migration.migration import *", namespace)
    assert {"BaseMigration", "Migration", "is_a"} <= set(namespace)


def test_importing_the_package_needs_no_settings() -> None:
    code = "import data_migration; print(*data_migration.__all__)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={"PYTHONPATH": ":".join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.split(), done.stderr) == (list(data_migration.__all__), "")


#: What other people's code imports, whichever room it is defined in: added to, never taken from.
PUBLIC = {
    "data_migration": ("BaseMigration", "Migration", "is_a"),
    "data_migration.migration": ("BaseMigration", "Migration", "is_a"),
    "data_migration.legacy": ("legacy_key_of", "resolve"),
    "data_migration.tasks": ("execute_range", "execute_run"),
    "data_migration.signals": (
        *("run_started", "step_started", "step_finished", "row_failed", "run_finished"),
    ),
    "data_migration.background": (
        *(
            "Availability",
            "availability",
            "enqueue",
            "look_again",
            "resume",
            "start_patches",
            "start_rollback",
            "start_run",
            "start_sync",
        ),
    ),
    "data_migration.options": ("MaxErrors", "RunOptions"),
    "data_migration.outcomes": (
        *("Deleted", "LinkKind", "MessageKind", "Mode", "NullMarks", "OnConflict", "OnError"),
        *("Outcome", "Removed", "RunKind", "RunStatus", "Unsettled", "WriterName"),
    ),
    "data_migration.ledger": ("request_stop",),
    "data_migration.admin": ("register",),
    "data_migration.models": (
        *("BeforeImage", "DeferredRelation", "MigrationState", "RowError", "RowLink", "Run"),
        *("RunLock", "RunStep", "StepRange"),
    ),
}


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module, names in PUBLIC.items() for name in names]
)
def test_a_public_name_stays_where_it_is(module: str, name: str) -> None:
    assert hasattr(importlib.import_module(module), name)


def test_queues_know_the_tasks_by_their_public_names() -> None:
    celery = pytest.importorskip("celery")
    importlib.import_module("data_migration.tasks")
    names = {f"data_migration.tasks.{name}" for name in ("execute_run", "execute_range")}
    assert names <= set(celery.current_app.tasks)
