"""The target database between two measurements: emptied, and with what relations refer to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.apps import apps
from django.core.management.color import no_style
from django.db import connection
from django.db.models import Model

from benchmarks.legacy import DEPARTMENTS
from benchmarks.people.models import Department, Employee


@contextmanager
def database() -> Iterator[str]:
    """A new target database with its tables; yields its name or path, and drops it."""
    connection.creation.create_test_db(verbosity=0)
    name = str(connection.settings_dict["NAME"])
    Department.objects.bulk_create(
        Department(pk=number, name=f"Department {number}") for number in range(1, DEPARTMENTS + 1)
    )
    try:
        yield name
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)


def clear(*, keep_employees: bool = False) -> None:
    """Empty the ledger and every table that a case fills."""
    kept: set[type[Model]] = {Department, Employee} if keep_employees else {Department}
    models = [*apps.get_models(include_auto_created=True)]
    tables = [model._meta.db_table for model in models if model not in kept]
    statements = connection.ops.sql_flush(no_style(), tables, reset_sequences=True)
    connection.ops.execute_sql_flush(statements)


def employees() -> int:
    return Employee.objects.count()
