"""Draft -> instance, and what ``hook_before_save`` may do to it."""

from __future__ import annotations

from typing import Any

import pytest

from data_migration.migration import Migration
from tests.apps.shop.models import Brand, Product, Token
from tests.support.engine import migrate, migrate_fine

pytestmark = pytest.mark.django_db


def test_hook_may_change_the_instance(writer: str) -> None:
    def hook_before_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
        instance.name = row["code"].upper()

    attributes = {"model": Brand, "writer": writer, "hook_before_save": hook_before_save}
    migrate_fine(type("M", (Migration,), attributes), [{"code": "a"}])
    assert Brand.objects.get().name == "A"


def test_hook_may_give_the_key(writer: str) -> None:
    def hook_before_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
        instance.pk = 500

    attributes = {"model": Brand, "writer": writer, "hook_before_save": hook_before_save}
    migrate_fine(type("M", (Migration,), attributes), [{"code": "a"}])
    assert Brand.objects.create(code="b").pk > 500


@pytest.mark.parametrize("returned", [None, True, 0, "", []])
def test_only_false_itself_skips(writer: str, returned: Any) -> None:
    def hook_before_save(self: Any, instance: Any, row: dict[str, Any]) -> Any:
        return returned

    attributes = {"model": Brand, "writer": writer, "hook_before_save": hook_before_save}
    result = migrate_fine(type("M", (Migration,), attributes), [{"code": "a"}])
    assert result.counts == {"created": 1}


def test_hooks_may_be_class_methods(writer: str) -> None:
    class BrandMigration(Migration):
        model = Brand

        @classmethod
        def hook_before_save(cls, instance: Any, row: dict[str, Any]) -> None:
            instance.name = "by class"

    migrate_fine(type("M", (BrandMigration,), {"writer": writer}), [{"code": "a"}])
    assert Brand.objects.get().name == "by class"


def test_hook_that_raises_fails_its_row_only(writer: str) -> None:
    def hook_before_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
        if row["id"] == 2:
            raise RuntimeError("no")

    attributes = {"model": Brand, "writer": writer, "hook_before_save": hook_before_save}
    rows = [{"id": n, "code": str(n)} for n in (1, 2, 3)]
    result = migrate(type("M", (Migration,), attributes), rows)
    assert [message.key for message in result.messages] == ["2"]
    assert result.counts == {"created": 2, "failed": 1}


def test_default_of_the_model_makes_the_key(writer: str) -> None:
    attributes = {"model": Token, "writer": writer}
    migrate_fine(type("M", (Migration,), attributes), [{"name": "a"}, {"name": "b"}])
    assert Token.objects.count() == 2


def test_related_object_that_a_hook_assigns_is_stored(writer: str) -> None:
    brand = Brand.objects.create(code="a")

    def hook_before_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
        instance.brand = brand

    attributes = {"model": Product, "writer": writer, "hook_before_save": hook_before_save}
    migrate_fine(type("M", (Migration,), attributes), [{"sku": "x"}])
    assert Product.objects.get().brand == brand
