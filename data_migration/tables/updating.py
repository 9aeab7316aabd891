"""Some columns of rows that are there: arrays, literals, or a prepared UPDATE for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from django.db.models import Field, Model

from ..fields.lookup import table_of
from ..fields.stock import copy_refusal, is_plain, is_stock
from ..utils.databases import Database, database_of
from .forms import Form, Unsuitable, Values, array, literals, parameters, texts
from .inserting import BYTES_OF_A_CHARACTER, has_own_way, rows_of_literals, types_of_arrays

#: SQL, and what the driver is given for it.
Statements = Iterator[tuple[str, Any]]

#: What the given values are called in a statement, as no table is.
_ALIAS = "data_migration_given"


class Updates:
    """Saves fields of many objects of ``model``, those of one call in one statement if it can.

    Values are written as ``bulk_update`` would, without a word of the model's: nothing is sent,
    and no time is set. Needs a transaction around it.
    """

    def __init__(self, model: type[Model], *, database: str) -> None:
        self._model = model
        self._database = database
        self._db = database_of(database)
        self._tables: dict[tuple[str, ...], TableUpdate | None] = {}

    def __call__(self, objects: Sequence[Any], names: Sequence[str]) -> int:
        """Save the fields ``names`` of ``objects``, each of them once. How many rows there were.

        An object by itself goes through Django, so that whatever is wrong with it is said in the
        words of Django and the driver.
        """
        fields: list[Any] = [self._model._meta.get_field(name) for name in names]
        if any(field.is_relation for field in fields):
            for each in objects:  # as Django does: the key of an object that was saved meanwhile
                each._prepare_related_fields_for_save("bulk_update", fields=fields)
        if len(objects) > 1 and (table := self._table(tuple(names), fields)):
            values = [vars(each) for each in objects]
            try:
                return table(
                    [[each[key.attname] for each in values] for key in table.keys],
                    [[each[field.attname] for each in values] for field in fields],
                )
            except Unsuitable:  # nothing is written yet
                pass
        return self._by_django(objects, fields)

    def _table(self, names: tuple[str, ...], fields: list[Any]) -> TableUpdate | None:
        if names not in self._tables:
            reason = django_has_to_update(self._model, fields, database=self._database)
            self._tables[names] = (
                None if reason else TableUpdate(self._model, fields, database=self._database)
            )
        return self._tables[names]

    def _by_django(self, objects: Sequence[Any], fields: list[Any]) -> int:
        rows = table_of(self._model, self._database)
        if (
            len(objects) > 1
            and all(map(is_plain, fields))
            and not self._may_be_cut(objects, fields)
        ):
            return rows.bulk_update(objects, [field.name for field in fields])
        found = 0
        for each in objects:
            values = {field.attname: vars(each)[field.attname] for field in fields}
            found += rows.filter(pk=each.pk).update(**values)
        return found

    def _may_be_cut(self, objects: Sequence[Any], fields: list[Any]) -> bool:
        """Whether the database may cut a text that it refuses elsewhere.

        On PostgreSQL ``bulk_update`` casts values to the column's type, its length included.
        """
        if not self._db.cuts_in_bulk_updates:
            return False
        for field in fields:
            if not is_stock(field):
                return True
            if (longest := field.max_length) is not None:
                values = (getattr(each, field.attname) for each in objects)
                if any(len(str(value)) > longest for value in values if value is not None):
                    return True
        return False


def django_has_to_update(model: type[Model], fields: Sequence[Any], *, database: str) -> str:
    """Why ``fields`` are updated by ``bulk_update``, in one phrase; empty where they need not."""
    db = database_of(database)
    if not has_own_way(database) or not _WAYS[db.vendor].is_known_to(db):
        return f"{db.name} has no faster way"
    concrete: Any = model._meta.concrete_model
    for field in (*model._meta.pk_fields, *fields):
        if field not in concrete._meta.local_concrete_fields:
            return f"{field.name} stands in the table of {field.model._meta.label}"
        if not is_stock(field):
            return f"{field.name} is a {type(field).__name__}, which has methods of its own"
        if not is_plain(field):
            kind = type(getattr(model, field.attname)).__name__
            return f"{field.name} is read through a {kind}"
        if db.takes_copy and (reason := copy_refusal(field)):
            return reason
    return ""


class TableUpdate:
    """Updates ``fields`` of rows of ``model``'s table, which are found by their primary keys.

    Needs fields that :func:`django_has_to_update` has nothing against, and a transaction.
    """

    def __init__(self, model: type[Model], fields: Sequence[Any], *, database: str) -> None:
        target = database_of(database)
        #: The fields of the primary key: one, or several.
        self.keys: Sequence[Any] = model._meta.pk_fields
        self._way = way = _WAYS[target.vendor](target, model, self.keys, fields)
        self._forms = [way.form(field) for field in (*self.keys, *fields)]

    def __call__(self, keys: Sequence[Values], columns: Sequence[Values]) -> int:
        """Write the values in ``columns``, one sequence for each field, to the rows of ``keys``.

        ``keys`` has a sequence for each field of the key; no key may come twice. Returns how many
        rows there were. Raises :exc:`Unsuitable` before anything is written, and what the
        database raises.
        """
        given = chain(keys, columns)
        return self._way.update(
            [form(values) for form, values in zip(self._forms, given, strict=True)]
        )


class _Way:
    """How one kind of database takes new values for rows."""

    def __init__(
        self, database: Database, model: type[Model], keys: Sequence[Any], fields: Sequence[Any]
    ) -> None:
        self._db = database
        self._connection: Any = database.connection
        self._fields: list[Field[Any, Any]] = [*keys, *fields]
        quote = self._connection.ops.quote_name
        self._table = quote(model._meta.db_table)
        self._keys = [quote(field.column) for field in keys]
        self._columns = [quote(field.column) for field in fields]
        #: The columns of the given values in a statement, those of the key first.
        self._given = [f"v{place}" for place in range(len(self._fields))]

    @classmethod
    def is_known_to(cls, database: Database) -> bool:
        """Whether this version of the server understands the statement."""
        return True

    def form(self, field: Any) -> Form:
        """What :meth:`update` is given for the values of ``field``."""
        return parameters(field, self._connection)

    def update(self, columns: Sequence[Values]) -> int:
        found = 0
        with self._connection.cursor() as cursor:
            for sql, params in self._statements(columns):
                cursor.execute(sql, params)
                found += cursor.rowcount
        return found

    def _statements(self, columns: Sequence[Values]) -> Statements:
        raise NotImplementedError

    def _where(self, given: Sequence[str]) -> str:
        pairs = zip(self._keys, given, strict=False)
        return " AND ".join(f"{self._table}.{column} = {value}" for column, value in pairs)

    def _set(self, given: Sequence[str], prefix: str = "") -> str:
        pairs = zip(self._columns, given[len(self._keys) :], strict=True)
        return ", ".join(f"{prefix}{column} = {value}" for column, value in pairs)


class _Arrays(_Way):
    """PostgreSQL: one parameter for each column."""

    def form(self, field: Any) -> Form:
        return texts(field)

    def _statements(self, columns: Sequence[Values]) -> Statements:
        arrays = types_of_arrays(self._fields, self._connection)
        given = [f"{_ALIAS}.{name}" for name in self._given]
        yield (
            f"UPDATE {self._table} SET {self._set(given)}"
            f" FROM unnest({arrays}) AS {_ALIAS}({', '.join(self._given)})"
            f" WHERE {self._where(given)}",
            list(map(array, columns)),
        )


class _Literals(_Way):
    """MySQL and MariaDB: a join with literals, in statements no longer than a packet."""

    @classmethod
    def is_known_to(cls, database: Database) -> bool:
        connection: Any = database.connection
        return bool(connection.mysql_is_mariadb or connection.mysql_version >= (8, 0, 19))

    def form(self, field: Any) -> Form:
        return literals(super().form(field), self._connection)

    def _statements(self, columns: Sequence[Values]) -> Statements:
        # A key is compared in its column's collation, so the literals take the type of that. And
        # in the order of the literals, so that no other row is read, nor locked.
        heads = [*self._keys, *["NULL"] * len(self._columns)]
        named = ", ".join(
            f"{head} AS {name}" for head, name in zip(heads, self._given, strict=True)
        )
        given = [f"{_ALIAS}.{name}" for name in self._given]
        before = f"UPDATE (SELECT {named} FROM {self._table} WHERE 1 = 0 UNION ALL "
        after = (
            f") AS {_ALIAS} STRAIGHT_JOIN {self._table} ON {self._where(given)}"
            f" SET {self._set(given, f'{self._table}.')}"
        )
        longest = self._db.longest_statement
        assert longest is not None
        room = longest // BYTES_OF_A_CHARACTER - len(before) - len(after)
        row = "" if self._connection.mysql_is_mariadb else "ROW"
        for rows in rows_of_literals(columns, room, row):
            self._db.refuse_too_long(before + rows + after)
            yield before + rows + after, None


class _Prepared(_Way):
    """SQLite: one prepared UPDATE, executed for each row."""

    def update(self, columns: Sequence[Values]) -> int:
        marks = ["%s"] * len(self._fields)
        sql = f"UPDATE {self._table} SET {self._set(marks)} WHERE {self._where(marks)}"
        number = len(self._keys)
        with self._connection.cursor() as cursor:
            cursor.executemany(sql, list(zip(*columns[number:], *columns[:number], strict=True)))
            return int(cursor.rowcount)


_WAYS: dict[str, type[_Way]] = {"postgresql": _Arrays, "mysql": _Literals, "sqlite": _Prepared}
