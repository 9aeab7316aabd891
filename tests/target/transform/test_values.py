"""row -> values of the model: which columns there may be, and what becomes of each."""

from __future__ import annotations

import math
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from data_migration.exceptions import SpecError
from data_migration.fields.losses import Loss
from data_migration.migration import Migration
from data_migration.outcomes import RunStatus
from data_migration.rows.drafts import Draft
from data_migration.spec.columns import is_a
from data_migration.spec.hooks import Hooks
from data_migration.transform.values import Transform
from tests.apps.shop.models import (
    Brand,
    Country,
    Custom,
    Everything,
    Log,
    Product,
    Review,
    Stamped,
    Tag,
)
from tests.support.engine import Result, migrate, migrate_fine, statements
from tests.support.examples import examples
from tests.target.tables.values import OWN

pytestmark = pytest.mark.django_db


class ProductMigration(Migration):
    model = Product


class CustomMigration(Migration):
    model = Custom


def refused(result: Result) -> str:
    """Why the step was refused as a whole."""
    assert isinstance(result.error, SpecError)
    assert result.step.status == RunStatus.FAILED
    return result.step.error


def test_unknown_column_stops_the_step_and_names_the_fields_and_the_ways_out() -> None:
    message = refused(migrate(ProductMigration, [{"sku": "a", "colour": "red"}]))
    assert "'colour'" in message
    assert "shop.Product" in message
    assert "sku" in message
    assert "AS" in message
    assert "exclude=True" in message


def test_unknown_column_is_found_without_a_single_row() -> None:
    message = refused(migrate(ProductMigration, [], columns=["sku", "colour"]))
    assert "'colour'" in message


def test_column_that_the_hook_adds_unknown_fails_each_row() -> None:
    class Adding(ProductMigration):
        def hook_before_transformation(self, row: dict[str, Any]) -> None:
            if row["id"] == 2:
                row["colour"] = "red"

    result = migrate(Adding, [{"id": n, "sku": n} for n in (1, 2, 3)])
    assert [(key, column) for key, column, _ in result.told] == [("2", "colour")]
    assert Product.objects.count() == 2


def test_hook_may_rename_and_remove_columns() -> None:
    class Renaming(ProductMigration):
        def hook_before_transformation(self, row: dict[str, Any]) -> None:
            row["name"] = row.pop("Title")
            del row["junk"]

    migrate_fine(Renaming, [{"sku": "a", "Title": "Chair", "junk": 1}])
    assert Product.objects.get().name == "Chair"


def test_excluded_column_is_left_for_hooks() -> None:
    seen = []

    class Excluding(ProductMigration):
        column_description = {"colour": is_a(exclude=True)}

        def hook_before_save(self, instance: Any, row: dict[str, Any]) -> None:
            seen.append(row["colour"])

    migrate_fine(Excluding, [{"sku": "a", "colour": "red"}])
    assert seen == ["red"]


def test_generated_field_is_no_place_for_a_column() -> None:
    assert "'double'" in refused(migrate(CustomMigration, [{"width": 1, "double": 2}]))


def test_generated_field_is_computed_by_the_database() -> None:
    migrate_fine(CustomMigration, [{"width": 21}])
    assert Custom.objects.get().double == 42


def test_users_own_field_converts() -> None:
    migrate_fine(CustomMigration, [{"upper": "abc"}])
    assert Custom.objects.get().upper == "ABC"


def test_property_with_a_setter_takes_a_column() -> None:
    migrate_fine(CustomMigration, [{"centimetres": 2}])
    assert Custom.objects.get().width == 20


def test_property_without_a_setter_fails_with_its_name() -> None:
    result = migrate(CustomMigration, [{"id": 1, "readable_only": 2}])
    whole = str(result.error) + " ".join(str(message) for message in result.messages)
    assert "readable_only" in whole
    assert not Custom.objects.exists()


@pytest.mark.parametrize("column", ["pk", "id"])
def test_primary_key_comes_with_the_row(column: str) -> None:
    migrate_fine(ProductMigration, [{column: "77", "sku": "a"}])
    assert Product.objects.get().pk == 77


