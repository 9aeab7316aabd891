"""A step in ranges, worked on in this process: what comes of every kind of row and fault."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from data_migration import Migration
from data_migration.exceptions import DataMigrationError, SourceError, SpecError, StepFailed
from data_migration.ledger import Ledger
from data_migration.ledger.claims import claim_range
from data_migration.models import (
    MigrationState,
    RowError,
    RowLink,
    Run,
    RunLock,
    RunStep,
    StepRange,
)
from data_migration.options import MaxErrors, RunOptions
from data_migration.outcomes import Mode, OnError, RunStatus
from data_migration.plan.graph import build_plan
from data_migration.run.runner import Import, run_import
from data_migration.workers import execute_range, range_reading, worker
from tests.apps.ledger.models import Customer
from tests.support.engine import Row, label_of, over, statements
from tests.support.person import Person

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite takes one writer at a time"),
]

Share = Callable[..., Import]


class CustomerMigration(Migration):
    model = Customer
    legacy_key = "nr"
    column_description: dict[str, Any] = {}

    def hook_before_transformation(self, row: dict[str, Any]) -> None:
        for column in ("nr", "part"):
            row.pop(column, None)

    def hook_error_creating_instance(self, exception: Exception, row: dict[str, Any]) -> None:
        pass


class Pairs(CustomerMigration):
    legacy_key = ("nr", "part")


def customers(keys: Sequence[Any]) -> list[Row]:
    return [{"nr": key, "name": f"customer {key}"} for key in keys]


def enqueue(number: int) -> None:
    execute_range(number, "default")


@pytest.fixture
def share(monkeypatch: pytest.MonkeyPatch) -> Share:
    """``share(migration, rows, ...)`` runs it in ranges, one after the other."""

    def run(cls: type[Migration], rows: Sequence[Row], **options: Any) -> Import:
        spec = over(cls, rows)
        monkeypatch.setattr(worker, "discover", lambda: {label_of(spec): spec})
        given = {"workers": 2, "enqueue": enqueue, "batch_size": 5, **options}
        asked = RunOptions(mode=Mode.COMMIT, **{"on_error": OnError.CONTINUE, **given})
        return run_import(build_plan({label_of(spec): spec}), asked, Ledger("default"))

    return run


def alone(share: Share, cls: type[Migration], rows: Sequence[Row], **options: Any) -> Import:
    return share(cls, rows, workers=1, enqueue=None, **options)


def found() -> dict[str, Any]:
    rows = RowError.objects.order_by("row_number", "key", "cause")
    return {
        "objects": sorted(Customer.objects.values_list("name", "email")),
        "links": sorted(RowLink.objects.values_list("key", "kind", "unsettled")),
        "messages": list(rows.values_list("kind", "row_number", "key", "cause", "is_open")),
        "counts": RunStep.objects.latest("pk").counts(),
        "status": RunStep.objects.latest("pk").status,
        "states": list(MigrationState.objects.values_list("is_read", "pass_run")),
    }


def clear() -> None:
    for model in (Customer, RowLink, RowError, StepRange, RunStep, MigrationState):
        model._base_manager.all()._raw_delete("default")
    Run.objects.all().delete()


NUMBERS = [*range(1, 61), *range(1000, 1030)]


@pytest.mark.parametrize(
    "keys",
    [
        NUMBERS,
        [*range(-30, 31), None, None, None],
        [1, 2, 2, 2, *range(3, 40), 40, 40],
        [f"key {number:03}" for number in range(50)] + ["zähe", None],
    ],
    ids=["gaps", "null", "repeated", "text"],
)
def test_ranges_leave_what_one_process_leaves(share: Share, keys: list[Any]) -> None:
    rows = customers(keys)
    rows[7] = {**rows[7], "name": "x" * 100}
    alone(share, CustomerMigration, rows)
    expected = found()
    clear()

    done = share(CustomerMigration, rows)

    assert done.error is None
    assert done.steps[0].split_into > 2
    assert found() == expected
    assert expected["counts"]["failed"] >= 1


def test_a_key_of_two_columns_is_split_where_the_first_one_changes(share: Share) -> None:
    rows = [
        {"nr": number, "part": part, "name": f"{number}/{part}"}
        for number in range(1, 9)
        for part in range(number * 3)
    ]
    alone(share, Pairs, rows)
    expected = found()
    clear()

    done = share(Pairs, rows)

    assert done.steps[0].split_into > 2
    assert found() == expected


def test_ranges_of_new_rows_look_for_no_links(share: Share) -> None:
    with statements() as seen:
        share(CustomerMigration, customers(range(1, 101)))
    looks = [sql for sql in seen.starting("SELECT", table=RowLink) if "key_hash" in sql]
    assert looks == []
    assert Customer.objects.count() == 100


def interrupted_after_a_batch(
    monkeypatch: pytest.MonkeyPatch, share: Share, rows: list[Row]
) -> tuple[Import, list[str]]:
    """Every range is let go after each batch, and called again."""
    statuses: list[str] = []

    def step_by_step(number: int) -> None:
        status = "pending"
        while status == "pending":
            status = execute_range(number, "default", should_stop=lambda: True)
            statuses.append(status)

    return share(CustomerMigration, rows, enqueue=step_by_step), statuses


def test_a_range_goes_on_behind_the_last_key_that_was_committed(
    share: Share, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = customers([1, 2, 2, 3, *range(4, 40), 40, 40, 41])
    alone(share, CustomerMigration, rows)
    expected = found()
    clear()

    _, statuses = interrupted_after_a_batch(monkeypatch, share, rows)

    assert statuses.count("pending") > 4
    assert found() == expected


def test_a_range_is_worked_on_once_however_often_it_is_called(share: Share) -> None:
    again: list[str] = []

    def twice(number: int) -> None:
        execute_range(number, "default")
        again.append(execute_range(number, "default"))

    share(CustomerMigration, customers(NUMBERS), enqueue=twice)

    assert set(again) == {"not waiting"}
    assert Customer.objects.count() == len(NUMBERS)


def test_a_worker_with_another_spec_refuses(share: Share, monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(CustomerMigration):
        def hook_before_save(self, instance: Any, row: Any) -> None:
            instance.email = "x"

    def elsewhere(number: int) -> None:
        spec = over(Other, customers(NUMBERS))
        monkeypatch.setattr(worker, "discover", lambda: {"shop.CustomerMigration": spec})
        enqueue(number)

    done = share(CustomerMigration, customers(NUMBERS), enqueue=elsewhere)

    assert isinstance(done.error, SpecError)
    assert "the spec of this worker is another one" in done.steps[0].error
    monkeypatch.setattr(worker, "discover", dict)
    done = share(
        CustomerMigration,
        customers(NUMBERS),
        enqueue=lambda number: monkeypatch.setattr(worker, "discover", dict) or enqueue(number),
    )
    assert "this worker has no such migration" in done.steps[0].error


@pytest.mark.parametrize("kind", [SourceError, RuntimeError])
def test_what_ends_a_range_ends_the_step_as_if_it_had_happened_here(
    share: Share, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    def broken(batches: Any, column: str) -> Any:
        raise kind("no more rows")

    monkeypatch.setattr(range_reading, "whole_groups", broken)
    done = share(CustomerMigration, customers(NUMBERS))

    assert isinstance(done.error, SourceError if kind is SourceError else DataMigrationError)
    assert "no more rows" in str(done.error)
    assert done.steps[0].status == "failed"
    statuses = set(StepRange.objects.values_list("status", flat=True))
    assert statuses <= {"failed", "interrupted"}
    assert claim_range(StepRange.objects.first().pk, database="default") is None


def test_a_hook_that_calls_sys_exit_ends_the_step_and_no_worker(share: Share) -> None:
    class Exits(CustomerMigration):
        def hook_before_save(self, instance: Any, row: dict[str, Any]) -> None:
            sys.exit("disk full")

    done = share(Exits, customers(NUMBERS))

    assert isinstance(done.error, StepFailed)
    assert ": sys.exit() was called, with: disk full. What was committed" in str(done.error)
    assert done.steps[0].status == "failed"


def test_more_failures_than_allowed_are_noticed_over_all_ranges(share: Share) -> None:
    rows = [{**row, "name": "x" * 100} for row in customers(range(1, 61))]
    done = share(CustomerMigration, rows, max_errors=MaxErrors(count=12))

    assert "13 rows failed, more than --max-errors 12 allows" in str(done.error)
    assert done.steps[0].failed == 13


def test_a_queue_that_cannot_be_reached_ends_the_step(share: Share) -> None:
    def refuse(number: int) -> None:
        raise ConnectionError("no broker")

    done = share(CustomerMigration, customers(NUMBERS), enqueue=refuse)

    assert "ConnectionError: no broker" in done.steps[0].error
    assert set(StepRange.objects.values_list("status", flat=True)) == {"interrupted"}
    assert alone(share, CustomerMigration, customers(NUMBERS)).error is None
    assert Customer.objects.count() == len(NUMBERS)


class Changed(CustomerMigration):
    def hook_before_save(self, instance: Any, row: dict[str, Any]) -> None:
        instance.email = "new"


Changed.__name__ = CustomerMigration.__name__


@pytest.mark.parametrize(
    ("following", "options", "read"),
    [
        (CustomerMigration, {}, len(NUMBERS) - 33),
        (CustomerMigration, {"update": True}, len(NUMBERS) - 33),
        (Changed, {}, len(NUMBERS) - 33),
    ],
    ids=["same", "other options", "other spec"],
)
def test_a_run_goes_on_with_the_ranges_of_the_one_before_where_they_fit(
    share: Share, following: type[Migration], options: dict[str, Any], read: int
) -> None:
    called: list[int] = []

    def only_three(number: int) -> None:
        called.append(number)
        if len(called) > 3:
            raise ConnectionError("no broker")
        enqueue(number)

    share(CustomerMigration, customers(NUMBERS), enqueue=only_three)
    assert Customer.objects.count() == 33
    step = share(following, customers(NUMBERS), **options).steps[0]

    claims = list(step.ranges.order_by("number").values_list("claims", flat=True))
    goes_on = following is CustomerMigration and not options
    assert claims == [0 if goes_on and number < 3 else 1 for number in range(8)]
    assert (step.read, step.passed) == (read, 33)
    assert Customer.objects.count() == len(NUMBERS)


def test_a_third_run_goes_on_with_the_ranges_of_the_second(share: Share) -> None:
    called: list[int] = []

    def three_more(number: int) -> None:
        called.append(number)
        if len(called) % 4 == 0:
            raise ConnectionError("no broker")
        enqueue(number)

    for _ in range(2):
        share(CustomerMigration, customers(NUMBERS), enqueue=three_more)
    step = share(CustomerMigration, customers(NUMBERS)).steps[0]

    claims = list(step.ranges.order_by("number").values_list("claims", flat=True))
    assert claims == [0] * 6 + [1] * 2
    assert Customer.objects.count() == len(NUMBERS)


def test_few_rows_are_read_here(share: Share) -> None:
    done = share(CustomerMigration, customers([1, 2, 3]))

    assert Customer.objects.count() == 3
    assert done.steps[0].split_into == 0
    assert "read by one process, because it has 3 rows" in done.steps[0].split_reason


def test_a_rehearsal_is_not_split(share: Share, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = over(CustomerMigration, customers(NUMBERS))
    asked = RunOptions(workers=2, enqueue=enqueue, batch_size=5)
    done = run_import(build_plan({label_of(spec): spec}), asked, Ledger("default"))

    assert (done.steps[0].split_into, done.steps[0].created) == (0, len(NUMBERS))
    assert not Customer.objects.exists()


def test_an_edit_while_a_range_is_updated_comes_after_it(share: Share) -> None:
    share(CustomerMigration, customers(range(1, 61)))
    person = Person(lambda: Customer.objects.filter(name="customer 31").update(email="mine"))

    def hook_before_save(self: Any, instance: Customer, row: Row) -> None:
        if instance.name == "customer 31":
            person()

    updates = {"allow_updates": True, "hook_before_save": hook_before_save}
    spec = type("CustomerMigration", (CustomerMigration,), updates)
    rows = [{**row, "email": "new"} for row in customers(range(1, 61))]
    done = share(spec, rows)

    assert (done.error, done.steps[0].updated) == (None, 60)
    assert person.did() == 1
    assert Customer.objects.get(name="customer 31").email == "mine"


@pytest.mark.parametrize("fails", [3, 31, 59])
def test_the_counts_of_an_update_that_was_broken_off_and_gone_on_with_add_up(
    share: Share, fails: int
) -> None:
    updates = {
        "allow_updates": True,
        "hook_before_save": lambda self, instance, row: row["name"] != "skip",
        "hook_error_creating_instance": Migration.hook_error_creating_instance,
    }
    spec = type("CustomerMigration", (CustomerMigration,), updates)
    rows = customers(range(1, 61))
    for number in (10, 40):
        rows[number] = {**rows[number], "name": "skip"}
    share(spec, rows)
    for number in (5, 20, 50):
        rows[number] = {**rows[number], "name": "new"}
    good = rows[fails]
    rows[fails] = {**good, "name": "x" * 100}
    broken = share(spec, rows, on_error=OnError.STOP).steps[0]
    rows[fails] = {**good, "name": "mended"}
    last = share(spec, rows).steps[0]

    assert (broken.status, broken.failed, last.status) == ("failed", 1, "done")
    sums = {name: value + last.counts()[name] for name, value in broken.counts().items()}
    assert (sums["updated"], sums["unchanged"], sums["skipped"]) == (4, 54, 2)


def test_what_a_dead_coordinator_did_not_count_is_counted_by_the_run_that_takes_over(
    share: Share,
) -> None:
    share(CustomerMigration, customers(range(1, 61)))
    step = RunStep.objects.get()
    long_ago = timezone.now() - timedelta(hours=1)
    Run.objects.update(status=RunStatus.RUNNING, host="elsewhere", heartbeat=long_ago)
    RunStep.objects.update(status=RunStatus.RUNNING, read=7, created=7)
    RunLock.objects.update(run=step.run)

    share(CustomerMigration, customers(range(1, 61)))

    step.refresh_from_db()
    assert (step.status, step.read, step.created) == ("interrupted", 60, 60)


@pytest.mark.skipif(connection.vendor != "mysql", reason="modes are MySQL's")
def test_a_worker_is_strict_where_the_server_is_not(share: Share) -> None:
    def own_mode() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SELECT @@SESSION.sql_mode")
            return str(cursor.fetchone()[0])

    before = own_mode()
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = ''")
    try:
        rows = customers(range(40))
        rows[7] = {"nr": 7, "name": "x" * 41}
        share(CustomerMigration, rows)
        assert own_mode() == ""
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION sql_mode = %s", [before])

    assert Customer.objects.count() == 39
    assert list(RowError.objects.values_list("key", "column")) == [("7", "name")]
