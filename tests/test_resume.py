"""A run that dies goes on where it stopped: SIGKILL at ten points of one import."""

from __future__ import annotations

import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.db.models import Sum

from data_migration.models import MigrationState, RowError, RowLink, Run, RunStep
from tests.apps.ledger.models import Customer, Order, Tag
from tests.apps.library.testing import Project, make_project

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

ROWS = 50_000
TAGS = 40

SPEC = """
import os, signal
from data_migration import BaseMigration, is_a
from tests.apps.ledger.models import Customer, Order, Tag

PHASE, _, ROW = os.environ.get("KILL_AT", "").partition(" ")


def die(phase, number=0):
    if phase == PHASE and int(ROW) == number:
        os.kill(os.getpid(), signal.SIGKILL)


class TagMigration(BaseMigration):
    query = "SELECT id, name FROM tags"
    model = Tag


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


def build(path: Path) -> None:
    """Customers, tags, and orders with up to five tags each; some orders are to be skipped."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(
            "CREATE TABLE tags (id INTEGER PRIMARY KEY, name TEXT);"
            "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, email TEXT);"
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER, total TEXT, tags TEXT)"
        )
        connection.executemany(
            "INSERT INTO tags VALUES (?, ?)", ((n, f"tag {n}") for n in range(1, TAGS + 1))
        )
        connection.executemany(
            "INSERT INTO customers VALUES (?, ?, ?)",
            ((n, f"customer {n}", f"{n}@example.org") for n in range(1, 501)),
        )
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", map(order, range(ROWS)))


def order(number: int) -> tuple[int, int, str, str]:
    tags = sorted({number * step % TAGS + 1 for step in range(1, number % 6)})
    total = "13.13" if number % 5000 == 4999 else f"{number % 900}.50"
    return number + 1, number % 500 + 1, total, ",".join(map(str, tags))


SKIPPED = ROWS // 5000


@pytest.fixture
def project(tmp_path: Path, target_environment: dict[str, str]) -> Project:
    legacy = tmp_path / "legacy.sqlite3"
    build(legacy)
    source = {"legacy": {"ENGINE": "sqlite", "NAME": str(legacy)}}
    return make_project(
        tmp_path, target_environment, spec=SPEC, settings=[f"DATA_MIGRATION_SOURCES = {source!r}"]
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
        "tags": list(Tag.objects.order_by("pk").values_list()),
        "customers": list(Customer.objects.order_by("pk").values_list()),
        "orders": list(Order.objects.order_by("pk").values_list()),
        "joins": sorted(Order.tags.through.objects.values_list("order_id", "tag_id")),
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
