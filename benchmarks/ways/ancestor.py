"""django-data-migration 0.2.1, unchanged, under ``benchmarks.ancestor_settings``."""

from __future__ import annotations

import sqlite3
from typing import Any

from django.db import connection, transaction

from benchmarks import legacy
from benchmarks.cases import Case
from benchmarks.people.models import Department, Employee


def _dict(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> dict[str, Any]:
    return {column[0]: value for column, value in zip(cursor.description, row, strict=True)}


def _open(cls: type) -> Any:
    opened = sqlite3.connect(legacy.here())
    opened.row_factory = _dict
    return opened


def prepare(case: Case) -> None:
    from data_migration.models import AppliedMigration  # the ancestor's

    if AppliedMigration._meta.db_table not in connection.introspection.table_names():
        with connection.schema_editor() as editor:
            editor.create_model(AppliedMigration)
    AppliedMigration.objects.all().delete()


def run(case: Case) -> None:
    from data_migration.migration import Migration, is_a  # the ancestor's

    columns = {}
    if case.fk:
        columns[case.fk] = is_a(Employee, search_attr="id", fk=True, assign_by_id=True)
    if case.m2m:
        columns[case.m2m] = is_a(Department, search_attr="id", m2m=True, delimiter=",")
    body = {
        "query": case.query("sqlite"),
        "model": case.model,
        "column_description": columns,
        "open_db_connection": classmethod(_open),
    }
    migration = type("BenchmarkMigration", (Migration,), body)
    with transaction.atomic():  # what its Migrator does around each run
        migration.migrate()