def test_explicit_primary_key_of_text() -> None:
    class CountryMigration(Migration):
        model = Country

    migrate_fine(CountryMigration, [{"pk": "DE", "name": "Germany"}, {"pk": "FR", "name": "F"}])
    assert set(Country.objects.values_list("code", flat=True)) == {"DE", "FR"}


def test_many_to_many_without_description_is_refused_with_the_way_out() -> None:
    assert "is_a(..., m2m=True)" in refused(migrate(ProductMigration, [{"tags": "1;2"}]))


@pytest.mark.parametrize("has_hook", [False, True])
def test_value_that_loses_something_is_a_warning_with_key_column_and_value(has_hook: bool) -> None:
    class Priced(ProductMigration):
        pass

    if has_hook:
        Priced.hook_before_transformation = lambda self, row: None  # type: ignore[assignment]
    rows = [
        {"id": 1, "sku": "a", "price": Decimal("19.999")},
        {"id": 2, "sku": "b", "price": Decimal("19.99")},
        {"id": 3, "sku": "c", "price": 0.004},
    ]
    result = migrate(Priced, rows)
    assert result.counts == {"created": 3, "warnings": 2}
    assert result.told == [("1", "price", "19.999"), ("3", "price", "0.004")]
    assert set(result.causes) == {Loss.DECIMAL_PLACES.value.format(2)}
    assert sorted(Product.objects.values_list("price", flat=True)) == [0, Decimal("19.99"), 20]


def test_row_that_fails_has_no_warning() -> None:
    row = {"id": 1, "sku": None, "price": Decimal("19.999")}
    assert migrate(ProductMigration, [row]).counts == {"failed": 1}


def test_null_in_a_field_that_takes_the_current_time_is_a_warning() -> None:
    class StampedMigration(Migration):
        model = Stamped

    result = migrate(StampedMigration, [{"id": 1, "name": "a", "added": None}])
    assert result.counts == {"created": 1, "warnings": 1}
    assert result.told == [("1", "added", "NULL")]


def test_blanks_that_a_server_would_cut_are_told() -> None:
    """SQL has blanks beyond the length of a column cut without a word, and all else refused."""
    result = migrate(ProductMigration, [{"id": 1, "sku": "a" * 20 + "  "}])
    if connection.vendor == "sqlite":  # which has no lengths
        assert result.counts == {"created": 1}
        assert Product.objects.get().sku == "a" * 20 + "  "
    else:
        assert result.counts == {"created": 1, "warnings": 1}
        assert result.causes == [Loss.TRAILING_BLANKS.value.format(20)]
        assert Product.objects.get().sku == "a" * 20


@pytest.mark.parametrize("price", [Decimal("1234567.00"), 10**9, "1e12"])
def test_decimal_that_is_too_long_is_refused_by_every_target(price: Any) -> None:
    """SQLite would keep it, and Django not read it."""
    rows = [{"id": 1, "sku": "a", "price": price}, {"id": 2, "sku": "b", "price": 999999}]
    result = migrate(ProductMigration, rows)
    assert [(key, column) for key, column, _ in result.told] == [("1", "price")]
    assert [each.price for each in Product.objects.all()] == [999999]


def test_what_is_no_number_never_becomes_null() -> None:
    class EverythingMigration(Migration):
        model = Everything

        def hook_before_transformation(self, row: dict[str, Any]) -> None:
            row["real"] = math.nan

    nan = migrate(EverythingMigration, [{"id": 1, "real": 1.5}])
    if connection.vendor == "postgresql":
        assert nan.counts == {"created": 1}
        assert math.isnan(Everything.objects.get().real)
    else:
        assert nan.counts == {"failed": 1}
        assert "keeps no NaN" in nan.causes[0]


