"""Rows of the ledger in bulk, in the fastest way that each target database has.

PostgreSQL: COPY. MySQL and MariaDB: INSERTs of many rows. SQLite: prepared ``executemany``, and
``json_each`` over one parameter, since it takes a limited number of them. Other databases get
plain SQL. Values are brought into their written form a column at a time: a function called for
each of them would cost more than the database does.
"""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BinaryField, BooleanField, Field, IntegerField, Model, UUIDField

#: Hashes in one statement: 400 kB of it, which even old servers take.
_CHUNK = 10_000


def insert(
    connection: BaseDatabaseWrapper,
    model: type[Model],
    columns: Sequence[str],
    migration: int,
    rows: Sequence[Sequence[Any]],
) -> None:
    """Insert rows of ``columns`` for one migration; ``key_hash`` in hexadecimal digits."""
    if not rows:
        return
    table = connection.ops.quote_name(model._meta.db_table)
    names = ", ".join(map(connection.ops.quote_name, ("migration_id", *columns)))
    target = f"{table} ({names})"
    fields = [model._meta.get_field(name) for name in columns]
    if connection.vendor == "postgresql":
        _copy(connection, f"COPY {target} FROM STDIN", _copy_lines(migration, fields, rows))
    elif connection.vendor == "mysql":
        _insert_many(connection, f"INSERT INTO {target} VALUES ", migration, fields, rows)
    else:
        marks = ", ".join(["%s"] * len(columns))
        with connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {target} VALUES ({int(migration)}, {marks})", rows)


def _copy(connection: Any, sql: str, lines: Iterable[str]) -> None:
    text = "".join(lines)
    with connection.cursor() as cursor, connection.wrap_database_errors:
        if hasattr(cursor.cursor, "copy_expert"):  # psycopg2
            cursor.copy_expert(sql, io.StringIO(text))
        else:
            with cursor.copy(sql) as copy:
                copy.write(text)


def _copy_lines(
    migration: int, fields: Sequence[Any], rows: Iterable[Sequence[Any]]
) -> Iterator[str]:
    """COPY's text format (PostgreSQL, "COPY", "File Formats")."""
    forms = "\t".join(_form(field, binary="\\\\x%s", other="%s") for field in fields)
    values = zip(*rows, strict=True)
    columns = [_copied(field, each) for field, each in zip(fields, values, strict=True)]
    return map(f"{migration}\t{forms}\n".__mod__, zip(*columns, strict=True))


def _copied(field: Field[Any, Any], values: Iterable[Any]) -> Iterable[Any]:
    if isinstance(field, BinaryField):
        return map(bytes.hex, values)
    if isinstance(field, _PLAIN):
        return values
    return [
        "\\N" if value is None else value if value.isalnum() else value.translate(_ESCAPES)
        for value in values
    ]


_PLAIN = (IntegerField, BooleanField, UUIDField)
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _form(field: Field[Any, Any], *, binary: str, other: str) -> str:
    """How a value of the field is put into a line, by the ``%`` operator."""
    if isinstance(field, BinaryField):
        return binary
    # %d writes members of an enumeration and booleans as numbers.
    return "%d" if isinstance(field, (IntegerField, BooleanField)) else other


def _insert_many(
    connection: BaseDatabaseWrapper,
    sql: str,
    migration: int,
    fields: Sequence[Any],
    rows: Sequence[Sequence[Any]],
) -> None:
    """INSERTs of many rows, each as long as the server takes; the driver quotes texts only."""
    forms = ", ".join(
        "'%s'" if isinstance(field, UUIDField) else _form(field, binary="x'%s'", other="%%s")
        for field in fields
    )
    is_text = [not isinstance(field, (BinaryField, *_PLAIN)) for field in fields]
    written = list(zip(*rows, strict=True))
    for position, field in enumerate(fields):
        if isinstance(field, BinaryField):
            written[position] = tuple(map(bytes.hex, written[position]))
    lines = map(
        f"({migration}, {forms})".__mod__,
        zip(*(v for v, text in zip(written, is_text, strict=True) if not text), strict=True),
    )
    texts = zip(*(v for v, text in zip(written, is_text, strict=True) if text), strict=True)
    with connection.cursor() as cursor:
        for portion, params in _portions(lines, texts, _packet(cursor) - len(sql)):
            cursor.execute(sql + ", ".join(portion), params)


def _packet(cursor: Any) -> int:
    """Bytes of the longest statement; MySQL closes the connection on a longer one."""
    cursor.execute("SELECT @@max_allowed_packet")
    return int(cursor.fetchone()[0])


def _portions(
    lines: Iterable[str], texts: Iterable[tuple[str | None, ...]], limit: int
) -> Iterator[tuple[list[str], list[str | None]]]:
    portion: list[str] = []
    params: list[str | None] = []
    size = 0
    for line, values in zip(lines, texts, strict=True):
        # A character takes up to four bytes in UTF-8, and two where it is escaped.
        weight = len(line) + 4 * sum(map(len, filter(None, values))) + 16
        if portion and size + weight > limit:
            yield portion, params
            portion, params, size = [], [], 0
        portion.append(line)
        params += values
        size += weight
    if portion:
        yield portion, params


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
    binary = [n for n, each in enumerate(columns) if _is_binary(model, each)]
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
    listed = list(hashes)
    for start in range(0, len(listed), _CHUNK):
        found, params = _among(connection.vendor, listed[start : start + _CHUNK])
        condition = f"migration_id IN ({among}) AND key_hash {found}"
        if connection.vendor == "postgresql":
            # The planner takes every link of the migration into its hands when it has no
            # statistics yet; a LATERAL that may not be merged looks up each key in the index.
            condition = (
                f"ctid = ANY (ARRAY (SELECT place.ctid FROM unnest(%s::uuid[]) AS sought(hash),"
                f" LATERAL (SELECT ctid FROM {table} WHERE {condition} OFFSET 0) AS place))"
            )
        yield f"{verb} FROM {table} WHERE {condition}", params


def _among(vendor: str, hashes: list[str]) -> tuple[str, list[Any]]:
    if vendor == "postgresql":
        return "= sought.hash", [f"{{{','.join(hashes)}}}"]  # parsed faster than an ARRAY
    if vendor == "sqlite":
        return "IN (SELECT value FROM json_each(%s))", [json.dumps(hashes)]
    return f"IN ({', '.join(['%s'] * len(hashes))})", hashes


def _is_binary(model: type[Model], name: str) -> bool:
    return isinstance(model._meta.get_field(name), BinaryField)
