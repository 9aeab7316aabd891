"""What both writers do alike: outcomes, and instances after a failed attempt."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from data_migration.migration import Migration
from data_migration.spec.columns import is_a
from tests.apps.shop.models import Brand, Log, Product, Stamped, Tag
from tests.support.engine import links_of, migrate, migrate_fine

pytestmark = pytest.mark.django_db


def brands(writer: str, **attributes: Any) -> type[Migration]:
    return type("M", (Migration,), {"model": Brand, "writer": writer, **attributes})


def test_rows_end_in_one_outcome_each(writer: str) -> None:
    def hook_before_save(self: Any, instance: Any, row: dict[str, Any]) -> bool:
        return bool(row["code"] != "skip")

    migration = brands(
        writer, hook_before_save=hook_before_save, allow_updates=True, search_attr="code"
    )
    Brand.objects.create(code="same", name="x")
    Brand.objects.create(code="other", name="y")
    codes = ["same", "other", "new", "skip", "bad"]
    rows = [{"code": code, "name": None if code == "bad" else "x"} for code in codes]
    assert migrate(migration, rows).counts == {
        "created": 1,
        "updated": 1,
        "unchanged": 1,
        "skipped": 1,
        "failed": 1,
    }


def test_generated_key_of_a_failed_attempt_is_forgotten(writer: str) -> None:
    """The hook sees the key that is stored, also after an attempt that was rolled back."""
    seen = {}

    def hook_after_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
        seen[row["code"]] = instance.pk
        if row["code"] == "c":
            raise ValueError("no")

    migrate(brands(writer, hook_after_save=hook_after_save), [{"code": c} for c in "abcdef"])
    stored = dict(Brand.objects.values_list("code", "pk"))
    del seen["c"]
    assert stored == seen


def test_what_a_hook_wrote_for_a_failed_row_is_gone(writer: str) -> None:
    def hook_after_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
        Log.objects.create(text=row["code"])
        if row["code"] in "be":
            raise ValueError("no")

    result = migrate(
        brands(writer, hook_after_save=hook_after_save), [{"code": c} for c in "abcdef"]
    )
    assert result.counts == {"created": 4, "failed": 2}
    assert set(Log.objects.values_list("text", flat=True)) == set("acdf")


def test_error_hook_that_returns_lets_the_step_go_on(writer: str) -> None:
    from data_migration.outcomes import OnError

    failed = []

    def hook_error_creating_instance(self: Any, exception: Exception, row: Any) -> None:
        failed.append((row["id"], type(exception).__name__))

    migration = brands(writer, hook_error_creating_instance=hook_error_creating_instance)
    rows = [{"id": 1, "code": "a"}, {"id": 2, "code": "a"}, {"id": 3, "code": "c"}]
    result = migrate(migration, rows, on_error=OnError.STOP)
    assert result.error is None
    assert result.counts == {"created": 2, "failed": 1}
    assert failed == [(2, "IntegrityError")]


def test_objects_of_hooks_may_use_the_instance_as_a_target(writer: str) -> None:
    def hook_after_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
        Product.objects.create(sku=row["code"], brand=instance)

    migrate_fine(brands(writer, hook_after_save=hook_after_save), [{"code": c} for c in "abc"])
    assert dict(Product.objects.values_list("sku", "brand__code")) == {c: c for c in "abc"}


def test_skipped_row_writes_no_links(writer: str) -> None:
    class ProductMigration(Migration):
        model = Product
        column_description = {"tags": is_a(Tag, "name", m2m=True)}

        def hook_before_save(self, instance: Any, row: dict[str, Any]) -> bool:
            return False

    Tag.objects.create(name="a")
    chosen = type("Chosen", (ProductMigration,), {"writer": writer})
    assert migrate_fine(chosen, [{"sku": 1, "tags": "a"}]).counts == {"skipped": 1}
    assert not Product.tags.through.objects.exists()


# ---------------------------------------------------------------- saved by hook_before_save


def saving(only: str = "abcdef") -> Any:
    """A hook that saves the object by itself, and changes it afterwards."""

    def hook_before_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
        if row["code"] in only:
            instance.save()
            Log.objects.create(text=f"{row['code']} is {instance.pk}")
            instance.name = f"{row['code']} again"

    return hook_before_save


@pytest.mark.parametrize("keyed", [True, False])
def test_an_object_that_hook_before_save_saved_is_not_inserted_again(
    writer: str, keyed: bool
) -> None:
    def hook_after_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
        seen.append((row["code"], instance.pk))

    seen: list[tuple[str, int]] = []
    migration = brands(
        writer,
        hook_before_save=saving("ace"),
        hook_after_save=hook_after_save,
        allow_updates=True,
        search_attr="code",
    )
    rows = [{"code": code, "name": "x"} for code in "abcdef"]
    if keyed:
        rows = [{"id": 70 + number, **row} for number, row in enumerate(rows)]
    assert migrate_fine(migration, rows).counts == {"created": 6}
    stored = dict(Brand.objects.values_list("code", "name"))
    assert stored == {c: f"{c} again" if c in "ace" else "x" for c in "abcdef"}
    assert sorted(seen) == sorted(Brand.objects.values_list("code", "pk"))
    assert len(links_of(migration)) == 6


def test_its_many_to_manys_are_written_and_a_row_of_the_batch_that_fails_harms_nobody(
    writer: str,
) -> None:
    def hook_before_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
        instance.save()

    def hook_after_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
        Log.objects.create(text=row["sku"])
        if row["sku"] in "be":
            raise ValueError("no")

    tag = Tag.objects.create(name="t")
    described = {"tags": is_a(Tag, "name", m2m=True)}
    migration = type(
        "M",
        (Migration,),
        {
            "model": Product,
            "writer": writer,
            "column_description": described,
            "hook_before_save": hook_before_save,
            "hook_after_save": hook_after_save,
        },
    )
    rows = [{"sku": sku, "name": "x", "tags": "t"} for sku in "abcdef"]
    assert migrate(migration, rows).counts == {"created": 4, "failed": 2}
    assert sorted(tag.products.values_list("sku", flat=True)) == list("acdf")
    assert sorted(Product.objects.values_list("sku", flat=True)) == list("acdf")
    assert sorted(Log.objects.values_list("text", flat=True)) == list("acdf")


def test_an_object_that_hook_before_save_saved_keeps_the_times_of_its_row(writer: str) -> None:
    def hook_before_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
        instance.save()

    then = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)
    migration = type(
        "M",
        (Migration,),
        {"model": Stamped, "writer": writer, "hook_before_save": hook_before_save},
    )
    migrate_fine(migration, [{"id": 1, "name": "x", "added": then, "changed": then}])
    assert Stamped.objects.values_list("added", "changed").get() == (then, then)


def test_an_object_that_hook_before_save_saved_and_skipped_is_its_own_affair(writer: str) -> None:
    def hook_before_save(self: Any, instance: Any, row: dict[str, Any]) -> bool:
        instance.save()
        return False

    migration = brands(writer, hook_before_save=hook_before_save)
    assert migrate_fine(migration, [{"code": "a", "name": "x"}]).counts == {"skipped": 1}
    assert Brand.objects.get().code == "a"
