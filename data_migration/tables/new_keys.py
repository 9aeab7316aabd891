"""Primary keys for new rows, known before the rows are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.db.models import AutoField, Model

from ..utils.databases import database_of

Take = Callable[[int], Iterable[int]]


class NewKeys:
    """Keys of ``model`` that the database would give to its next rows.

    PostgreSQL: taken from the sequence. SQLite, where one connection writes at a time: those
    above the highest one. Needs a transaction around it, to whose end nobody else gets the same.
    """

    def __init__(self, model: type[Model], *, database: str) -> None:
        target = database_of(database)
        #: Whether a row without a value for its primary key gets a new number.
        self.are_given = isinstance(model._meta.pk, AutoField)
        way = _WAYS.get(target.vendor) if self.are_given else None
        self._take = way(target.connection, model) if way is not None else None

    def __bool__(self) -> bool:
        """Whether keys can be had like this."""
        return self._take is not None

    def take(self, count: int) -> Iterable[int]:
        """``count`` new keys in ascending order."""
        assert self._take is not None, "keys can be had"
        return self._take(count)


def _from_sequence(connection: Any, model: Any) -> Take | None:
    """None for a column whose numbers come from elsewhere."""
    with connection.cursor() as cursor:
        table = connection.ops.quote_name(model._meta.db_table)
        cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", [table, model._meta.pk.column])
        (sequence,) = cursor.fetchone()
    if sequence is None:
        return None

    def take(count: int) -> Iterable[int]:
        with connection.cursor() as cursor:
            sql = "SELECT nextval(%s) FROM generate_series(1, %s)"
            cursor.execute(sql, [sequence, count])
            return [key for (key,) in cursor.fetchall()]

    return take


def _above_the_highest(connection: Any, model: Any) -> Take:
    """Django's tables on SQLite do not give a key twice: the highest there ever was counts."""
    table, quote = model._meta.db_table, connection.ops.quote_name
    highest_there_is = f"SELECT MAX({quote(model._meta.pk.column)}) FROM {quote(table)}"

    def ever_given(cursor: Any) -> int:
        cursor.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'")
        if cursor.fetchone() is None:
            return 0
        cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [table])
        found = cursor.fetchone()
        return int(found[0]) if found else 0

    def take(count: int) -> Iterable[int]:
        with connection.cursor() as cursor:
            cursor.execute(highest_there_is)
            highest = max(cursor.fetchone()[0] or 0, ever_given(cursor))
        return range(highest + 1, highest + 1 + count)

    return take


_WAYS: dict[str, Callable[[Any, Any], Take | None]] = {
    "postgresql": _from_sequence,
    "sqlite": _above_the_highest,
}
