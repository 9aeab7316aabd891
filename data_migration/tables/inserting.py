"""Rows into one table: COPY, INSERTs of many rows, or a prepared INSERT for each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

from django.db.models import Model

from ..fields.lookup import target_field_of
from ..utils.databases import Database, database_of
from .forms import Form, Unsuitable, Values, array, copied, literals, parameters, texts

BYTES_OF_A_CHARACTER = 4  # at most, in UTF-8


#: SQL with its parameters.
Statements = Iterator[tuple[str, list[Any] | None]]


Meanwhile = Callable[[], None]


def nothing() -> None:
    """Do nothing meanwhile."""


@contextmanager
def _kept_for_later(meanwhile: Meanwhile) -> Iterator[Meanwhile]:
    """What ``meanwhile`` raises comes when the connection is done with its statement."""
    if meanwhile is nothing:
        yield nothing
        return
    raised: list[BaseException] = []

    def call() -> None:
        try:
            meanwhile()
        except BaseException as error:
            raised.append(error)

    try:
        yield call
    finally:
        if raised:
            raise raised[0]


class _Source:
    """What psycopg2 reads from: all of the data at once, and at the end the time until then."""

    def __init__(self, data: bytes, meanwhile: Meanwhile) -> None:
        self._read = iter((data,))
        self._meanwhile = meanwhile

    def read(self, size: int) -> bytes:
        data = next(self._read, b"")
        if not data:
            self._meanwhile()
        return data


def has_own_way(database: str) -> bool:
    """Whether :class:`TableInsert` knows the kind of database; on any other, Django writes."""
    return database_of(database).vendor in _WAYS


class TableInsert:
    """Inserts rows of ``model``'s table: ``fields`` in this order, every other by its default.

    With ``by_copy`` (PostgreSQL only) the rows go by COPY. ``ready`` names the fields whose
    values are texts that the database takes as they are. Needs a transaction around it.
    """

    def __init__(
        self,
        model: type[Model],
        fields: Sequence[Any],
        *,
        database: str,
        by_copy: bool = False,
        ready: Collection[str] = (),
    ) -> None:
        target = database_of(database)
        self._way = way = _WAYS[target.vendor](target, model, fields, by_copy=by_copy)
        self._forms = [way.form(field, is_ready=field.name in ready) for field in fields]

    def __call__(self, columns: Sequence[Values], meanwhile: Meanwhile = nothing) -> None:
        """Insert the rows whose values stand in ``columns``, one sequence for each field.

        ``meanwhile`` is called while the server takes the rows, where it does so by itself; it
        may not touch the database. What it raises comes when the rows are written. Raises
        :exc:`.forms.Unsuitable` before anything is written, and what the database raises.
        """
        written = self._written(columns)
        with _kept_for_later(meanwhile) as call:
            self._way.insert(written, call)

    def returning(self, columns: Sequence[Values], field: Any) -> list[Any]:
        """Insert the rows; the values that the database gave ``field``, in their order."""
        return self._way.returning(self._written(columns), field)

    def _written(self, columns: Sequence[Values]) -> list[Values]:
        return [form(values) for form, values in zip(self._forms, columns, strict=True)]


class _Way:
    """How one kind of database takes rows: as few INSERTs as can be."""

    def __init__(
        self, database: Database, model: type[Model], fields: Sequence[Any], *, by_copy: bool
    ) -> None:
        self._db = database
        self._connection: Any = database.connection
        self._fields = fields
        self._by_copy = by_copy
        quote = self._connection.ops.quote_name
        named = ", ".join(quote(field.column) for field in fields)
        self._target = f"{quote(model._meta.db_table)} ({named})"

    def form(self, field: Any, *, is_ready: bool) -> Form:
        """What :meth:`insert` is given for the values of ``field``."""
        return list if is_ready else parameters(field, self._connection)

    def insert(self, columns: Sequence[Values], meanwhile: Meanwhile) -> None:
        for _ in self._execute(columns):
            pass

    def returning(self, columns: Sequence[Values], field: Any) -> list[Any]:
        name = self._connection.ops.quote_name(field.column)
        returned = self._execute(columns, f" RETURNING {name}")
        return [value for (value,) in chain.from_iterable(returned)]

    def _execute(self, columns: Sequence[Values], suffix: str = "") -> Iterator[Sequence[Any]]:
        """What each of the INSERTs returns."""
        with self._connection.cursor() as cursor:
            for sql, params in self._statements(columns):
                cursor.execute(sql + suffix, params)
                yield cursor.fetchall() if suffix else ()

    def _statements(self, columns: Sequence[Values]) -> Statements:
        raise NotImplementedError


class _Arrays(_Way):
    """PostgreSQL: COPY, or one parameter for each column, which every driver quotes at once."""

    def form(self, field: Any, *, is_ready: bool) -> Form:
        return list if is_ready else texts(field)

    def insert(self, columns: Sequence[Values], meanwhile: Meanwhile) -> None:
        if self._by_copy:
            self._copy(columns, meanwhile)
        else:
            super().insert(columns, meanwhile)

    def _copy(self, columns: Sequence[Values], meanwhile: Meanwhile) -> None:
        text = "\n".join(map("\t".join, zip(*map(copied, columns), strict=True)))
        # Encoded here: a text that cannot be is a fault of its row, not of the connection.
        data = f"{text}\n".encode()
        sql = f"COPY {self._target} FROM STDIN"
        with self._connection.cursor() as cursor, self._connection.wrap_database_errors:
            if hasattr(cursor.cursor, "copy_expert"):  # psycopg2
                cursor.cursor.copy_expert(sql, _Source(data, meanwhile), len(data))
            else:
                with cursor.cursor.copy(sql) as copy:
                    copy.write(data)
                    meanwhile()

    def _statements(self, columns: Sequence[Values]) -> Statements:
        arrays = types_of_arrays(self._fields, self._connection)
        rows = f"SELECT * FROM unnest({arrays})"
        yield f"INSERT INTO {self._target} {rows}", list(map(array, columns))


class _Literals(_Way):
    """MySQL and MariaDB: literals, in statements that are no longer than a packet."""

    def form(self, field: Any, *, is_ready: bool) -> Form:
        return literals(super().form(field, is_ready=is_ready), self._connection)

    def insert(self, columns: Sequence[Values], meanwhile: Meanwhile) -> None:
        raw = self._connection.connection
        if meanwhile is nothing or not hasattr(raw, "send_query"):
            super().insert(columns, meanwhile)
            return
        # Not waiting while the server works on the first of them.
        for sql, _ in self._statements(columns):
            with self._connection.wrap_database_errors:
                raw.send_query(sql.encode(raw.encoding))
                meanwhile()
                raw.read_query_result()
            meanwhile = nothing

    def _statements(self, columns: Sequence[Values]) -> Statements:
        sql = f"INSERT INTO {self._target} "
        longest = self._db.longest_statement
        assert longest is not None
        for rows in rows_of_literals(columns, longest // BYTES_OF_A_CHARACTER - len(sql)):
            self._db.refuse_too_long(sql + rows)
            yield sql + rows, None


class _Prepared(_Way):
    """SQLite: one prepared INSERT, executed for each row."""

    def insert(self, columns: Sequence[Values], meanwhile: Meanwhile) -> None:
        marks = ", ".join(["%s"] * len(self._fields))
        with self._connection.cursor() as cursor:
            rows = list(zip(*columns, strict=True))
            cursor.executemany(f"INSERT INTO {self._target} VALUES ({marks})", rows)

    def returning(self, columns: Sequence[Values], field: Any) -> list[Any]:
        raise Unsuitable("a prepared INSERT of many rows returns nothing")


_WAYS: dict[str, type[_Way]] = {"postgresql": _Arrays, "mysql": _Literals, "sqlite": _Prepared}


def types_of_arrays(fields: Sequence[Any], connection: Any) -> str:
    """A parameter with the type of its array for each of the fields (PostgreSQL)."""
    # Without their lengths: a cast would cut what an INSERT refuses.
    types = (
        str(target_field_of(field).cast_db_type(connection)).partition("(")[0] for field in fields
    )
    return ", ".join(f"%s::{each}[]" for each in types)


def rows_of_literals(columns: Sequence[Values], limit: int, row: str = "") -> Iterator[str]:
    """The rows of literals in as few VALUES as it takes, of ``limit`` characters each.

    ``row`` stands before each of them, where VALUES are no part of an INSERT (MySQL's ROW).
    """
    portion: list[str] = []
    size = 0
    for values in map(", ".join, zip(*columns, strict=True)):
        if portion and size + len(values) > limit:
            yield _values(portion, row)
            portion, size = [], 0
        portion.append(values)
        size += len(values) + len(row) + 4
    if portion:
        yield _values(portion, row)


def _values(rows: Sequence[str], row: str) -> str:
    return f"VALUES {row}({f'), {row}('.join(rows)})"
