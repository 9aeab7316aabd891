"""Run a Migration over rows that a test spells out: the real engine, no discovery.

The rows go through a legacy SQLite database in memory, made anew for every run. Values that
SQLite does not know (dates, decimals, lists ...) come out of it as the very objects that went in,
as other drivers would return them.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connection, models, transaction

from data_migration.ledger import Ledger, Link, LinkBook
from data_migration.migration import Migration
from data_migration.models import MigrationState, RowError, Run, RunStep
from data_migration.options import RunOptions
from data_migration.outcomes import Mode, OnError
from data_migration.plan.graph import build_plan
from data_migration.run.runner import run_import

Row = Mapping[str, Any]
Rows = list[dict[str, Any]]

_STANDS_FOR = "\x00object "
_COUNTS = ("created", "updated", "unchanged", "skipped", "failed", "warnings", "passed", "removed")
_KNOWN = (type(None), int, float, str, bytes)


@dataclass(frozen=True)
class Result:
    """What became of one migration; ``warned`` is what a person was told at once."""

    run: Run
    step: RunStep
    error: BaseException | None
    messages: list[RowError]
    warned: list[str]

    @property
    def counts(self) -> dict[str, int]:
        """The outcomes that occurred."""
        return {name: count for name in _COUNTS if (count := getattr(self.step, name))}

    @property
    def told(self) -> list[tuple[str, str, str]]:
        """(legacy key, column, value) of each message."""
        return [(message.key, message.column, message.value) for message in self.messages]

    @property
    def said(self) -> list[tuple[str, str, str]]:
        """(kind, legacy key, cause) of each message."""
        return [(message.kind, message.key, message.cause) for message in self.messages]

    @property
    def causes(self) -> list[str]:
        return [message.cause for message in self.messages]


def migrate(
    migration: type[Migration],
    rows: Sequence[Row],
    *,
    on_error: OnError = OnError.CONTINUE,
    mode: Mode = Mode.COMMIT,
    columns: Sequence[str] = (),
    all_rows: bool = True,
    **options: Any,
) -> Result:
    """Run ``migration`` as ``shop.<its name>`` over ``rows``.

    ``columns`` are those of the query where no row says so, ``options`` those of
    :class:`RunOptions`. What is no :exc:`Exception` (Ctrl-C) is an ``error`` here as well.
    Asserts that each row ended in exactly one count, or had been done before; without
    ``all_rows`` the run may leave some unread.
    """
    cls = over(migration, rows, columns)
    result = migrate_source(cls, on_error=on_error, mode=mode, **options)
    is_whole = not options.get("retry_failed") and options.get("limit") is None
    if result.error is None and is_whole and all_rows:
        counted = result.step.read + result.step.passed
        assert counted == len(rows), f"{counted} rows are counted of {len(rows)}"
    return result


def migrate_source(
    migration: type[Migration],
    *,
    on_error: OnError = OnError.CONTINUE,
    mode: Mode = Mode.COMMIT,
    **options: Any,
) -> Result:
    """:func:`migrate`, from the legacy database that the migration opens by itself."""
    warned: list[str] = []
    asked = RunOptions(mode=mode, on_error=on_error, warn=warned.append, **options)
    plan = build_plan({label_of(migration): migration})
    done = run_import(plan, asked, Ledger("default"))
    step = done.steps[0]
    return Result(done.run, step, done.error, list(step.messages.all()), warned)


def label_of(migration: type[Migration]) -> str:
    """The label under which :func:`migrate` runs it."""
    return f"shop.{migration.__name__}"


def state_of(migration: type[Migration]) -> MigrationState:
    """What the ledger remembers of a migration that ran."""
    return MigrationState.objects.get(label=label_of(migration))


def book_of(migration: type[Migration]) -> LinkBook:
    """The links of a migration that ran."""
    return LinkBook(state_of(migration), database="default")


def links_of(migration: type[Migration]) -> dict[str, Link]:
    """Its links by the text of the key."""
    return {link.key: link for link in book_of(migration).all()}


def open_failures_of(migration: type[Migration]) -> list[str]:
    """The keys of its failed rows that are still to be mended, in the order of the messages."""
    open_ = RowError.objects.filter(migration=state_of(migration), is_open=True)
    return list(open_.order_by("pk").values_list("key", flat=True))


def migrate_fine(migration: type[Migration], rows: Sequence[Row], **options: Any) -> Result:
    """:func:`migrate`, for rows that must not fail."""
    result = migrate(migration, rows, **options)
    assert result.error is None, result.error
    assert not result.messages, [str(message) for message in result.messages]
    return result


def over(
    migration: type[Migration], rows: Sequence[Row], columns: Sequence[str] = ()
) -> type[Migration]:
    """``migration`` with a query that returns ``rows``."""
    names = list(columns) or list(dict.fromkeys(name for row in rows for name in row))

    def open_db_connection(cls: type[Migration]) -> sqlite3.Connection:
        return legacy_database(names, rows)

    listed = ", ".join(f'"{name}"' for name in names)
    attributes = {
        "query": f"SELECT {listed} FROM legacy ORDER BY legacy_position",
        "open_db_connection": classmethod(open_db_connection),
    }
    return type(migration.__name__, (migration,), attributes)


def legacy_database(names: Sequence[str], rows: Sequence[Row]) -> sqlite3.Connection:
    """A database whose table ``legacy`` holds ``rows``; a key that a row lacks is NULL."""
    objects: list[Any] = []

    def stored(value: Any) -> Any:
        if type(value) in _KNOWN and _fits(value):
            return value
        objects.append(value)
        return f"{_STANDS_FOR}{len(objects) - 1}"

    def as_it_was(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> dict[str, Any]:
        values = (
            objects[int(value.removeprefix(_STANDS_FOR))]
            if isinstance(value, str) and value.startswith(_STANDS_FOR)
            else value
            for value in row
        )
        return dict(zip((column[0] for column in cursor.description), values, strict=True))

    connection = sqlite3.connect(":memory:")
    listed = ", ".join(f'"{name}"' for name in names)
    connection.execute(f"CREATE TABLE legacy ({listed}, legacy_position)")
    marks = ", ".join("?" * (len(names) + 1))
    connection.executemany(
        f"INSERT INTO legacy VALUES ({marks})",
        (
            [*(stored(row.get(name)) for name in names), position]
            for position, row in enumerate(rows)
        ),
    )
    connection.row_factory = as_it_was
    return connection


def _fits(value: Any) -> bool:
    """Whether SQLite has a place for such a number or text."""
    if type(value) is int:
        return bool(-(2**63) <= value < 2**63)
    # Lone surrogates come out of damaged legacy databases only.
    return type(value) is not str or value.isprintable() or not _SURROGATE.search(value)


_SURROGATE = re.compile("[\ud800-\udfff]")


@contextmanager
def undone() -> Any:
    """What the block wrote is rolled back: for examples of one property test."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


class Statements(list[str]):
    """The SQL that ran in a :func:`statements` block."""

    def starting(self, *words: str, table: type[models.Model] | None = None) -> list[str]:
        """Those that begin with one of ``words`` (and name the table)."""
        name = table._meta.db_table if table else ""
        return [sql for sql in self if sql.startswith(words) and name in sql]

    def writing(self, *tables: str) -> list[str]:
        """INSERT, UPDATE and DELETE on a table whose name starts with one of ``tables``."""
        quoted = [mark + table for table in tables for mark in '"`']
        return [
            sql
            for sql in self.starting("INSERT", "UPDATE", "DELETE")
            if any(name in sql for name in quoted)
        ]


@contextmanager
def statements() -> Any:
    """Collect the SQL of the block, in order; without the cost of a debug cursor."""
    seen = Statements()

    def note(execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        seen.append(str(sql))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield seen
