"""Tables and documents, without a database; the commands' tests show them in use."""

from __future__ import annotations

import datetime as dt

from data_migration.models import Run, RunStep
from data_migration.reports import migrations as report

STARTED = dt.datetime(2026, 3, 1, 11, 30, tzinfo=dt.UTC)


def step(**fields: object) -> RunStep:
    defaults = {"migration": "shop.CustomerMigration", "run": Run(pk=7), "started_at": STARTED}
    return RunStep(**{**defaults, **fields})


def test_the_closing_table_is_that_of_the_contract() -> None:
    steps = [
        step(read=1204, created=1204, seconds=0.44),
        step(migration="shop.OrderMigration", read=10, created=3, updated=2, unchanged=1,
             skipped=3, failed=1, warnings=12, seconds=71.06),
    ]  # fmt: skip

    assert report.closing_table(steps) == (
        "Migration               read  created  updated  unchanged  skipped  failed  warnings"
        "   time\n"
        "shop.CustomerMigration  1204     1204        0          0        0       0         0"
        "   0.4s\n"
        "shop.OrderMigration       10        3        2          1        3       1        12"
        "  71.1s\n"
        "Total                   1214     1207        2          1        3       1        12"
        "  71.5s"
    )


def test_no_line_of_a_table_ends_in_spaces() -> None:
    text = report.table(["A", "B"], [["long text", ""], ["x", "y"]], text_columns=2)

    assert text == "A          B\nlong text\nx          y"


def test_only_rows_that_are_written_one_by_one_need_a_reason() -> None:
    steps = [
        step(writer="bulk", writer_reason="nothing on the model needs save()"),
        step(
            migration="shop.OrderMigration", writer="save", writer_reason="Order overrides save()"
        ),
    ]

    assert report.writers(steps) == [
        "shop.OrderMigration: written with save, because Order overrides save()."
    ]


def test_a_limit_that_left_rows_unread_is_told_with_the_way_to_the_rest() -> None:
    cut = step(read=5, status="partial", has_key=True)
    other = step(migration="shop.TagMigration", read=5, status="partial", has_key=True)
    keyless = step(migration="shop.LogMigration", read=5, status="partial")
    whole = step(migration="shop.OrderMigration", read=4, status="done", has_key=True)
    failed = step(migration="shop.ItemMigration", read=5, status="failed", has_key=True)

    assert report.afterwords([cut, other, keyless, whole, failed], 5) == [
        "Only the first 5 rows of each query were read (--limit): shop.CustomerMigration,"
        " shop.TagMigration. The same command without --limit goes on there.",
        "Only the first 5 rows of each query were read (--limit): shop.LogMigration. Without a"
        " legacy key they can be committed only as a whole, without --limit.",
    ]
    assert report.afterwords([cut], None) == []
    assert report.afterwords([whole], 5) == []


def test_rows_that_were_done_before_count_as_read_where_a_limit_is_told() -> None:
    cut = step(read=3, passed=2, status="partial", has_key=True)

    assert report.afterwords([cut], 5) == [
        "shop.CustomerMigration: 2 rows had been done by earlier runs.",
        "Only the first 5 rows of each query were read (--limit): shop.CustomerMigration. The same"
        " command without --limit goes on there.",
    ]
    assert report.afterwords([step(passed=1)], None) == [
        "shop.CustomerMigration: 1 row had been done by earlier runs."
    ]


def test_what_was_removed_is_told() -> None:
    (sentence,) = report.afterwords([step(removed=3)], None)
    assert sentence == "shop.CustomerMigration: deleted 3, gone from the legacy database."


def test_seconds_in_json_are_rounded_to_milliseconds() -> None:
    assert report.step_document(step(seconds=1.23456))["seconds"] == 1.235
