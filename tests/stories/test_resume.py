"""A run that dies goes on where it stopped: SIGKILL at ten points of one import."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db.models import Sum

from data_migration.models import MigrationState, RowError, RowLink, Run, RunStep
from tests.apps.ledger.models import Customer, Order, Tag
from tests.apps.library.testing import Project
from tests.support.orders import MIGRATIONS, new_shop, shop_of_orders

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

ROWS = 50_000
TAGS = 40

SPEC = f"""
import os, signal

PHASE, _, ROW = os.environ.get("KILL_AT", "").partition(" ")
TAGS_ARE_UPDATED = False


def die(phase, number=0):
    if phase == PHASE and int(ROW) == number:
        os.kill(os.getpid(), signal.SIGKILL)

{MIGRATIONS}
    def hook_before_all(self):
        die("before_all")

    def hook_before_transformation(self, row):
        die("before_transformation", row["id"])

    def hook_before_save(self, instance, row):
        die("before_save", instance.pk)
        return row["total"] != "13.13"

    def hook_after_save(self, instance, row):
        die("after_save", instance.pk)

    def hook_after_all(self):
        die("after_all")
"""


def order(number: int) -> tuple[int, int, str, str]:
    tags = sorted({number * step % TAGS + 1 for step in range(1, number % 6)})
    total = "13.13" if number % 5000 == 4999 else f"{number % 900}.50"
    return number + 1, number % 500 + 1, total, ",".join(map(str, tags))


SKIPPED = ROWS // 5000


@pytest.fixture
def project(tmp_path: Path, target_environment: dict[str, str]) -> Project:
    """Orders with up to five tags each; some of them are to be skipped."""
    orders = map(order, range(ROWS))
    return shop_of_orders(
        tmp_path, target_environment, spec=SPEC, tags=TAGS, customers=500, orders=orders
    )


def start(project: Project, kill_at: str = "") -> subprocess.Popen[str]:
    environment = {**project.environment, "KILL_AT": kill_at}
    dying = Project(project.folder, environment)
    return dying.start("migrate_legacy", "job", "--commit", "--no-progress")


def at(phase: str, row: int = 0) -> Callable[[Project], None]:
    """The process kills itself in a hook, in the middle of a batch."""

    def kill(project: Project) -> None:
        process = start(project, f"{phase} {row}")
        process.communicate(timeout=120)
        assert process.returncode == -9

    return kill


def after(orders: int, seconds: float) -> Callable[[Project], None]:
    """Killed from outside, some time after so many orders were committed: anywhere."""

    def kill(project: Project) -> None:
        process = start(project)
        deadline = time.monotonic() + 60
        while Order.objects.count() < orders and time.monotonic() < deadline:
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        time.sleep(seconds)
        process.kill()
        process.communicate()
        assert process.returncode == -9

    return kill


KILLS = [
    at("before_all"),
    at("before_transformation", 1500),
    at("after_save", 4001),
    after(4000, 0.0),
    at("before_save", 13_777),
    after(12_000, 0.03),
    at("after_save", 29_999),
    after(30_000, 0.11),
    at("before_save", 49_990),
    at("after_all"),
]


def contents() -> dict[str, Any]:
    """Every row of the target, and what the ledger links it to."""
    return {
        **new_shop(),
        "links": sorted(
            RowLink.objects.values_list("migration__label", "key", "object_pk", "unsettled"),
            key=str,
        ),
    }


def counts() -> dict[str, int]:
    """The counts of the orders, over all runs."""
    names = ("read", "created", "updated", "unchanged", "skipped", "failed", "warnings")
    steps = RunStep.objects.filter(migration="job.OrderMigration")
    return steps.aggregate(**{name: Sum(name) for name in names})


def clear() -> None:
    for model in (
        Order.tags.through,
        Order,
        Customer,
        Tag,
        RowLink,
        RowError,
        RunStep,
        MigrationState,
    ):
        model._base_manager.all()._raw_delete("default")


def test_an_import_that_is_killed_ten_times_ends_like_one_clean_run(project: Project) -> None:
    clean = project.run("migrate_legacy", "job", "--commit", "--no-progress")
    assert clean.code == 0, clean.err
    expected, expected_counts = contents(), counts()
    assert expected_counts["read"] == ROWS
    assert expected_counts["skipped"] == SKIPPED
    assert len(expected["links"]) == ROWS + TAGS + 500
    clear()
    Run.objects.all().delete()

    for kill in KILLS:
        kill(project)
    assert {run.current_status for run in Run.objects.all()} == {"interrupted"}
    last = project.run("migrate_legacy", "job", "--commit", "--no-progress")

    assert last.code == 0, last.err
    assert contents() == expected
    assert counts() == expected_counts
    assert Run.objects.latest("pk").status == "done"
    again = project.run("migrate_legacy", "job", "--commit", "--no-progress")
    assert again.out.endswith("Nothing to do.\n"), again.out
