"""Not for speed: how often one of our runs writes to the model's table if some rows fail.

Savepoints are left out: a server answers them in no time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any
from unittest.mock import patch

from django.core.management import CommandError, call_command
from django.db import connection

from benchmarks.cases import Case
from benchmarks.job import Absent
from benchmarks.ways.ours import USAGE

statements = 0


def run(case: Case, **spec: Any) -> None:
    table = case.model._meta.db_table
    with connection.execute_wrapper(partial(_count, table)), _counted_copies():
        try:
            call_command("migrate_legacy", commit=True, on_error="continue", no_progress=True)
        except CommandError as error:  # 1 says that rows have failed
            if error.returncode == USAGE:
                raise Absent(str(error).splitlines()[-1].strip()) from error


def _count(table: str, execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
    global statements
    statements += sql.startswith("INSERT") and table in sql
    return execute(sql, *arguments)


@contextmanager
def _counted_copies() -> Iterator[None]:
    """Count COPY as well, which passes by Django's wrappers; psycopg 3 only."""
    with suppress(ImportError):
        import psycopg

        copy = psycopg.Cursor.copy

        def counted(*arguments: Any, **options: Any) -> Any:
            global statements
            statements += 1
            return copy(*arguments, **options)

        with patch.object(psycopg.Cursor, "copy", counted):
            yield
        return
    yield
