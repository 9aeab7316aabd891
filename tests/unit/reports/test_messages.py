"""Messages as people read them in a terminal, and how much it costs to tell many of them."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db import connection

from data_migration.ledger.messages import messages_of
from data_migration.ledger.queue import this_process
from data_migration.models import MigrationState, RowError, Run, RunStep
from data_migration.reports import messages as report
from data_migration.rows.keys import identify

pytestmark = pytest.mark.django_db

LABEL = "shop.OrderMigration"


def a_step(mode: str = "commit") -> RunStep:
    run = Run.objects.create(status="done", mode=mode, **this_process())
    return RunStep.objects.create(
        run=run, position=1, migration=LABEL, status="done", started_at=run.started_at
    )


def tell(step: RunStep, *keys: Any, **fields: Any) -> None:
    state, _ = MigrationState.objects.get_or_create(label=LABEL)
    told = {"kind": "failure", "column": "price", "value": "'n/a'", "is_open": True, **fields}
    told = {"cause": "“n/a” value must be a decimal number.", "pattern": "“…” value", **told}
    RowError.objects.bulk_create(
        RowError(
            step=step,
            migration=state,
            row_number=number,
            key=identify(key)[1],
            key_hash=uuid.UUID(identify(key)[0]),
            **told,
        )
        for number, key in enumerate(keys, start=1)
    )


def by_cause(width: int | None = None) -> list[str]:
    return list(report.by_cause(RowError.objects.all(), width))


def one_by_one(width: int | None = None) -> list[str]:
    return list(report.one_by_one(RowError.objects.all(), width))


def test_no_line_is_wider_than_the_terminal() -> None:
    step = a_step()
    tell(step, 1, 2, cause=f"the text is {'very ' * 40}long", pattern=f"the text {'very ' * 40}")
    tell(step, 3, value=f"'{'x' * 200}'", kind="warning", is_open=False)

    assert by_cause(80)[:5] == [
        "shop.OrderMigration",
        "  2 failures (2 open), price: the text is very very very very very very very",
        "    very very very very very very very very very very very very very very very",
        "    very very very very very very very very very very very very very very very",
        "    very very very long",
    ]
    assert one_by_one(80)[:3] == [
        "shop.OrderMigration: failure, key 1, price = 'n/a'",
        "  the text is very very very very very very very very very very very very very",
        "    very very very very very very very very very very very very very very very",
    ]
    assert max(map(len, [*by_cause(80), *one_by_one(80)])) <= 80


def test_a_table_that_fits_is_a_table_in_the_order_of_the_rows() -> None:
    step = a_step()
    tell(step, 7, 8)
    RowError.objects.filter(key="7").update(row_number=9, column="")
    assert one_by_one(120) == [
        "Migration            Kind     Key  Column  Value  Cause",
        "shop.OrderMigration  failure  8    price   'n/a'  “n/a” value must be a decimal number.",
        "shop.OrderMigration  failure  7    -       'n/a'  “n/a” value must be a decimal number.",
    ]


def test_each_message_of_a_table_is_one_line() -> None:
    tell(a_step(), 1, cause="two\nlines", value="'" + "v" * 400)
    assert one_by_one()[1].endswith(f"  '{'v' * 58}…  two lines")


def test_a_cause_without_a_value_is_told_by_an_example() -> None:
    step = a_step()
    tell(step, 1, column="", value="", cause="Duplicate entry 'a'", pattern="Duplicate entry …")
    tell(step, 2, column="", value="", cause="Duplicate entry 'b'", pattern="Duplicate entry …")
    assert by_cause() == [
        LABEL,
        "  2 failures (2 open): Duplicate entry …",
        "    for example key 2: Duplicate entry 'b'",
    ]


def test_the_commonest_causes_alone_are_told() -> None:
    step = a_step()
    for number in range(report.CAUSES + 5):
        tell(step, 1, pattern=f"cause {number}")
    lines = by_cause()
    assert len(lines) == 1 + 2 * report.CAUSES + 1
    assert lines[-1] == "These are the 50 commonest causes; there are others."


@pytest.mark.skipif(connection.vendor != "sqlite", reason="counts the steps of SQLite")
def test_what_it_costs_grows_with_the_messages_and_not_with_their_square() -> None:
    def steps() -> int:
        taken: list[None] = []
        driver = connection.connection
        driver.set_progress_handler(lambda: taken.append(None), 1000)
        try:
            found = messages_of([LABEL], database="default")
            assert len(list(report.one_by_one(found))) == 1 + found.count()
        finally:
            driver.set_progress_handler(None, 0)
        return len(taken)

    first, rehearsal = a_step(), a_step("rehearsal")
    tell(first, *range(500))
    tell(rehearsal, *range(250, 750), is_open=False)
    few = steps()
    tell(first, *range(1000, 2500))
    tell(rehearsal, *range(1750, 3250), is_open=False)
    assert messages_of([LABEL], database="default").count() == 750 + 2250
    assert steps() < few * 8
