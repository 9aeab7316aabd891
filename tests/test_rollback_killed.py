"""A rollback that dies has done nothing, and the same command does it then."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from data_migration.models import BeforeImage, RowLink, Run, RunLock, RunStep
from data_migration.outcomes import Mode
from tests.apps.ledger.models import Customer, Order, Tag
from tests.apps.library.testing import Project, make_project

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

ORDERS = 3000
TAGS = 20

SPEC = """
import os, signal
from django.db.models.signals import post_delete, post_save
from data_migration import BaseMigration, is_a
from data_migration.models import RunStep
from data_migration.signals import run_finished, run_started
from tests.apps.ledger.models import Customer, Order, Tag

KILL_AT = os.environ.get("KILL_AT", "")


def die(phase):
    if phase == KILL_AT:
        os.kill(os.getpid(), signal.SIGKILL)


def deleted(sender, instance, **kwargs):
    deleted.count += 1
    die(f"deleted {deleted.count}")


def begun(**kwargs):
    die("begun")


def recorded(**kwargs):
    die("recorded")


def ended(**kwargs):
    die("ended")


deleted.count = 0
for model in (Order, Customer, Tag):
    post_delete.connect(deleted, sender=model)
run_started.connect(begun)
post_save.connect(recorded, sender=RunStep)
run_finished.connect(ended)


class TagMigration(BaseMigration):
    query = "SELECT id, name FROM tags"
    model = Tag
    allow_updates = True


class CustomerMigration(BaseMigration):
    query = "SELECT id, name, email FROM customers"
    model = Customer


class OrderMigration(BaseMigration):
    query = "SELECT id, customer, total, tags FROM orders"
    model = Order
    column_description = {
        "customer": is_a(Customer, search_attr="id", fk=True),
        "tags": is_a(Tag, search_attr="id", m2m=True, delimiter=","),
    }
"""


def build(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(
            "CREATE TABLE tags (id INTEGER PRIMARY KEY, name TEXT);"
            "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, email TEXT);"
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER, total TEXT, tags TEXT)"
        )
        tags = ((n, f"tag {n}") for n in range(1, TAGS + 1))
        connection.executemany("INSERT INTO tags VALUES (?, ?)", tags)
        customers = ((n, f"customer {n}", "") for n in range(1, 101))
        connection.executemany("INSERT INTO customers VALUES (?, ?, ?)", customers)
        orders = (
            (n, n % 100 + 1, "1.50", f"{n % TAGS + 1},{n % 7 + 1}") for n in range(1, ORDERS + 1)
        )
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", orders)


@pytest.fixture
def imported(tmp_path: Path, target_environment: dict[str, str]) -> Project:
    """A project whose import took over one tag that was there before."""
    legacy = tmp_path / "legacy.sqlite3"
    build(legacy)
    source = {"legacy": {"ENGINE": "sqlite", "NAME": str(legacy)}}
    project = make_project(
        tmp_path, target_environment, spec=SPEC, settings=[f"DATA_MIGRATION_SOURCES = {source!r}"]
    )
    Tag.objects.create(pk=1, name="mine")
    done = project.run("migrate_legacy", "job", "--commit", "--no-progress")
    assert done.code == 0, done.err
    return project


def contents() -> dict[str, Any]:
    """Every row of the target, and what the ledger knows of it."""
    return {
        "tags": list(Tag.objects.order_by("pk").values_list()),
        "customers": list(Customer.objects.order_by("pk").values_list()),
        "orders": list(Order.objects.order_by("pk").values_list()),
        "joins": sorted(Order.tags.through.objects.values_list("order_id", "tag_id")),
        "links": list(RowLink.objects.order_by("migration", "key_hash").values()),
        "images": list(BeforeImage.objects.order_by("pk").values()),
    }


def killed(project: Project, kill_at: str) -> None:
    """A rollback that kills itself there."""
    dying = Project(project.folder, {**project.environment, "KILL_AT": kill_at})
    process = dying.start("rollback_legacy", "job", "--no-input")
    process.communicate(timeout=120)
    assert process.returncode == -9


def killed_from_outside(project: Project, seconds: float) -> None:
    """A rollback that is killed some time after it began."""
    runs = Run.objects.filter(mode=Mode.ROLLBACK)
    known = runs.count()
    process = project.start("rollback_legacy", "job", "--no-input")
    deadline = time.monotonic() + 60
    while runs.count() == known and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    time.sleep(seconds)
    process.kill()
    process.communicate()
    assert process.returncode == -9


def test_a_rollback_that_is_killed_has_done_nothing_and_is_done_by_the_next(
    imported: Project,
) -> None:
    before = contents()
    assert (len(before["orders"]), len(before["images"])) == (ORDERS, 1)

    for phase in ("begun", "deleted 1", "deleted 1700", "deleted 3119", "recorded"):
        killed(imported, phase)
        assert contents() == before, phase
    for seconds in (0.0, 0.03, 0.1):
        killed_from_outside(imported, seconds)
        assert contents() == before, seconds
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