class TestForeignKeyWithoutDescription:
    """``brand_id``, or just ``brand`` with a key in it."""

    @pytest.mark.parametrize("column", ["brand_id", "brand"])
    def test_key_is_taken(self, column: str) -> None:
        brand = Brand.objects.create(code="a")
        migrate_fine(ProductMigration, [{"sku": "1", column: str(brand.pk)}])
        assert Product.objects.get().brand == brand

    @pytest.mark.parametrize("column", ["brand_id", "brand"])
    def test_key_without_an_object_fails_the_row(self, column: str) -> None:
        brand = Brand.objects.create(code="a")
        rows = [{"id": 1, "sku": "1", column: brand.pk}, {"id": 2, "sku": "2", column: 404}]
        result = migrate(ProductMigration, rows)
        assert result.told == [("2", column, "404")]
        assert "shop.Brand" in result.messages[0].cause
        assert Product.objects.get().pk == 1

    def test_null_is_null(self) -> None:
        migrate_fine(ProductMigration, [{"sku": "1", "brand_id": None}])
        assert Product.objects.get().brand is None

    def test_foreign_key_to_another_field_than_the_primary_key(self) -> None:
        brand = Brand.objects.create(code="acme")
        rows = [
            {"id": 1, "sku": "1", "maker_id": "acme"},
            {"id": 2, "sku": "2", "maker_id": "none"},
        ]
        result = migrate(ProductMigration, rows)
        assert Product.objects.get().maker == brand
        assert result.told == [("2", "maker_id", "'none'")]


class ReviewMigration(Migration):
    model = Review


def test_missing_required_field_is_reported_with_its_name(writer: str) -> None:
    class Chosen(ReviewMigration):
        pass

    Chosen.writer = writer
    result = migrate(Chosen, [{"id": 1, "text": "good"}])
    assert result.told == [("1", "product", "NULL")]
    assert "the query has no such column" in result.messages[0].cause


def test_default_of_the_model_fills_a_column_that_the_query_lacks() -> None:
    migrate_fine(ProductMigration, [{"sku": "1"}])
    assert Product.objects.get().price == 0


class LoggingBeforeTransformation(ProductMigration):
    def hook_before_transformation(self, row: dict[str, Any]) -> None:
        log(row)


class LoggingBeforeSave(ProductMigration):
    def hook_before_save(self, instance: Any, row: dict[str, Any]) -> None:
        log(row)


def log(row: dict[str, Any]) -> None:
    Log.objects.create(text=f"first {row['id']}")
    if row["id"] == 2:
        Log.objects.create(text="there")


@pytest.fixture(params=[LoggingBeforeTransformation, LoggingBeforeSave])
def logging(request: pytest.FixtureRequest) -> Any:
    """A migration whose early hook writes; row 2 fails where Log "there" exists."""
    return request.param


def test_error_of_the_database_in_an_early_hook_pins_only_its_row(
    writer: str, logging: Any
) -> None:
    Log.objects.create(text="there")
    chosen = type("Chosen", (logging,), {"writer": writer})
    result = migrate(chosen, [{"id": n, "sku": n} for n in (1, 2, 3)])
    assert result.error is None
    assert result.counts == {"created": 2, "failed": 1}
    assert "hook_before_" in result.messages[0].cause
    assert "IntegrityError" in result.messages[0].cause
    assert set(Product.objects.values_list("pk", flat=True)) == {1, 3}
    assert set(Log.objects.values_list("text", flat=True)) == {"there", "first 1", "first 3"}


def test_what_an_early_hook_writes_is_kept(logging: Any) -> None:
    migrate_fine(logging, [{"id": n, "sku": n} for n in (1, 3)])
    assert set(Log.objects.values_list("text", flat=True)) == {"first 1", "first 3"}


def test_early_hook_that_swallows_an_error_of_the_database_fails_its_row() -> None:
    class Swallowing(ProductMigration):
        def hook_before_save(self, instance: Any, row: dict[str, Any]) -> None:
            with suppress(IntegrityError):
                log(row)

    Log.objects.create(text="there")
    result = migrate(Swallowing, [{"id": n, "sku": n} for n in (1, 2, 3)])
    assert result.counts == {"created": 2, "failed": 1}
    assert "hook_before_save" in result.messages[0].cause
    assert "transaction.atomic()" in result.messages[0].cause
    assert not Log.objects.filter(text="first 2").exists()


def test_early_hook_that_guards_its_statement_may_swallow_the_error() -> None:
    class Guarded(ProductMigration):
        def hook_before_save(self, instance: Any, row: dict[str, Any]) -> None:
            with suppress(IntegrityError), transaction.atomic():
                log(row)

    Log.objects.create(text="there")
    migrate_fine(Guarded, [{"id": n, "sku": n} for n in (1, 2, 3)])
    assert Product.objects.count() == 3


