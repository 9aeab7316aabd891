"""PostgreSQL's ``HStoreField``: names and texts, kept by the database in its own order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, models
from django.test.utils import isolate_apps

from data_migration.migration import Migration
from data_migration.undo.edits import find_edits
from tests.support.engine import book_of, links_of, migrate, migrate_fine

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL's own field"),
]


@pytest.fixture(scope="module")
def described(django_db_setup: None, django_db_blocker: Any) -> Iterator[type[models.Model]]:
    from django.contrib.postgres import fields  # needs a driver of PostgreSQL
    from django.contrib.postgres.signals import get_hstore_oids, register_type_handlers

    with isolate_apps("tests.apps.shop"):

        class Described(models.Model):
            words = fields.HStoreField(null=True)

            class Meta:
                app_label = "shop"

    with django_db_blocker.unblock():
        with connection.cursor() as cursor:
            cursor.execute("CREATE EXTENSION IF NOT EXISTS hstore")
        get_hstore_oids.cache_clear()  # as HStoreExtension does it
        register_type_handlers(connection)
        with connection.schema_editor() as editor:
            editor.create_model(Described)
    yield Described
    with django_db_blocker.unblock(), connection.schema_editor() as editor:
        editor.delete_model(Described)


def updateable(model: Any) -> type[Migration]:
    return type("DescribedMigration", (Migration,), {"model": model, "allow_updates": True})


def test_it_is_written_compared_and_updated(described: Any) -> None:
    migration = updateable(described)
    first = {"colour": "red", "a": "1", "none": None}
    for given, outcome in (
        (first, "created"),
        ({**first, "a": "2"}, "updated"),
        ('{"colour": "red"}', "updated"),
    ):
        assert migrate_fine(migration, [{"id": 1, "words": given}]).counts == {outcome: 1}
        pairs = [(link, described.objects.get()) for link in links_of(migration).values()]
        assert find_edits(described, pairs, book_of(migration)) == {}
    assert described.objects.get().words == {"colour": "red"}
    assert migrate_fine(migration, [{"id": 1, "words": '{"colour": "red"}'}]).counts == {
        "unchanged": 1
    }


def test_what_a_person_changed_is_kept(described: Any) -> None:
    migration = updateable(described)
    migrate_fine(migration, [{"id": 1, "words": {"a": "1"}}])
    described.objects.update(words={"a": "edited"})
    ((kind, key, cause),) = migrate(migration, [{"id": 1, "words": {"a": "2"}}]).said
    assert (kind, key) == ("conflict", "1")
    assert "which is kept" in cause
    assert described.objects.get().words == {"a": "edited"}


def test_what_is_no_dict_fails(described: Any) -> None:
    result = migrate(updateable(described), [{"id": 1, "words": "red"}, {"id": 2, "words": None}])
    assert result.counts == {"created": 1, "failed": 1}
