"""Primary keys for new rows, known before the rows are written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import AutoField, Model

from ..utils.databases import database_of


class NewKeys:
    """Keys of ``model`` that the database would give to its next rows.

    PostgreSQL: taken from the sequence. SQLite, where one connection writes at a time: those
    above the highest one. Needs a transaction around it, to whose end nobody else gets the same.
    """

    def __init__(self, model: type[Model], *, database: str) -> None:
        self._connection: Any = database_of(database).connection
        self._field: Any = model._meta.pk
        self._table = model._meta.db_table
        self._sequence: str | None = None
        self._sql = self._statement() if self.are_given else ""

    @property
    def are_given(self) -> bool:
        """Whether a row without a value for its primary key gets a new number."""
        return isinstance(self._field, AutoField)

    def __bool__(self) -> bool:
        """Whether keys can be had like this."""
        return bool(self._sql)

    def _statement(self) -> str:
        quote = self._connection.ops.quote_name
        table, column = quote(self._table), quote(self._field.column)
        if self._connection.vendor == "postgresql":
            self._sequence = self._sequence_of(table)
            return "SELECT nextval(%s) FROM generate_series(1, %s)" if self._sequence else ""
        if self._connection.vendor == "sqlite":
            return f"SELECT MAX({column}) FROM {table}"
        return ""

    def _sequence_of(self, table: str) -> str | None:
        with self._connection.cursor() as cursor:
            arguments = [table, self._field.column]
            cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", arguments)
            (name,) = cursor.fetchone()
        return None if name is None else str(name)

    def take(self, count: int) -> Iterable[int]:
        """``count`` new keys in ascending order."""
        with self._connection.cursor() as cursor:
            if self._connection.vendor == "postgresql":
                cursor.execute(self._sql, [self._sequence, count])
                return [key for (key,) in cursor.fetchall()]
            cursor.execute(self._sql)
            highest = max(cursor.fetchone()[0] or 0, self._ever_given(cursor))
        return range(highest + 1, highest + 1 + count)

    def _ever_given(self, cursor: Any) -> int:
        """The highest key there ever was; Django's tables on SQLite do not give one twice."""
        cursor.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'")
        if cursor.fetchone() is None:
            return 0
        cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [self._table])
        found = cursor.fetchone()
        return int(found[0]) if found else 0
