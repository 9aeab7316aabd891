"""Rows of one query with the same legacy key, in one batch, in several, and in reruns."""

from __future__ import annotations

from typing import Any

import pytest

from data_migration.migration import Migration
from data_migration.spec.columns import is_a
from tests.apps.shop.models import Custom
from tests.support.engine import Rows, migrate, open_failures_of

pytestmark = pytest.mark.django_db


def customs(**attributes: Any) -> type[Migration]:
    described = {"nr": is_a(exclude=True)}
    defaults = {"model": Custom, "legacy_key": "nr", "column_description": described}
    return type("Customs", (Migration,), defaults | attributes)


def rows(*widths: int | str) -> Rows:
    """Rows of one key; text fails as a width."""
    return [{"nr": 1, "width": width} for width in widths]


def stored() -> list[int]:
    return sorted(Custom.objects.values_list("width", flat=True))


@pytest.mark.parametrize("size", [1, 2, 10])
class TestRetry:
    def test_of_a_repeated_key_leaves_the_first_object_alone(self, size: int) -> None:
        migration = customs()
        migrate(migration, rows(1, 2), batch_size=size)
        assert open_failures_of(migration) == ["1"]
        result = migrate(migration, rows(1, 2), retry_failed=True, batch_size=size)
        assert stored() == [1]
        assert open_failures_of(migration) == ["1"]
        assert result.step.updated == 0

    def test_closes_the_failure_once_the_repetition_is_gone(self, size: int) -> None:
        migration = customs()
        migrate(migration, rows(1, 2), batch_size=size)
        migrate(migration, rows(1), retry_failed=True, batch_size=size)
        assert open_failures_of(migration) == []
        assert stored() == [1]

    def test_of_a_key_that_failed_and_comes_twice_ends(self, size: int) -> None:
        migration = customs(allow_updates=True)
        migrate(migration, rows("wide"), batch_size=size)
        result = migrate(migration, rows(1, 2), batch_size=size, all_rows=False)
        assert result.error is None
        assert stored() == [2]
        result = migrate(migration, rows(1, 2, 3), batch_size=size, retry_failed=True)
        assert result.error is None

    def test_of_an_updateable_migration_ends_when_the_key_was_linked_and_failed(
        self, size: int
    ) -> None:
        migration = customs(allow_updates=True)
        migrate(migration, rows(1), batch_size=size)
        migrate(migration, rows("wide"), batch_size=size)
        assert open_failures_of(migration) == ["1"]
        result = migrate(migration, rows(2, 3), batch_size=size)
        assert result.error is None
        assert stored() == [3]
        assert open_failures_of(migration) == []
