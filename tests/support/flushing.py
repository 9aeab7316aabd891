"""A test that commits is tidied up after by emptying the tables that it wrote to.

Django empties all, some two hundred, and then makes every content type and permission anew: that
takes longer than most of these tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections, transaction
from django.test import TransactionTestCase


@contextmanager
def quick_flushes() -> Iterator[None]:
    """In the block Django's test cases that commit empty only tables with rows.

    Content types and permissions stay where a test has left them as they were; otherwise Django
    does it its own way.
    """
    own_setup = TransactionTestCase._fixture_setup.__func__  # type: ignore[attr-defined]
    own_teardown = TransactionTestCase._fixture_teardown  # type: ignore[attr-defined]

    def setup(cls: Any) -> None:
        own_setup(cls)
        cls.made_by_migrate = {name: _made_by_migrate(name) for name in _databases_of(cls)}

    def teardown(self: Any) -> None:
        for name, made in self.made_by_migrate.items():
            if self.available_apps is not None or _made_by_migrate(name) != made:
                return own_teardown(self)  # type: ignore[no-any-return]
        for name in self.made_by_migrate:
            _empty(name)
        return None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_setup", classmethod(setup))
        patch.setattr(TransactionTestCase, "_fixture_teardown", teardown)
        yield


def _databases_of(case: Any) -> list[str]:
    return list(case._databases_names(include_mirrors=False))


def _made_by_migrate(database: str) -> list[Any]:
    from django.contrib.auth.models import Permission
    from django.contrib.contenttypes.models import ContentType

    return [
        list(model.objects.using(database).order_by("pk").values_list())
        for model in (ContentType, Permission)
    ]


def _empty(database: str) -> None:
    """Delete every row but those of content types and permissions. Sequences stay as they are."""
    from django.contrib.auth.models import Permission
    from django.contrib.contenttypes.models import ContentType

    connection = connections[database]
    kept = {ContentType._meta.db_table, Permission._meta.db_table}
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    quoted = [connection.ops.quote_name(table) for table in tables if table not in kept]
    has_rows = " UNION ALL ".join(
        f"SELECT {number} WHERE EXISTS (SELECT 1 FROM {table})"
        for number, table in enumerate(quoted)
    )
    # Whatever the order: where constraints cannot be disabled, Django's are looked at in the end.
    with (
        connection.constraint_checks_disabled(),
        transaction.atomic(using=database),
        connection.cursor() as cursor,
    ):
        cursor.execute(has_rows)
        for (number,) in cursor.fetchall():
            cursor.execute(f"DELETE FROM {quoted[number]}")
