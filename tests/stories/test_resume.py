"""A run that dies goes on where it stopped: SIGKILL at ten points of one import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db.models import Sum

from data_migration.models import MigrationState, RowError, RowLink, Run, RunStep
from tests.apps.ledger.models import Customer, Order, Tag
from tests.apps.library.testing import Project
from tests.support.orders import MIGRATIONS, new_shop, shop_of_orders
from tests.support.waiting import PATIENCE

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

ROWS = 5000
TAGS = 40

SPEC = f"""
import os, signal, threading, time

PHASE, ROW, UNTIL, SECONDS = (os.environ.get("KILL_AT", "") + " 0 0 0").split(" ")[:4]
TAGS_ARE_UPDATED = False


def die(phase, number=0):
    if phase == PHASE and int(ROW) == number:
        os.kill(os.getpid(), signal.SIGKILL)


def die_between(number):
    if number == int(ROW):
        threading.Timer(float(SECONDS), os.kill, (os.getpid(), signal.SIGKILL)).start()
    elif number == int(UNTIL):
        time.sleep({PATIENCE})

{MIGRATIONS}
    batch_size = 200

    def hook_before_all(self):
        die("before_all")

    def hook_before_transformation(self, row):
        die("before_transformation", row["id"])

    def hook_before_save(self, instance, row):
        die("before_save", instance.pk)
        if PHASE == "between":
            die_between(instance.pk)
        return row["total"] != "13.13"

    def hook_after_save(self, instance, row):
        die("after_save", instance.pk)

    def hook_after_all(self):
        die("after_all")
"""


def order(number: int) -> tuple[int, int, str, str]:
    tags = sorted({number * step % TAGS + 1 for step in range(1, number % 6)})
    total = "13.13" if number % 500 == 499 else f"{number % 900}.50"
    return number + 1, number % 500 + 1, total, ",".join(map(str, tags))


SKIPPED = ROWS // 500


@pytest.fixture
def project(tmp_path: Path, target_environment: dict[str, str]) -> Project:
    """Orders with up to five tags each; some of them are to be skipped."""
    orders = map(order, range(ROWS))
    return shop_of_orders(
        tmp_path, target_environment, spec=SPEC, tags=TAGS, customers=500, orders=orders
    )


def killed(project: Project, kill_at: str) -> None:
    """An import that kills itself there."""
    dying = Project(project.folder, {**project.environment, "KILL_AT": kill_at})
    assert dying.run("migrate_legacy", "job", "--commit", "--no-progress").code == -9


#: Where the process kills itself: in a hook, in the middle of a batch; or at any point between two
#: rows, some seconds after the first of them and, on a machine that stands still, at the second.
KILLS = (
    "before_all",
    "before_transformation 150",
    "after_save 401",
    "between 402 1370 0.001",
    "before_save 1378",
    "between 1380 2990 0.03",
    "after_save 2999",
    "between 3001 4990 0.11",
    "before_save 4998",
    "after_all",
)


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

    for kill_at in KILLS:
        killed(project, kill_at)
    assert {run.current_status for run in Run.objects.all()} == {"interrupted"}
    last = project.run("migrate_legacy", "job", "--commit", "--no-progress")

    assert last.code == 0, last.err
    assert contents() == expected
    assert counts() == expected_counts
    assert Run.objects.latest("pk").status == "done"
    again = project.run("migrate_legacy", "job", "--commit", "--no-progress")
    assert again.out.endswith("Nothing to do.\n"), again.out
