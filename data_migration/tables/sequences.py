"""Numbers that the database gives by itself go on above those that were written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from django.core.management.color import no_style
from django.db.models import IntegerField, Model

from ..utils.databases import database_of


def go_on_above(models: Sequence[type[Model]], *, database: str) -> None:
    """Let the sequences of the models' tables go on above the highest numbers that are there."""
    target = database_of(database)
    connection: Any = target.connection
    sequences = _WAYS.get(target.vendor)
    with connection.cursor() as cursor:
        if sequences is None:
            for statement in connection.ops.sequence_reset_sql(no_style(), models):
                cursor.execute(statement)
            return
        for model in models:
            for statement, params in list(sequences(connection, cursor, model)):
                cursor.execute(statement, params)


#: Statements with their parameters.
Raising = Iterator[tuple[str, list[Any]]]


def _postgresql(connection: Any, cursor: Any, model: Any) -> Raising:
    """Whatever the default of a column draws from, whether the column owns it or not.

    Django knows only what a column owns. A sequence that nobody owns is often one of several
    tables, so none is set back below the numbers of others.
    """
    quote = connection.ops.quote_name
    table = quote(model._meta.db_table)
    cursor.execute(
        "SELECT a.attname, pg_get_serial_sequence(%s, a.attname), pg_get_expr(d.adbin, d.adrelid)"
        " FROM pg_attribute a"
        " LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
        " WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped",
        [table, table],
    )
    of_numbers = _columns_of_numbers(model)
    for column, own, default in cursor.fetchall():
        drawn = _NEXTVAL.search(default or "")
        sequence = drawn[1].replace("''", "'") if drawn else own
        if sequence is None or column not in of_numbers:
            continue
        cursor.execute("SELECT %s::regclass::text", [sequence])
        (name,) = cursor.fetchone()  # quoted where it has to be
        yield (
            "SELECT setval(%s::regclass, LEAST(written.highest, kind.seqmax))"
            f" FROM (SELECT MAX({quote(column)}) AS highest FROM {table}) AS written,"
            f" {name} AS now, pg_sequence AS kind"
            " WHERE kind.seqrelid = %s::regclass AND kind.seqincrement > 0"
            " AND written.highest >= now.last_value + now.is_called::int",
            [sequence, sequence],
        )


#: The name is text for PostgreSQL to read: databases that were born before 8.1 have casts.
_NEXTVAL = re.compile(r"nextval\(+'((?:[^']|'')+)'")


def _mysql(connection: Any, cursor: Any, model: Any) -> Raising:
    """MariaDB's sequences; AUTO_INCREMENT goes on by itself. SETVAL never sets one back."""
    if not connection.mysql_is_mariadb:
        return
    quote = connection.ops.quote_name
    table = model._meta.db_table
    cursor.execute(
        "SELECT COLUMN_NAME, COLUMN_DEFAULT FROM information_schema.COLUMNS"
        " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s"
        " AND COLUMN_DEFAULT LIKE 'nextval(%%'",
        [table],
    )
    of_numbers = _columns_of_numbers(model)
    for column, default in cursor.fetchall():
        if column in of_numbers:
            sequence = default.removeprefix("nextval(").removesuffix(")")
            cursor.execute(f"SELECT MAX({quote(column)}) FROM {quote(table)}")
            (highest,) = cursor.fetchone()
            if highest is not None:
                yield f"SELECT SETVAL({sequence}, %s)", [highest]


def _columns_of_numbers(model: Any) -> set[str | None]:
    return {
        field.column
        for field in model._meta.local_concrete_fields
        if isinstance(field, IntegerField)
    }


_WAYS: dict[str, Callable[[Any, Any, Any], Raising]] = {
    "mysql": _mysql,
    "postgresql": _postgresql,
}