def test_hooks_that_leave_the_database_alone_cost_no_statement() -> None:
    class Trivial(ProductMigration):
        def hook_before_transformation(self, row: dict[str, Any]) -> None:
            row["name"] = "x"

        def hook_before_save(self, instance: Any, row: dict[str, Any]) -> None:
            instance.name = "y"

    counts = []
    for each in (ProductMigration, Trivial):
        with statements() as ran:
            migrate_fine(each, [{"sku": f"{each.__name__}{n}"} for n in range(50)])
        counts.append(len(ran.starting("SAVEPOINT")))
    assert counts[0] == counts[1]


def test_hook_before_transformation_that_raises_fails_its_row_and_is_located() -> None:
    class Raising(ProductMigration):
        def hook_before_transformation(self, row: dict[str, Any]) -> None:
            if row["id"] == 2:
                raise KeyError("colour")

    result = migrate(Raising, [{"id": n, "sku": n} for n in (1, 2, 3)])
    assert result.counts == {"created": 2, "failed": 1}
    assert "hook_before_transformation, line " in result.messages[0].cause
    assert "KeyError: 'colour'" in result.messages[0].cause


def test_target_that_is_an_instance_already_is_taken() -> None:
    brand = Brand.objects.create(code="a")

    class Finding(ProductMigration):
        def hook_before_transformation(self, row: dict[str, Any]) -> None:
            row["brand"] = brand

    migrate_fine(Finding, [{"sku": "1"}])
    assert Product.objects.get().brand == brand


def test_same_column_under_two_names_is_no_unknown_column() -> None:
    tag = Tag.objects.create(name="x")

    class Tagging(ProductMigration):
        column_description = {"tags": is_a(Tag, "id", m2m=True)}

    migrate_fine(Tagging, [{"sku": "1", "tags": tag.pk}])
    assert list(Product.objects.get().tags.all()) == [tag]


# ------------------------------------------------------------------ a column at a time

EVERYTHING = [f for f in Everything._meta.concrete_fields if not f.primary_key]
#: What drivers return for the fields whose columns are converted all together, and near misses.
_QUICK = st.one_of(
    st.dates().map(str),
    st.sampled_from(["2024-02-30", "2024-W01-1", "20240131", "2024-1-31", "1e3", "", "t", "0"]),
    st.sampled_from([0, 1, 2, -1, True, 2**70, 10**400, 0.5, float("nan"), None, b"1"]),
)


def transformed(name: str, values: list[Any], *, together: bool) -> list[Any]:
    migration = type("M", (Migration,), {"model": Everything})()
    transform = Transform(migration, database="default", hooks=Hooks(migration))
    drafts = [Draft(n, {name: value}) for n, value in enumerate(values, start=1)]
    for portion in (drafts,) if together else ([draft] for draft in drafts):
        transform(portion)
    return [(repr(draft.values), repr(draft.error), draft.outcome) for draft in drafts]


@pytest.mark.parametrize("field", EVERYTHING, ids=lambda field: field.name)
@settings(max_examples=examples(30))
@given(data=st.data())
def test_a_column_at_a_time_comes_to_the_same_as_row_by_row(field: Any, data: Any) -> None:
    one = st.one_of(_QUICK, OWN[field.name])
    values = data.draw(st.lists(one, min_size=1, max_size=4) | st.lists(_QUICK, max_size=4))
    together = transformed(field.name, values, together=True)
    assert together == transformed(field.name, values, together=False)


def test_rows_of_different_shapes_go_one_by_one() -> None:
    migration = type("M", (Migration,), {"model": Everything})()
    transform = Transform(migration, database="default", hooks=Hooks(migration))
    drafts = [Draft(1, {"integer": "1"}), Draft(2, {"small": "2"}), Draft(3, {"integer": "x"})]

    transform(drafts)

    assert [draft.values for draft in drafts] == [{"integer": 1}, {"small": 2}, {}]
    assert [draft.error is None for draft in drafts] == [True, True, False]


def test_no_rows_are_no_trouble() -> None:
    migration = type("M", (Migration,), {"model": Everything})()
    Transform(migration, database="default", hooks=Hooks(migration))([])
