"""Failures are a queue: a row that failed is open until it ends otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from data_migration.exceptions import StepFailed, TooManyErrors
from data_migration.migration import Migration
from data_migration.models import RowError
from data_migration.options import MaxErrors
from data_migration.outcomes import Mode, OnError
from data_migration.spec.columns import is_a
from tests.apps.shop.models import Brand, Log, Product, Tag
from tests.support.engine import (
    Rows,
    links_of,
    migrate,
    migrate_fine,
    open_failures_of,
    state_of,
)

pytestmark = pytest.mark.django_db

KEPT = "What was committed before is kept; the same command goes on there."


@pytest.fixture(autouse=True)
def targets() -> None:
    Brand.objects.create(code="acme")
    Tag.objects.create(name="a")


def products(writer: str, **attributes: Any) -> type[Migration]:
    described = {
        "nr": is_a(exclude=True),
        "brand": is_a(Brand, "code", fk=True),
        "tags": is_a(Tag, "name", m2m=True, skip_missing=True),
    }
    defaults = {
        "model": Product,
        "writer": writer,
        "legacy_key": "nr",
        "column_description": described,
        "batch_size": 2,
    }
    return type("ProductMigration", (Migration,), defaults | attributes)


def rows(bad: dict[int, str] | None = None, **changed: Any) -> Rows:
    """Five rows; ``bad`` gives some of them a brand that does not exist."""
    return [
        {"nr": n, "sku": f"s{n}", "name": "x", "brand": (bad or {}).get(n, "acme"), "tags": "a"}
        | changed
        for n in range(1, 6)
    ]


class TestPlainRerun:
    def test_tries_failed_rows_again_and_closes_what_went_well(self, writer: str) -> None:
        migration = products(writer)
        first = migrate(migration, rows({2: "nix", 5: "nix"}))
        assert first.counts == {"created": 3, "failed": 2}
        assert open_failures_of(migration) == ["2", "5"]
        second = migrate(migration, rows({5: "nix"}))
        assert second.counts == {"created": 1, "failed": 1, "passed": 3}
        assert open_failures_of(migration) == ["5"]
        third = migrate_fine(migration, rows())
        assert third.counts == {"created": 1, "passed": 4}
        assert open_failures_of(migration) == []
        assert Product.objects.count() == 5

    def test_keeps_closed_messages_for_those_who_ask_later(self, writer: str) -> None:
        migration = products(writer)
        migrate(migration, rows({2: "nix"}))
        migrate(migration, rows())
        message = RowError.objects.get()
        assert (message.key, message.is_open, message.value) == ("2", False, "'nix'")

    def test_leaves_one_open_failure_of_a_row_that_fails_again(self, writer: str) -> None:
        migration = products(writer)
        for _ in range(3):
            migrate(migration, rows({2: "nix"}))
        assert RowError.objects.count() == 3
        assert open_failures_of(migration) == ["2"]

    def test_leaves_one_open_failure_of_a_row_that_ends_the_step_again(self, writer: str) -> None:
        migration = products(writer)
        for _ in range(3):
            result = migrate(migration, rows({4: "nix"}), on_error=OnError.STOP)
            assert isinstance(result.error, StepFailed)
        assert open_failures_of(migration) == ["4"]
        assert migrate_fine(migration, rows()).counts == {"created": 3, "passed": 2}
        assert open_failures_of(migration) == []

    def test_closes_what_is_skipped_now(self, writer: str) -> None:
        def hook_before_save(self: Any, instance: Any, row: dict[str, Any]) -> bool:
            return instance.name != "skip"

        migration = products(writer, hook_before_save=hook_before_save)
        migrate(migration, rows({2: "nix"}))
        data = rows()
        data[1]["name"] = "skip"
        assert migrate_fine(migration, data).counts == {"skipped": 1, "passed": 4}
        assert open_failures_of(migration) == []

    @pytest.mark.parametrize("retry_failed", [False, True])
    def test_closes_an_update_that_is_as_it_was_imported(
        self, writer: str, retry_failed: bool
    ) -> None:
        migration = products(writer)
        migrate_fine(migration, rows())
        bad = migrate(migration, rows({2: "nix"}), update=True)
        assert bad.counts == {"unchanged": 4, "failed": 1}
        result = migrate_fine(migration, rows(), retry_failed=retry_failed)
        assert result.step.unchanged == 1
        assert open_failures_of(migration) == []

    def test_updates_an_object_whose_update_failed(self, writer: str) -> None:
        migration = products(writer)
        migrate_fine(migration, rows())
        migrate(migration, rows({2: "nix"}), update=True)
        Brand.objects.create(code="nix")
        result = migrate_fine(migration, rows({2: "nix"}))
        assert result.counts == {"updated": 1, "passed": 4}
        assert Product.objects.get(sku="s2").brand == Brand.objects.get(code="nix")


class TestWhatIsOpen:
    def test_a_warning_is_not(self, writer: str) -> None:
        migration = products(writer)
        assert migrate(migration, rows(tags="nix")).counts == {"created": 5, "warnings": 5}
        assert open_failures_of(migration) == []

    def test_a_rehearsal_changes_nothing_of_it(self, writer: str) -> None:
        migration = products(writer)
        migrate(migration, rows({2: "nix"}))
        data = rows({4: "nix"})
        rehearsed = migrate(migration, data, mode=Mode.REHEARSAL)
        assert [message.is_open for message in rehearsed.messages] == []  # 4 is done already
        assert open_failures_of(migration) == ["2"]
        other = migrate(migration, [{**data[0], "nr": 9, "sku": "t"}], mode=Mode.REHEARSAL)
        assert other.counts == {"created": 1}
        assert open_failures_of(migration) == ["2"]

    def test_a_rehearsed_failure_is_not(self, writer: str) -> None:
        migration = products(writer)
        result = migrate(migration, rows({2: "nix"}), mode=Mode.REHEARSAL)
        assert [(message.key, message.is_open) for message in result.messages] == [("2", False)]
        assert open_failures_of(migration) == []

    def test_a_failure_of_a_batch_that_was_rolled_back_is(self, writer: str) -> None:
        migration = products(writer)
        result = migrate(migration, rows({4: "nix"}), on_error=OnError.STOP)
        assert result.step.error == (
            "shop.ProductMigration: row 4, key 4: column brand, value 'nix': code = 'nix' matches"
            f" no shop.Brand. {KEPT} Mend the row or the spec, or go on past failed rows with"
            " --on-error continue."
        )
        assert result.counts == {"created": 2, "failed": 1}
        assert open_failures_of(migration) == ["4"]
        assert set(links_of(migration)) == {"1", "2"}

    def test_a_failure_of_an_atomic_run_that_was_rolled_back_is(self, writer: str) -> None:
        migration = products(writer)
        result = migrate(migration, rows({4: "nix"}), on_error=OnError.STOP, mode=Mode.ATOMIC)
        assert "Nothing of shop.ProductMigration is kept." in result.step.error
        assert not Product.objects.exists()
        assert links_of(migration) == {}
        assert not state_of(migration).is_read
        assert open_failures_of(migration) == ["4"]

    def test_without_a_key_only_the_last_run_counts(self, writer: str) -> None:
        migration = products(writer, legacy_key=())
        migrate(migration, rows({2: "nix"}))
        assert RowError.objects.filter(is_open=True).count() == 1
        Product.objects.all().delete()
        migrate_fine(migration, rows())
        assert not RowError.objects.filter(is_open=True).exists()


class TestTooManyErrors:
    def test_what_is_kept_is_told(self, writer: str) -> None:
        migration = products(writer)
        result = migrate(
            migration, rows({1: "nix", 3: "nix", 4: "nix"}), max_errors=MaxErrors(count=1)
        )
        assert isinstance(result.error, TooManyErrors)
        assert result.step.error == (
            "shop.ProductMigration: 2 rows failed, more than --max-errors 1 allows."
            f" {KEPT} The messages say why: manage.py show_legacy --messages"
        )
        assert list(Product.objects.values_list("sku", flat=True)) == ["s2"]
        assert open_failures_of(migration) == ["1", "3"]

    def test_of_a_step_without_a_key_nothing_is_kept(self, writer: str) -> None:
        migration = products(writer, legacy_key=())
        result = migrate(migration, rows({1: "nix", 3: "nix"}), max_errors=MaxErrors(count=1))
        assert "Nothing of shop.ProductMigration is kept." in result.step.error
        assert not Product.objects.exists()


def test_what_an_error_hook_writes_is_kept_with_the_batch(writer: str) -> None:
    def hook_error_creating_instance(self: Any, exception: Any, row: dict[str, Any]) -> None:
        Log.objects.create(text=f"row {row['nr']}")
        if row["nr"] == 4:
            raise exception

    hook = {"hook_error_creating_instance": hook_error_creating_instance}
    migration = products(writer, **hook)
    result = migrate(migration, rows({1: "nix", 4: "nix"}), on_error=OnError.STOP)
    assert isinstance(result.error, StepFailed)
    assert list(Log.objects.values_list("text", flat=True)) == ["row 1"]


class Handling:
    """A hook that makes something of each failed row, and the migration that has it."""

    def __init__(self, writer: str, **attributes: Any) -> None:
        def hook_error_creating_instance(self: Any, exception: Any, row: dict[str, Any]) -> None:
            Log.objects.create(text=f"{row['nr']}: {row['brand']}")

        hook = {"hook_error_creating_instance": hook_error_creating_instance}
        self.migration = products(writer, **{**hook, **attributes})

    @property
    def made(self) -> list[str]:
        return list(Log.objects.order_by("pk").values_list("text", flat=True))


@pytest.mark.parametrize("updates", [False, True])
@pytest.mark.parametrize("retry", [False, True])
def test_an_error_hook_that_returned_is_not_called_again_for_the_same_row(
    writer: str, updates: bool, retry: bool
) -> None:
    handling = Handling(writer, allow_updates=updates)
    for number in range(3):
        result = migrate(
            handling.migration, rows({1: "nix", 4: "nix"}), retry_failed=retry and number > 0
        )
        assert result.step.failed == 2
        assert sorted(open_failures_of(handling.migration)) == ["1", "4"]
        assert handling.made == ["1: nix", "4: nix"]

    changed = rows({1: "none"})
    migrate(handling.migration, changed, mode=Mode.REHEARSAL)
    assert handling.made == ["1: nix", "4: nix"]
    migrate(handling.migration, changed)
    assert handling.made == ["1: nix", "4: nix", "1: none"]
    assert open_failures_of(handling.migration) == ["1"]


def test_an_error_hook_that_was_changed_is_called_again(writer: str) -> None:
    def hook_error_creating_instance(self: Any, exception: Any, row: dict[str, Any]) -> None:
        Log.objects.create(text=f"{row['nr']} once more")

    first = Handling(writer)
    migrate(first.migration, rows({1: "nix"}))
    second = Handling(writer, hook_error_creating_instance=hook_error_creating_instance)
    for _ in range(2):
        migrate(second.migration, rows({1: "nix"}))
    assert second.made == ["1: nix", "1 once more"]


def test_what_an_error_hook_did_in_a_rehearsal_is_not_done(writer: str) -> None:
    handling = Handling(writer)
    migrate(handling.migration, rows({1: "nix"}), mode=Mode.REHEARSAL)
    assert handling.made == []
    migrate(handling.migration, rows({1: "nix"}))
    assert handling.made == ["1: nix"]


def test_an_error_hook_that_raised_is_called_again(writer: str) -> None:
    called: list[int] = []

    def hook_error_creating_instance(self: Any, exception: Any, row: dict[str, Any]) -> None:
        called.append(row["nr"])
        raise exception

    migration = products(writer, hook_error_creating_instance=hook_error_creating_instance)
    for _ in range(2):
        migrate(migration, rows({1: "nix"}))
    assert called == [1, 1]


@pytest.mark.parametrize("policy", list(OnError))
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyError("nmae"), "; hook_error_creating_instance, line {}: KeyError: 'nmae'"),
        (ValueError("row 1 is bad"), "; hook_error_creating_instance, line {}: ValueError: row 1"),
    ],
)
def test_an_error_of_the_error_hook_itself_is_told_with_the_row(
    writer: str, policy: OnError, error: Exception, said: str
) -> None:
    def hook_error_creating_instance(self: Any, exception: Any, row: dict[str, Any]) -> None:
        raise error from exception

    migration = products(writer, hook_error_creating_instance=hook_error_creating_instance)
    result = migrate(migration, rows({1: "nix"}), on_error=policy)
    line = hook_error_creating_instance.__code__.co_firstlineno + 1
    (cause,) = result.causes
    assert cause.startswith("code = 'nix' matches no shop.Brand; ")
    assert said.format(line) in cause
    if policy == OnError.STOP:
        assert said.format(line) in str(result.error)


def test_counts_are_stored_with_each_batch(writer: str) -> None:
    from data_migration.models import RunStep

    seen: list[tuple[int, int, int]] = []

    def hook_before_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
        step = RunStep.objects.get()
        seen.append((row["nr"], step.read, step.messages.count()))

    migration = products(writer, hook_before_save=hook_before_save)
    migrate(migration, rows({1: "nix"}, tags="b"))
    assert seen == [(2, 0, 0), (3, 2, 2), (4, 2, 2), (5, 4, 4)]
