"""A rollback that dies has done nothing, and the same command does it then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from data_migration.models import BeforeImage, RowLink, Run, RunLock, RunStep
from data_migration.outcomes import Mode
from tests.apps.ledger.models import Order, Tag
from tests.apps.library.testing import Project
from tests.support.orders import MIGRATIONS, new_shop, shop_of_orders
from tests.support.waiting import PATIENCE

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

ORDERS = 1200
TAGS = 20

SPEC = f"""
import os, signal, threading, time
from django.db.models.signals import post_delete, post_save
from data_migration.models import RunStep
from data_migration.signals import run_finished, run_started
from tests.apps.ledger.models import Customer, Order, Tag

TAGS_ARE_UPDATED = True
KILL_AT = os.environ.get("KILL_AT", "")
SECONDS = KILL_AT.removeprefix("within ") if KILL_AT.startswith("within ") else ""


def die(phase):
    if phase == KILL_AT:
        os.kill(os.getpid(), signal.SIGKILL)


def deleted(sender, instance, **kwargs):
    deleted.count += 1
    die(f"deleted {{deleted.count}}")


def begun(**kwargs):
    die("begun")
    if SECONDS:
        threading.Timer(float(SECONDS), os.kill, (os.getpid(), signal.SIGKILL)).start()


def recorded(**kwargs):
    die("recorded")
    if SECONDS:
        time.sleep({PATIENCE})


def ended(**kwargs):
    die("ended")


deleted.count = 0
for model in (Order, Customer, Tag):
    post_delete.connect(deleted, sender=model)
run_started.connect(begun)
post_save.connect(recorded, sender=RunStep)
run_finished.connect(ended)

{MIGRATIONS}"""


@pytest.fixture
def imported(tmp_path: Path, target_environment: dict[str, str]) -> Project:
    """A project whose import took over one tag that was there before."""
    project = shop_of_orders(
        tmp_path,
        target_environment,
        spec=SPEC,
        tags=TAGS,
        customers=100,
        orders=(
            (n, n % 100 + 1, "1.50", f"{n % TAGS + 1},{n % 7 + 1}") for n in range(1, ORDERS + 1)
        ),
    )
    Tag.objects.create(pk=1, name="mine")
    done = project.run("migrate_legacy", "job", "--commit", "--no-progress")
    assert done.code == 0, done.err
    return project


def contents() -> dict[str, Any]:
    """Every row of the target, and what the ledger knows of it."""
    return {
        **new_shop(),
        "links": list(RowLink.objects.order_by("migration", "key_hash").values()),
        "images": list(BeforeImage.objects.order_by("pk").values()),
    }


def killed(project: Project, kill_at: str) -> None:
    """A rollback that kills itself there."""
    dying = Project(project.folder, {**project.environment, "KILL_AT": kill_at})
    assert dying.run("rollback_legacy", "job", "--no-input").code == -9


def test_a_rollback_that_is_killed_has_done_nothing_and_is_done_by_the_next(
    imported: Project,
) -> None:
    before = contents()
    assert (len(before["orders"]), len(before["images"])) == (ORDERS, 1)

    hooks = ("begun", "deleted 1", "deleted 680", "deleted 1319", "recorded")
    anywhere = ("within 0.001", "within 0.03", "within 0.1")  # seconds after it began
    for kill_at in (*hooks, *anywhere):
        killed(imported, kill_at)
        assert contents() == before, kill_at
    assert RunLock.objects.get().run_id is not None
    assert not RunStep.objects.filter(run__mode=Mode.ROLLBACK).exists()
    died = Run.objects.filter(mode=Mode.ROLLBACK)
    assert [run.current_status for run in died] == ["interrupted"] * 8

    result = imported.run("rollback_legacy", "job", "--no-input")

    assert result.code == 0, result.err
    assert contents() == {
        "tags": [(1, "mine")],
        "customers": [],
        "orders": [],
        "joins": [],
        "links": [],
        "images": [],
    }
    assert RunLock.objects.get().run_id is None
    again = imported.run("rollback_legacy", "job", "--no-input")
    assert (again.code, again.out) == (0, "There is nothing to roll back.\n")


def test_one_that_is_killed_when_all_is_done_is_done(imported: Project) -> None:
    killed(imported, "ended")

    assert list(Tag.objects.values_list()) == [(1, "mine")]
    assert not RowLink.objects.exists()
    assert Run.objects.latest("pk").status == "done"
    result = imported.run("migrate_legacy", "job", "--commit", "--no-progress")
    assert (result.code, Order.objects.count()) == (0, ORDERS)
