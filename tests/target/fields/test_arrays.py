"""PostgreSQL's fields whose kept value nobody foretells: arrays and ranges."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, models
from django.test.utils import isolate_apps

from data_migration.fields.losses import Loss
from data_migration.migration import Migration
from data_migration.undo.edits import find_edits
from tests.support.engine import book_of, links_of, migrate, migrate_fine

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL's own fields"),
]


@pytest.fixture(scope="module")
def listed(django_db_setup: None, django_db_blocker: Any) -> Iterator[type[models.Model]]:
    from django.contrib.postgres import fields  # needs a driver of PostgreSQL

    with isolate_apps("tests.apps.shop"):

        class Listed(models.Model):
            prices = fields.ArrayField(
                models.DecimalField(max_digits=8, decimal_places=2), null=True
            )
            names = fields.ArrayField(fields.ArrayField(models.CharField(max_length=5)), null=True)
            days = fields.IntegerRangeField(null=True)

            class Meta:
                app_label = "shop"

    with django_db_blocker.unblock(), connection.schema_editor() as editor:
        editor.create_model(Listed)
    yield Listed
    with django_db_blocker.unblock(), connection.schema_editor() as editor:
        editor.delete_model(Listed)


def updateable(model: Any) -> type[Migration]:
    attributes = {"model": model, "allow_updates": True}
    return type("ListedMigration", (Migration,), attributes)


#: What comes first, and then; in forms that are not those in which the database gives them back.
CHANGES: list[tuple[str, Any, Any]] = [
    ("prices", [3], [4]),
    ("prices", ["1.5", None], [Decimal("1.50")]),
    ("prices", [0.1], []),
    ("names", [[1, 2]], [["a", b"b"]]),
    ("days", "[1,3]", "[1,4]"),
]


@pytest.mark.parametrize(("name", "first", "then"), CHANGES)
def test_what_the_database_made_of_a_value_is_no_edit_of_a_person(
    listed: Any, name: str, first: Any, then: Any
) -> None:
    from django.db.backends.postgresql.psycopg_any import NumericRange

    def value(given: Any) -> Any:
        return NumericRange(int(given[1]), int(given[3]), "[]") if name == "days" else given

    migration = updateable(listed)
    for given, outcome in ((first, "created"), (then, "updated"), (first, "updated")):
        result = migrate_fine(migration, [{"id": 1, name: value(given)}])
        assert result.counts == {outcome: 1}
        pairs = [(link, listed.objects.get()) for link in links_of(migration).values()]
        assert find_edits(listed, pairs, book_of(migration)) == {}


def test_what_a_person_changed_in_an_array_is_kept(listed: Any) -> None:
    migration = updateable(listed)
    migrate_fine(migration, [{"id": 1, "prices": [3]}])
    listed.objects.update(prices=[5])
    assert migrate(migration, [{"id": 1, "prices": [4]}]).said == [
        ("conflict", "1", "was changed to [Decimal('5.00')] since it was written, which is kept")
    ]


def test_elements_are_converted_and_what_they_lose_is_told(listed: Any) -> None:
    rows = [{"id": 1, "prices": ["19.999", 2]}, {"id": 2, "prices": ["x"]}, {"id": 3, "prices": 3}]
    result = migrate(updateable(listed), rows)
    assert result.counts == {"created": 1, "failed": 2, "warnings": 1}
    assert result.causes[0] == Loss.DECIMAL_PLACES.value.format(2)
    assert "decimal number" in result.causes[1]
    assert "a list is needed" in result.causes[2]
    assert listed.objects.get().prices == [Decimal("20.00"), Decimal("2.00")]
