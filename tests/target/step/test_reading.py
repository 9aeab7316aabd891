"""Which rows a step reads: all of them, those since the high-water mark, or those that failed."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from data_migration.migration import Migration
from data_migration.models import RowError
from data_migration.outcomes import Mode, OnError
from data_migration.sources.marks import value_of_mark
from data_migration.spec.columns import is_a
from tests.apps.shop.models import Brand, Product
from tests.support.engine import (
    Result,
    Rows,
    migrate,
    migrate_fine,
    open_failures_of,
    state_of,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def brand() -> None:
    Brand.objects.create(code="acme")


def products(**attributes: Any) -> type[Migration]:
    described = {
        "brand": is_a(Brand, "code", fk=True),
        **{name: is_a(exclude=True) for name in ("nr", "land", "modified")},
    }
    defaults = {"model": Product, "legacy_key": "nr", "column_description": described}
    return type("ProductMigration", (Migration,), defaults | attributes)


def row(nr: Any, brand: str = "acme", **more: Any) -> dict[str, Any]:
    return {"nr": nr, "sku": f"s{nr!r}"[:20], "name": "x", "brand": brand, **more}


def read(result: Result) -> int:
    """How many rows came from the source."""
    return result.step.read + result.step.passed


class TestLimit:
    def test_the_next_run_goes_on_behind_it(self) -> None:
        migration = products()
        rows = [row(n) for n in range(5)]
        first = migrate(migration, rows, limit=2)
        assert (first.step.status, first.counts) == ("partial", {"created": 2})
        assert first.step.total == 2
        assert not state_of(migration).is_read
        second = migrate(migration, rows)
        assert (second.step.status, second.counts) == ("done", {"created": 3, "passed": 2})
        assert state_of(migration).is_read

    def test_rows_that_are_passed_over_count_too(self) -> None:
        migration = products()
        rows = [row(n) for n in range(5)]
        migrate(migration, rows, limit=2)
        assert migrate(migration, rows, limit=3).counts == {"created": 1, "passed": 2}

    @pytest.mark.parametrize("limit", [3, 4])
    def test_that_leaves_nothing_unread_is_a_whole_run(self, limit: int) -> None:
        result = migrate(products(), [row(n) for n in range(3)], limit=limit)
        assert result.step.status == "done"
        assert state_of(products()).is_read

    def test_it_is_partial_where_nobody_knows_how_many_rows_there_are(self) -> None:
        def hook_row_count(self: Any, connection: Any, cursor: Any) -> int:
            return -1

        migration = products(hook_row_count=hook_row_count)
        result = migrate(migration, [row(n) for n in range(3)], limit=3)
        assert (result.step.status, result.step.total) == ("partial", None)


class TestRetryFailed:
    def failed(self, migration: type[Migration], rows: Rows) -> list[str]:
        migrate(migration, rows)
        return open_failures_of(migration)

    @pytest.mark.parametrize(
        "keys",
        [
            (1, 2, 3, 4),
            ("a", "b", "c", "d"),
            ("01", "1", 1, "é"),
            (1.5, b"\x00\xff", "x' OR 1=1 --", "%s ? :a"),
        ],
    )
    def test_reads_the_failed_rows_alone(self, keys: tuple[Any, ...]) -> None:
        migration = products()
        bad = {keys[1], keys[3]}
        rows = [row(key, "nix" if key in bad else "acme") for key in keys]
        assert len(self.failed(migration, rows)) == 2
        rows = [row(key) for key in keys] + [row("never seen")]
        called = []

        def hook_before_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
            called.append(row["nr"])

        result = migrate_fine(products(hook_before_save=hook_before_save), rows, retry_failed=True)
        assert result.counts == {"created": 2}
        assert result.step.total == 2
        assert called == [keys[1], keys[3]]
        assert open_failures_of(migration) == []

    def test_finds_composite_keys(self) -> None:
        migration = products(legacy_key=("land", "nr"))
        keys = [("DE", "01"), ("DE", "1"), ("FR", "01"), ("FR", 1), ("é'", 1)]

        def rows(*bad: tuple[Any, Any]) -> Rows:
            return [
                row(nr, "nix" if (land, nr) in bad else "acme", land=land) | {"sku": f"s{place}"}
                for place, (land, nr) in enumerate(keys)
            ]

        assert self.failed(migration, rows(keys[0], keys[3], keys[4])) == [
            *('["DE", "01"]', '["FR", 1]', '["é\'", 1]')
        ]
        assert migrate(migration, rows(keys[3]), retry_failed=True).counts == {
            **{"created": 2, "failed": 1}
        }
        assert open_failures_of(migration) == ['["FR", 1]']

    def test_finds_keys_of_other_types(self) -> None:
        migration = products()
        keys = [dt.date(2024, 2, 29), dt.datetime(2024, 2, 29, 12, 30)]
        stored = [str(key) for key in keys]  # as SQLite gives them back
        assert len(self.failed(migration, [row(key, "nix") for key in stored])) == 2
        rows = [row(key) | {"sku": f"s{n}"} for n, key in enumerate(stored)]
        assert migrate_fine(migration, rows, retry_failed=True).counts == {"created": 2}

    def test_reads_more_of_them_than_fit_into_one_query(self) -> None:
        migration = products(batch_size=64)
        assert len(self.failed(migration, [row(n, "nix") for n in range(450)])) == 450
        rows = [row(n) for n in range(500)]
        assert migrate_fine(migration, rows, retry_failed=True).counts == {"created": 450}

    def test_says_which_are_gone_from_the_source(self) -> None:
        migration = products()
        self.failed(migration, [row(n, "nix") for n in range(3)])
        result = migrate(migration, [row(1)], retry_failed=True)
        assert result.counts == {"created": 1}
        assert result.warned == [
            "shop.ProductMigration: 2 failed rows are no longer in the legacy database; their"
            " failures are closed."
        ]
        assert open_failures_of(migration) == []

    def test_reads_those_of_the_named_messages_alone(self) -> None:
        migration = products()
        self.failed(migration, [row(n, "nix") for n in range(4)])
        chosen = RowError.objects.filter(key__in=["1", "3"]).values_list("pk", flat=True)
        result = migrate_fine(
            migration, [row(n) for n in range(4)], retry_failed=True, failures=tuple(chosen)
        )
        assert result.counts == {"created": 2}
        assert result.step.status == "partial"
        assert open_failures_of(migration) == ["0", "2"]

    def test_says_that_one_is_gone(self) -> None:
        migration = products()
        self.failed(migration, [row(1, "nix")])
        assert migrate(migration, [row(2)], retry_failed=True).warned == [
            "shop.ProductMigration: 1 failed row is no longer in the legacy database; its failure"
            " is closed."
        ]

    def test_with_a_limit_it_takes_the_first_ones(self) -> None:
        migration = products()
        self.failed(migration, [row(n, "nix") for n in range(5)])
        result = migrate_fine(migration, [row(n) for n in range(5)], retry_failed=True, limit=2)
        assert result.counts == {"created": 2}
        assert open_failures_of(migration) == ["2", "3", "4"]

    def test_updates_an_object_whose_update_failed(self) -> None:
        migration = products()
        migrate_fine(migration, [row(1), row(2)])
        migrate(migration, [row(1), row(2, "nix")], update=True)
        result = migrate_fine(migration, [row(1), row(2, name="new")], retry_failed=True)
        assert result.counts == {"updated": 1}
        assert Product.objects.get(sku="s2").name == "new"

    def test_of_nothing_reads_nothing(self) -> None:
        migration = products()
        migrate_fine(migration, [row(1)])
        result = migrate_fine(migration, [row(1), row(2)], retry_failed=True)
        assert (result.counts, result.step.status) == ({}, "done")

    def test_does_not_finish_what_was_not_read_to_its_end(self) -> None:
        migration = products(batch_size=1)
        rows = [row(1, "nix"), row(2), row(3)]
        migrate(migration, rows, on_error=OnError.STOP)
        migrate_fine(migration, [row(1), *rows[1:]], retry_failed=True)
        assert not state_of(migration).is_read
        assert migrate_fine(migration, [row(1), *rows[1:]]).counts == {"created": 2, "passed": 1}
        assert state_of(migration).is_read

    def test_rehearses_as_well(self) -> None:
        migration = products()
        self.failed(migration, [row(1, "nix"), row(2)])
        rows = [row(1), row(2)]
        result = migrate(migration, rows, retry_failed=True, mode=Mode.REHEARSAL)
        assert result.counts == {"created": 1}
        assert open_failures_of(migration) == ["1"]
        assert Product.objects.count() == 1

    def test_a_row_without_a_key_cannot_be_read_again(self) -> None:
        migration = products()
        migrate(migration, [row(None), row(2)])
        assert migrate(migration, [row(1), row(2)], retry_failed=True).counts == {}


class TestHighWater:
    """``modified`` grows with every change of a row."""

    def marked(self, **attributes: Any) -> type[Migration]:
        return products(**{"high_water": "modified", "allow_updates": True} | attributes)

    def rows(self, *marks: Any, **more: Any) -> Rows:
        return [row(n, modified=mark, **more) for n, mark in enumerate(marks, start=1)]

    def test_a_rerun_reads_what_is_at_or_above_the_mark(self) -> None:
        migration = self.marked()
        migrate_fine(migration, self.rows(10, 20, 30))
        assert value_of_mark(str(state_of(migration).high_water)) == 30
        changed = self.rows(10, 20, 30, 30, 31, name="new")
        result = migrate_incremental(migration, changed)
        # The second row with 30 came after the mark was taken, so equals are read again.
        assert (read(result), result.counts) == (3, {"created": 2, "updated": 1})
        assert result.step.total == 3
        assert value_of_mark(str(state_of(migration).high_water)) == 31

    def test_timestamps_of_text(self) -> None:
        migration = self.marked(high_water_lag=dt.timedelta(minutes=5))
        times = ["2024-01-01 10:00:00", "2024-01-01 10:56:00", "2024-01-01 11:00:00"]
        migrate_fine(migration, self.rows(*times))
        assert read(migrate_incremental(migration, self.rows(*times))) == 2

    def test_the_lag_reaches_below_the_mark(self) -> None:
        migration = self.marked(high_water_lag=10)
        migrate_fine(migration, self.rows(10, 20, 30))
        assert read(migrate_incremental(migration, self.rows(10, 20, 30))) == 2

    def test_full_reads_everything(self) -> None:
        migration = self.marked()
        migrate_fine(migration, self.rows(10, 20, 30))
        assert read(migrate_incremental(migration, self.rows(1, 2, 3), full=True)) == 3

    def test_without_updates_everything_is_read(self) -> None:
        migration = self.marked(allow_updates=False)
        migrate_fine(migration, self.rows(10, 20, 30))
        assert migrate_incremental(migration, self.rows(10, 20, 30)).counts == {"passed": 3}

    def test_an_interrupted_pass_is_read_from_its_beginning(self) -> None:
        migration = self.marked(batch_size=1)
        migrate(migration, self.rows(10, 20, 30), should_stop=lambda: True)
        assert state_of(migration).high_water is None
        result = migrate_fine(migration, self.rows(10, 20, 30))
        assert result.counts == {"created": 2, "passed": 1}

    def test_a_column_that_the_query_does_not_return_is_a_fault_of_the_spec(self) -> None:
        result = migrate(products(high_water="changed"), [row(1, modified=1)], all_rows=False)
        assert str(result.error) == (
            "shop.ProductMigration: high_water = 'changed' is no column of the query, which"
            " returns nr, sku, name, brand, modified."
        )

    def test_a_lag_that_does_not_fit_names_the_migration(self) -> None:
        migration = products(high_water="modified", allow_updates=True)
        migrate_fine(migration, [row(1, modified=1)])
        lagging = products(
            high_water="modified", allow_updates=True, high_water_lag=dt.timedelta(1)
        )
        result = migrate(lagging, [row(1, modified=1)], all_rows=False)
        assert str(result.error).startswith("shop.ProductMigration: high_water_lag = ")

    def test_the_end_of_a_pass_that_an_earlier_run_began_sets_no_mark(self) -> None:
        migration = products(high_water="modified")
        migrate(migration, [row(1, modified=1), row(2, modified=1)], limit=1)
        changed = {**row(1, modified=5), "name": "changed meanwhile"}
        rows = [changed, row(2, modified=9)]
        migrate_fine(migration, rows)
        assert state_of(migration).high_water is None
        assert migrate_fine(migration, rows, update=True).counts == {"updated": 1, "unchanged": 1}
        assert Product.objects.get(sku="s1").name == "changed meanwhile"

    def test_with_failed_rows_the_mark_stays_where_it_was(self) -> None:
        migration = self.marked()
        migrate_fine(migration, self.rows(10, 20))
        data = self.rows(10, 20)
        bad = [*data, row(3, "nix", modified=25), row(4, modified=40)]
        assert migrate_incremental(migration, bad).counts == {
            **{"created": 1, "failed": 1, "unchanged": 1}
        }
        assert value_of_mark(str(state_of(migration).high_water)) == 20
        bad[2]["brand"] = "acme"
        result = migrate_incremental(migration, bad)
        assert result.counts == {"created": 1, "unchanged": 2}
        assert value_of_mark(str(state_of(migration).high_water)) == 40

    @pytest.mark.parametrize(("policy", "rows_read"), [("include", 2), ("exclude", 1)])
    def test_rows_without_a_mark(self, policy: str, rows_read: int) -> None:
        migration = self.marked(high_water_null=policy)
        migrate_fine(migration, self.rows(10, 20))
        assert read(migrate_incremental(migration, self.rows(10, 20, None))) == rows_read

    def test_a_rehearsal_leaves_the_mark(self) -> None:
        migration = self.marked()
        migrate_fine(migration, self.rows(10, 20))
        data = self.rows(10, 20, 30)
        assert read(migrate_incremental(migration, data, mode=Mode.REHEARSAL)) == 2
        assert value_of_mark(str(state_of(migration).high_water)) == 20

    def test_an_empty_table_has_no_mark(self) -> None:
        migration = self.marked()
        migrate(migration, [], columns=["nr", "sku", "modified"])
        assert state_of(migration).high_water is None
        migrate_fine(migration, self.rows(10))
        migrate(migration, [], columns=["nr", "sku", "name", "brand", "modified"])
        assert value_of_mark(str(state_of(migration).high_water)) == 10

    def test_a_hook_that_counts_every_row_is_not_asked(self) -> None:
        asked = []

        def hook_row_count(self: Any, connection: Any, cursor: Any) -> int:
            asked.append(1)
            return 3

        migration = self.marked(hook_row_count=hook_row_count)
        migrate_fine(migration, self.rows(10, 20, 30))
        result = migrate_incremental(migration, self.rows(10, 20, 30))
        assert (len(asked), result.step.total) == (1, 1)


def migrate_incremental(migration: type[Migration], rows: Rows, **options: Any) -> Result:
    """:func:`migrate`, for a run that need not read every row."""
    result = migrate(migration, rows, all_rows=False, **options)
    assert result.error is None, result.error
    return result
