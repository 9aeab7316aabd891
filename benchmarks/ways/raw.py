"""No Django between the rows and the database: COPY, or the driver's ``executemany``.

Nothing is converted: it is the bound that the source and the database set.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from django.db import connection, transaction

from benchmarks import legacy
from benchmarks.cases import BATCH, Case
from benchmarks.job import Absent


def run(case: Case) -> None:
    insert = _copy if connection.vendor == "postgresql" else _executemany
    columns = [field.column for field in case.model._meta.concrete_fields]
    if case.fk:
        columns.remove("id")
    rows = legacy.tuples(case.query(legacy.engine(legacy.here())), BATCH)
    with transaction.atomic(), connection.cursor() as cursor:
        if case.m2m:
            _with_joins(case, rows, insert, cursor.cursor)
        else:
            insert(cursor.cursor, case.model._meta.db_table, columns, rows)


def _with_joins(case: Case, rows: Iterator[Any], insert: Any, cursor: Any) -> None:
    joins = case.through._meta.db_table
    while batch := list(islice(rows, BATCH)):
        members = [row[:-1] for row in batch]
        insert(cursor, case.model._meta.db_table, ["id", "first_name", "last_name"], members)
        pairs = [(row[0], int(number)) for row in batch for number in row[-1].split(",")]
        insert(cursor, joins, ["member_id", "department_id"], pairs)


def _copy(cursor: Any, table: str, columns: list[str], rows: Iterable[Any]) -> None:
    if not hasattr(cursor, "copy"):
        raise Absent("COPY is measured through psycopg 3: pip install psycopg[binary]")
    with cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _executemany(cursor: Any, table: str, columns: list[str], rows: Iterable[Any]) -> None:
    # The cursor of the driver: Django's own would rewrite the marks of every statement.
    driver = connection.connection.cursor()
    mark = "?" if connection.vendor == "sqlite" else "%s"
    marks = ", ".join([mark] * len(columns))
    names = ", ".join(columns)
    rows = iter(rows)
    while batch := list(islice(rows, BATCH)):
        driver.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", batch)
