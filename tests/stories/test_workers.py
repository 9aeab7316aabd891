"""A step in ranges by real processes: the same end as one process, whoever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models import Sum

from data_migration.models import (
    DeferredRelation,
    MigrationState,
    RowError,
    RowLink,
    Run,
    RunStep,
    StepRange,
)
from tests.apps.ledger.models import Customer, Order, Tag
from tests.apps.library.testing import Project, Result, make_project
from tests.support.legacy import sqlite
from tests.support.orders import new_shop
from tests.support.waiting import PATIENCE, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite takes one writer at a time"),
]

ROWS = 6_000
TAGS = 40
BAD = {777, 2500, 5999}

SPEC = """
import os, signal, time
from data_migration import BaseMigration, is_a
from tests.apps.ledger.models import Customer, Order, Tag

KILL_AT = os.environ.get("KILL_AT", "")
ONCE = os.environ.get("KILL_FILE", "")


class TagMigration(BaseMigration):
    query = "SELECT id, name FROM tags"
    model = Tag


class CustomerMigration(BaseMigration):
    query = "SELECT id, name, email FROM customers"
    model = Customer


class OrderMigration(BaseMigration):
    query = "SELECT id, customer, total, tags FROM orders ORDER BY id"
    model = Order
    batch_size = 250
    split = True
    column_description = {
        "customer": is_a(Customer, search_attr="id", fk=True),
        "tags": is_a(Tag, search_attr="id", m2m=True, delimiter=","),
    }

    def hook_before_all(self):
        print("before all", flush=True)

    def hook_before_save(self, instance, row):
        time.sleep(float(os.environ.get("PAUSE", "0")))
        if str(instance.pk) == KILL_AT and not os.path.exists(ONCE):
            open(ONCE, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return row["total"] != "13.13"

    def hook_after_save(self, instance, row):
        # Two ranges, each of which locks first what the other one locks last, and goes on when the
        # other has its first. The customers are those of its own batch, which no other one holds.
        pair = {"100": (1, 300), "800": (300, 1)}.get(str(instance.pk))
        if pair and "DEADLOCK" in os.environ:
            for number in pair:
                Customer.objects.filter(pk=number).update(email="locked")
                open(f"{ONCE}-{instance.pk}", "w").close()
                while not all(os.path.exists(f"{ONCE}-{each}") for each in (100, 800)):
                    time.sleep(0.01)

    def hook_after_all(self):
        print("after all", flush=True)

    def hook_error_creating_instance(self, exception, row):
        if os.environ.get("ON_ERROR") == "raise":
            raise exception
"""


def build(path: Path, rows: int = ROWS) -> None:
    with closing(sqlite(path)) as database, database:
        database.executescript(
            "CREATE TABLE tags (id INTEGER PRIMARY KEY, name TEXT);"
            "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, email TEXT);"
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER, total TEXT, tags TEXT)"
        )
        tags = ((n, f"tag {n}") for n in range(1, TAGS + 1))
        database.executemany("INSERT INTO tags VALUES (?, ?)", tags)
        customers = ((n, f"customer {n}", f"{n}@example.org") for n in range(1, 501))
        database.executemany("INSERT INTO customers VALUES (?, ?, ?)", customers)
        database.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", map(order, range(rows)))


def order(number: int) -> tuple[int, int, str, str]:
    key = number + 1
    tags = sorted({number * step % TAGS + 1 for step in range(1, number % 6)})
    total = "13.13" if number % 1000 == 999 else f"{number % 900}.50"
    total = "a lot" if key in BAD else total
    return key, number % 500 + 1, total, ",".join(map(str, tags))


@pytest.fixture
def project(tmp_path: Path, target_environment: dict[str, str]) -> Project:
    return new_project(tmp_path, target_environment)


def new_project(
    tmp_path: Path, target_environment: dict[str, str], spec: str = SPEC, rows: int = ROWS
) -> Project:
    legacy = tmp_path / "legacy.sqlite3"
    build(legacy, rows)
    source = {"legacy": {"ENGINE": "sqlite", "NAME": str(legacy)}}
    return make_project(
        tmp_path,
        {**target_environment, "KILL_FILE": str(tmp_path / "killed")},
        spec=spec,
        settings=[
            f"DATA_MIGRATION_SOURCES = {source!r}",
            "DATA_MIGRATION_HEARTBEAT_INTERVAL = 0.2",
        ],
    )


def run(project: Project, *options: str, **variables: str) -> Result:
    return Project(project.folder, {**project.environment, **variables}).run(
        *("migrate_legacy", "job", "--commit", "--no-progress", *options)
    )


def start(project: Project, *options: str, **variables: str) -> subprocess.Popen[str]:
    return Project(project.folder, {**project.environment, **variables}).start(
        *("migrate_legacy", "job", "--commit", "--no-progress", *options)
    )


def contents() -> dict[str, Any]:
    """Every row of the target, what the ledger links it to, and what it says of rows."""
    return {
        **new_shop(),
        "links": sorted(
            (
                tuple(map(str, each))
                for each in RowLink.objects.values_list(
                    *("migration__label", "key", "object_pk", "kind", "unsettled"),
                    *("checksum", "written"),
                )
            ),
        ),
        "open": sorted(open_messages()),
        "states": list(
            MigrationState.objects.order_by("label").values_list(
                "label", "is_read", "pass_run", "layouts"
            )
        ),
    }


def open_messages() -> list[tuple[Any, ...]]:
    rows = RowError.objects.filter(is_open=True)
    return list(rows.values_list("kind", "row_number", "key", "column", "value", "cause"))


def step() -> RunStep:
    return RunStep.objects.filter(migration="job.OrderMigration").latest("pk")


def counts(**conditions: Any) -> dict[str, int]:
    """The counts of the orders over all runs."""
    steps = RunStep.objects.filter(migration="job.OrderMigration", **conditions)
    return {name: sum(each.counts()[name] for each in steps) for name in step().counts()}


def clear() -> None:
    tables = (Order.tags.through, Order, Customer, Tag, RowLink, RowError, StepRange, RunStep)
    for model in (*tables, MigrationState):
        model._base_manager.all()._raw_delete("default")
    Run.objects.all().delete()


#: What one process leaves, when a test has asked for it: the same for all of them.
_EXPECTED: dict[str, Any] = {}


@pytest.fixture
def expected(project: Project) -> dict[str, Any]:
    """What one process leaves."""
    if _EXPECTED:
        return _EXPECTED
    one = run(project, "--on-error", "continue")
    assert one.code == 1, one.err
    _EXPECTED.update(contents=contents(), counts=counts())
    assert _EXPECTED["counts"]["failed"] == len(BAD)
    assert _EXPECTED["counts"]["created"] == ROWS - len(BAD) - ROWS // 1000
    clear()
    return _EXPECTED


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(each) for each in path.read_text().split()]


def is_there(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# ---------------------------------------------------------------- the same end


def test_workers_leave_what_one_process_leaves(project: Project, expected: dict[str, Any]) -> None:
    shared = run(project, "--on-error", "continue", "--workers", "2")

    assert shared.code == 1, shared.err
    assert contents() == expected["contents"]
    assert counts() == expected["counts"]
    assert shared.out.count("before all") == shared.out.count("after all") == 1
    assert "job.OrderMigration: read in 8 ranges of 'id' by 2 processes." in shared.out
    assert "job.TagMigration: read by one process, because it has 40 rows" in shared.out
    ranges = list(step().ranges.order_by("number"))
    assert {each.status for each in ranges} == {"done"}
    assert len({each.process for each in ranges}) == 2
    assert sum(each.read for each in ranges) == ROWS
    assert [each.total for each in ranges] == [ROWS // 8] * 8
    again = run(project, "--workers", "2")
    assert counts(run=Run.objects.latest("pk"))["passed"] == ROWS - len(BAD), again.out


def test_a_worker_that_is_killed_is_replaced_and_its_range_gone_on_with(
    project: Project, expected: dict[str, Any]
) -> None:
    shared = run(project, "--on-error", "continue", "--workers", "2", KILL_AT="2801")

    assert shared.code == 1, shared.err
    assert (project.folder / "killed").exists()
    assert contents() == expected["contents"]
    assert counts() == expected["counts"]
    assert sorted(step().ranges.values_list("claims", flat=True)) == [1] * 7 + [2]


@pytest.mark.once
def test_a_coordinator_that_is_killed_takes_its_workers_along_and_the_next_run_goes_on(
    project: Project, expected: dict[str, Any]
) -> None:
    process = start(project, "--on-error", "continue", "--workers", "2", PAUSE="0.002")
    wait_until(lambda: Order.objects.count() > 2200, process)
    workers = workers_of(process)
    assert len(workers) == 2
    process.kill()
    process.wait()
    wait_until(lambda: not any(map(is_there, workers)))
    process.communicate()
    died = step()
    done = died.ranges.filter(status="done", failed=0).values_list("number", flat=True)
    assert died.current_status == "interrupted"
    sums = died.ranges.aggregate(read=Sum("read"), created=Sum("created"), failed=Sum("failed"))
    assert sums == {name: died.counts()[name] for name in sums}

    last = run(project, "--on-error", "continue", "--workers", "2")

    assert last.code == 1, last.err
    assert contents() == expected["contents"]
    assert Run.objects.latest("pk").status == "partial"
    first, second = died.ranges, step().ranges
    assert done
    for number in done:
        assert second.get(number=number).claims == 0
        assert second.get(number=number).passed == first.get(number=number).read
    for name in ("created", "updated", "unchanged", "skipped"):
        assert counts()[name] == expected["counts"][name]
    handled = [each.read + each.passed for each in second.all()]
    assert handled == [ROWS // 8] * 8


def test_ranges_that_wait_for_each_other_go_on_one_after_the_other(
    project: Project, expected: dict[str, Any]
) -> None:
    shared = run(project, "--on-error", "continue", "--workers", "2", DEADLOCK="1")

    assert shared.code == 1, shared.err
    assert counts() == expected["counts"]
    assert contents()["orders"] == expected["contents"]["orders"]
    assert sum(step().ranges.values_list("claims", flat=True)) > 8


@pytest.mark.once
def test_a_worker_that_is_told_to_end_lets_its_range_go(
    project: Project, expected: dict[str, Any]
) -> None:
    process = start(project, "--on-error", "continue", "--workers", "2", PAUSE="0.002")
    wait_until(lambda: Order.objects.count() > 1000, process)
    os.kill(workers_of(process)[0], signal.SIGTERM)
    err = process.communicate(timeout=PATIENCE)[1]

    assert process.returncode == 1, err
    assert contents() == expected["contents"]
    assert counts() == expected["counts"]


@pytest.mark.once
def test_what_was_rolled_back_meanwhile_is_read_again(
    project: Project, expected: dict[str, Any]
) -> None:
    process = start(project, "--on-error", "continue", "--workers", "2", PAUSE="0.002")
    clean = StepRange.objects.filter(status="done", failed=0, lower__isnull=False)
    wait_until(lambda: clean.exists(), process)
    process.kill()
    process.communicate()
    done = clean.first()
    assert done is not None
    undone = project.run(
        "rollback_legacy", "job.OrderMigration", "--keys", str(done.lower), "--no-input"
    )
    assert undone.code == 0, undone.err

    last = run(project, "--on-error", "continue", "--workers", "2")

    assert last.code == 1, last.err
    assert contents()["orders"] == expected["contents"]["orders"]


@pytest.mark.once
def test_ctrl_c_ends_every_worker_after_its_batch(project: Project) -> None:
    process = start(project, "--on-error", "continue", "--workers", "2", PAUSE="0.002")
    wait_until(lambda: Order.objects.count() > 1200, process)
    workers = workers_of(process)
    process.send_signal(signal.SIGINT)
    for number in workers:
        os.kill(number, signal.SIGINT)  # as a terminal does it
    err = process.communicate(timeout=PATIENCE)[1]

    assert process.returncode == 1, err
    assert "job.OrderMigration was stopped. What was committed before is kept" in err
    assert step().status == "interrupted"
    assert 1200 < Order.objects.count() < ROWS
    assert step().created == Order.objects.count()
    assert "running" not in set(step().ranges.values_list("status", flat=True))
    assert not any(map(is_there, workers))


@pytest.mark.once
def test_a_failed_row_ends_all_ranges_where_it_is_to_stop(project: Project) -> None:
    result = run(project, "--workers", "2", ON_ERROR="raise")

    assert result.code == 1
    assert "column total, value 'a lot'" in result.err
    assert "What was committed before is kept; the same command goes on there." in result.err
    assert step().status == "failed"
    assert step().failed >= 1
    assert Order.objects.count() == step().created < ROWS - 10


@pytest.mark.once
def test_more_failures_than_max_errors_end_the_run(project: Project) -> None:
    result = run(project, "--workers", "2", "--max-errors", "2")

    assert result.code == 1
    assert "more than --max-errors 2 allows" in result.err
    assert step().status == "failed"


def test_an_update_compares_and_changes_like_one_process(project: Project) -> None:
    assert run(project, "--on-error", "continue", "--workers", "2").code == 1
    with closing(sqlite(project.folder / "legacy.sqlite3")) as legacy, legacy:
        legacy.execute("UPDATE orders SET total = '7.77' WHERE id % 10 = 0")
        legacy.execute("UPDATE orders SET total = '1.00' WHERE total = 'a lot'")

    result = run(project, "--update", "--workers", "2")

    assert result.code == 0, result.err
    found = step()
    assert found.split_into == 8
    # Of the tenths one had failed, and those that had been skipped are no longer.
    skipped = ROWS // 1000
    assert (found.read, found.created, found.failed) == (ROWS, len(BAD) + skipped, 0)
    assert found.updated == ROWS // 10 - skipped - 1
    assert found.unchanged == ROWS - found.updated - found.created
    assert open_messages() == []


@pytest.mark.once
def test_a_target_that_failed_is_waited_for_by_every_range(
    tmp_path: Path, target_environment: dict[str, str]
) -> None:
    skipping = SPEC.replace('delimiter=","', 'delimiter=",", skip_missing=True')
    project = new_project(tmp_path, target_environment, skipping, rows=1500)
    with closing(sqlite(tmp_path / "legacy.sqlite3")) as legacy, legacy:
        legacy.execute("UPDATE tags SET name = NULL WHERE id = 7")
    run(project, "--workers", "2", "--on-error", "continue")
    assert step().split_into > 1
    wanted = {
        key: {int(tag) for tag in tags.split(",") if tag}
        for key, _, _, tags in map(order, range(1500))
        if Order.objects.filter(pk=key).exists()
    }
    waiting = [key for key, tags in wanted.items() if 7 in tags]
    assert DeferredRelation.objects.count() == step().warnings == len(waiting) > 0
    with closing(sqlite(tmp_path / "legacy.sqlite3")) as legacy, legacy:
        legacy.execute("UPDATE tags SET name = 'tag 7' WHERE id = 7")
    run(project, "--workers", "2", "--on-error", "continue")
    joins = Order.tags.through.objects.values_list("order_id", "tag_id")
    assert set(joins) == {(key, tag) for key, tags in wanted.items() for tag in tags}
    assert not DeferredRelation.objects.exists()
