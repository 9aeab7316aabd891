"""Rows of the ledger in bulk, in the fastest way that each target database has.

Links are looked for by hash: on SQLite through ``json_each`` over one parameter, since it takes a
limited number of them. How they are inserted is in :mod:`data_migration.tables`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BinaryField, JSONField, Model, UUIDField

from ..tables import Meanwhile, TableInsert, nothing
from ..utils.chunks import chunks
from ..utils.databases import database_of

#: Hashes in one statement: 400 kB of it, which even old servers take.
_CHUNK = 10_000


class RowInsert:
    """Inserts rows of ``columns`` that belong to a migration, by the field ``owner``.

    Hashes in hexadecimal digits, JSON as text. Made once for many batches.
    """

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        model: type[Model],
        columns: Sequence[str],
        *,
        owner: str = "migration",
    ) -> None:
        fields = [model._meta.get_field(name) for name in columns]
        self._insert = TableInsert(
            model,
            [model._meta.get_field(owner), *fields],
            database=connection.alias,
            by_copy=database_of(connection.alias).takes_copy,
            ready=[field.name for field in fields if isinstance(field, (UUIDField, JSONField))],
        )

    def __call__(
        self, migration: int, rows: Sequence[Sequence[Any]], meanwhile: Meanwhile = nothing
    ) -> None:
        """``meanwhile`` as for :class:`~data_migration.tables.TableInsert`."""
        if rows:
            self._insert([[migration] * len(rows), *zip(*rows, strict=True)], meanwhile)


def select_by_hash(
    connection: BaseDatabaseWrapper,
    model: type[Model],
    columns: Sequence[str],
    migrations: Sequence[int],
    hashes: Collection[str],
) -> Iterator[tuple[Any, ...]]:
    """The rows of these hashes: ``columns``, of which the first is ``key_hash``."""
    listed = ", ".join(map(connection.ops.quote_name, columns))
    if connection.vendor == "postgresql":
        listed = listed.replace(",", "::text,", 1)  # both drivers would make UUID objects
    fields = map(model._meta.get_field, columns)
    binary = [n for n, field in enumerate(fields) if isinstance(field, BinaryField)]
    for sql, params in _statements(f"SELECT {listed}", connection, model, migrations, hashes):
        with connection.cursor() as cursor:
            cursor.execute(sql, params)
            rows = cursor.fetchall()
        if rows:
            values: list[Iterable[Any]] = list(zip(*rows, strict=True))
            values[0] = [digits.replace("-", "") for digits in values[0]]
            for position in binary:
                values[position] = map(bytes, values[position])  # psycopg2 has memoryviews
            yield from zip(*values, strict=True)


def values_by_hash(
    connection: BaseDatabaseWrapper,
    model: type[Model],
    columns: Sequence[str],
    migration: int,
    hashes: Collection[str],
    where: str,
) -> list[tuple[Any, ...]]:
    """Some columns of the rows of these hashes that meet the condition."""
    verb = f"SELECT {', '.join(map(connection.ops.quote_name, columns))}"
    found: list[Any] = []
    for sql, params in _statements(verb, connection, model, [migration], hashes):
        found += _values(connection, f"{sql} AND {where}", params)
    return found


def values_between(
    connection: BaseDatabaseWrapper,
    model: type[Model],
    columns: Sequence[str],
    migration: int,
    hashes: Collection[str],
    where: str,
    *,
    limit: int,
) -> list[tuple[Any, ...]] | None:
    """The same of all hashes from the lowest to the highest; None where these are too many.

    A stretch of the index is read in half the time that as many single keys take.
    """
    quoted = connection.ops.quote_name
    table, listed = quoted(model._meta.db_table), ", ".join(map(quoted, columns))
    found = _values(
        connection,
        f"SELECT {listed} FROM {table} WHERE migration_id = {int(migration)}"
        f" AND key_hash BETWEEN %s AND %s AND {where} LIMIT {limit}",
        [min(hashes), max(hashes)],
    )
    return found if len(found) < limit else None


def _values(connection: BaseDatabaseWrapper, sql: str, params: list[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())


def select_by_object(
    connection: BaseDatabaseWrapper,
    model: type[Model],
    columns: Sequence[str],
    migrations: Sequence[int],
    pks: Collection[str],
) -> Iterator[tuple[Any, ...]]:
    """Some columns of the rows of these objects, by the text of their primary keys."""
    quoted = connection.ops.quote_name
    verb = f"SELECT {', '.join(map(quoted, columns))} FROM {quoted(model._meta.db_table)}"
    among = ", ".join(str(int(each)) for each in migrations)
    for chunk in chunks(pks, _CHUNK):
        params: list[Any] = [chunk]
        if connection.vendor == "postgresql":
            condition = "= ANY (%s::text[])"
        elif connection.vendor == "sqlite":
            condition, params = "IN (SELECT value FROM json_each(%s))", [json.dumps(chunk)]
        else:
            condition, params = f"IN ({', '.join(['%s'] * len(chunk))})", chunk
        yield from _values(
            connection,
            f"{verb} WHERE migration_id IN ({among}) AND object_pk {condition}",
            params,
        )


def delete_by_hash(
    connection: BaseDatabaseWrapper, model: type[Model], migration: int, hashes: Collection[str]
) -> None:
    """Delete the rows of these hashes."""
    for sql, params in _statements("DELETE", connection, model, [migration], hashes):
        with connection.cursor() as cursor:
            cursor.execute(sql, params)


def _statements(
    verb: str,
    connection: BaseDatabaseWrapper,
    model: type[Model],
    migrations: Sequence[int],
    hashes: Collection[str],
) -> Iterator[tuple[str, list[Any]]]:
    """``verb`` for the rows that belong to ``migrations`` and have one of ``hashes``."""
    table = connection.ops.quote_name(model._meta.db_table)
    among = ", ".join(str(int(each)) for each in migrations)
    for chunk in chunks(hashes, _CHUNK):
        own, params = f"migration_id IN ({among}) AND key_hash", chunk
        if connection.vendor == "postgresql":
            params = [f"{{{','.join(chunk)}}}"]  # parsed faster than an ARRAY
            # The planner takes every link of the migration into its hands when it has no
            # statistics yet; a LATERAL that may not be merged looks up each key in the index.
            condition = (
                f"ctid = ANY (ARRAY (SELECT place.ctid FROM unnest(%s::uuid[]) AS sought(hash),"
                f" LATERAL (SELECT ctid FROM {table} WHERE {own} = sought.hash OFFSET 0)"
                " AS place))"
            )
        elif connection.vendor == "sqlite":
            condition, params = f"{own} IN (SELECT value FROM json_each(%s))", [json.dumps(chunk)]
        else:
            condition = f"{own} IN ({', '.join(['%s'] * len(chunk))})"
        yield f"{verb} FROM {table} WHERE {condition}", params
