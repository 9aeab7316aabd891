"""Rows into one table: COPY, INSERTs of many rows, or a prepared INSERT for each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import chain
from typing import Any

from django.db import connections
from django.db.models import Model

from ..fields.stock import target_of
from .forms import Form, Values, array, copied, literals, parameters, texts

#: Databases with a way of their own here; on any other, Django writes.
_VENDORS = ("postgresql", "mysql", "sqlite")
_BYTES_OF_A_CHARACTER = 4  # at most, in UTF-8


#: SQL with its parameters.
Statements = Iterator[tuple[str, list[Any] | None]]


Meanwhile = Callable[[], None]


def nothing() -> None:
    """Do nothing meanwhile."""


@contextmanager
def _kept_for_later(meanwhile: Meanwhile) -> Iterator[Meanwhile]:
    """What ``meanwhile`` raises comes when the connection is done with its statement."""
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
    """Whether :class:`TableInsert` knows the kind of database."""
    return connections[database].vendor in _VENDORS


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
        self._connection = connections[database]
        self._by_copy = by_copy
        self._vendor = self._connection.vendor
        quote = self._connection.ops.quote_name
        named = ", ".join(quote(field.column) for field in fields)
        self._target = f"{quote(model._meta.db_table)} ({named})"
        self._fields = fields
        self._forms = [self._form(field, field.name in ready) for field in fields]

    def _form(self, field: Any, is_ready: bool) -> Form:
        if self._vendor == "postgresql":
            return list if is_ready else texts(field)
        form = list if is_ready else parameters(field, self._connection)
        return literals(form, self._connection) if self._vendor == "mysql" else form

    def __call__(self, columns: Sequence[Values], meanwhile: Meanwhile = nothing) -> None:
        """Insert the rows whose values stand in ``columns``, one sequence for each field.

        ``meanwhile`` is called while the server takes the rows, where it does so by itself; it
        may not touch the database. What it raises comes when the rows are written. Raises
        :exc:`.forms.Unsuitable` before anything is written, and what the database raises.
        """
        written = self._written(columns)
        with _kept_for_later(meanwhile) as call:
            if self._by_copy:
                self._copy(written, call)
            elif self._vendor == "sqlite":
                self._one_by_one(written)
            elif meanwhile is not nothing and hasattr(self._connection.connection, "send_query"):
                self._send(written, call)
            else:
                for _ in self._many(written):
                    pass

    def returning(self, columns: Sequence[Values], field: Any) -> list[Any]:
        """Insert the rows; the values that the database gave ``field``, in their order."""
        name = self._connection.ops.quote_name(field.column)
        returned = self._many(self._written(columns), f" RETURNING {name}")
        return [value for (value,) in chain.from_iterable(returned)]

    def _written(self, columns: Sequence[Values]) -> list[Values]:
        return [form(values) for form, values in zip(self._forms, columns, strict=True)]

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

    def _one_by_one(self, columns: Sequence[Values]) -> None:
        marks = ", ".join(["%s"] * len(self._fields))
        with self._connection.cursor() as cursor:
            rows = list(zip(*columns, strict=True))
            cursor.executemany(f"INSERT INTO {self._target} VALUES ({marks})", rows)

    def _many(self, columns: Sequence[Values], suffix: str = "") -> Iterator[Sequence[Any]]:
        """INSERTs of many rows; what each of them returns."""
        with self._connection.cursor() as cursor:
            for sql, params in self._statements(columns):
                cursor.execute(sql + suffix, params)
                yield cursor.fetchall() if suffix else ()

    def _statements(self, columns: Sequence[Values]) -> Statements:
        sql = f"INSERT INTO {self._target} "
        statements = self._unnested(columns)
        if self._vendor == "mysql":
            statements = _values(columns, self._packet // _BYTES_OF_A_CHARACTER - len(sql))
        return ((sql + rows, params) for rows, params in statements)

    @cached_property
    def _packet(self) -> int:
        """Bytes of the longest statement; MySQL closes the connection on a longer one."""
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT @@max_allowed_packet")
            return int(cursor.fetchone()[0])

    def _send(self, columns: Sequence[Values], meanwhile: Meanwhile) -> None:
        """The same on MySQL, without waiting while the server works on the first of them."""
        raw = self._connection.connection
        for sql, _ in self._statements(columns):
            with self._connection.wrap_database_errors:
                raw.send_query(sql.encode(raw.encoding))
                meanwhile()
                raw.read_query_result()
            meanwhile = nothing

    def _unnested(self, columns: Sequence[Values]) -> Statements:
        """One parameter for each column, which every driver quotes at once."""
        types = (_array_type(field, self._connection) for field in self._fields)
        arrays = ", ".join(f"%s::{each}[]" for each in types)
        yield f"SELECT * FROM unnest({arrays})", list(map(array, columns))


def _array_type(field: Any, connection: Any) -> str:
    """The field's type without its length: a cast would cut what an INSERT refuses."""
    named = target_of(field).cast_db_type(connection)
    return str(named).partition("(")[0]


def _values(columns: Sequence[Values], limit: int) -> Statements:
    """The rows of literals in as few statements as it takes, of ``limit`` characters each."""
    portion: list[str] = []
    size = 0
    for row in map(", ".join, zip(*columns, strict=True)):
        if portion and size + len(row) > limit:
            yield f"VALUES ({'), ('.join(portion)})", None
            portion, size = [], 0
        portion.append(row)
        size += len(row) + 4
    if portion:
        yield f"VALUES ({'), ('.join(portion)})", None
