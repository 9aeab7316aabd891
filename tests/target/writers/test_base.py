"""What both writers do alike: outcomes, and instances after a failed attempt."""

from __future__ import annotations

from typing import Any

import pytest

from data_migration.migration import Migration
from data_migration.spec.columns import is_a
from tests.apps.shop.models import Brand, Log, Product, Tag
from tests.support.engine import migrate, migrate_fine

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
