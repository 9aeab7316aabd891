"""A query that returns a part of another's rows; every value is a parameter of the driver.

The user's query becomes a derived table, which every database reads as it is: it may join, group
or begin with WITH. Where the database is faster with an index, it looks into the derived table.
"""

from __future__ import annotations

import datetime as dt
import string
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate
from typing import Any

from ..outcomes import NullMarks

Params = Sequence[Any] | Mapping[str, Any]

#: Columns are named with it: SQLite takes a quoted name that it does not know for a text.
_TABLE = "narrowed"
#: Begins the names of our parameters among those of the user.
_NAME = "data_migration_"
#: Their names are quoted with backticks.
MYSQL_DRIVERS = frozenset({"MySQLdb", "pymysql", "mysql", "mariadb"})
_PERCENT_STYLES = frozenset({"format", "pyformat"})


class Narrowed(str):
    """The text of a narrowed query; ``by`` names the columns, for the reader's messages."""

    by: str

    def __new__(cls, text: str, by: str = "") -> Narrowed:
        narrowed = super().__new__(cls, text)
        narrowed.by = by
        return narrowed


def statement(query: str) -> str:
    """Without a closing semicolon; psqlODBC appends to the text, so a comment needs its end."""
    text = query.strip().rstrip(";" + string.whitespace)
    return f"{text}\n" if "--" in text.rpartition("\n")[2] else text


def at_or_above(
    connection: Any, query: str, params: Params, column: str, mark: Any, nulls: NullMarks
) -> tuple[str, Params]:
    """The rows whose ``column`` is ``mark`` or higher.

    Those without a value are among them unless ``nulls`` says to leave them out.
    """
    narrowing = Narrowing(connection, query, params, by=[column])
    condition = f"{narrowing.column(column)} >= {narrowing.bound(mark, is_lowest=True)}"
    if nulls != NullMarks.EXCLUDE:
        condition += f" OR {narrowing.column(column)} IS NULL"
    return narrowing.select("*", condition)


def without_value(connection: Any, query: str, params: Params, column: str) -> tuple[str, Params]:
    """The rows whose ``column`` is NULL."""
    narrowing = Narrowing(connection, query, params, by=[column])
    return narrowing.select("*", f"{narrowing.column(column)} IS NULL")


def with_keys(
    connection: Any,
    query: str,
    params: Params,
    columns: Sequence[str],
    keys: Sequence[tuple[Any, ...]],
) -> tuple[str, Params]:
    """The rows whose ``columns`` equal one of ``keys``, as far as the database is concerned.

    Every part of a key is a parameter, of which databases take a few hundred in one query.
    """
    if not keys:
        return no_rows(connection, query, params)
    narrowing = Narrowing(connection, query, params, by=columns)
    if len(columns) == 1 and all(key[0] is not None for key in keys):
        marks = ", ".join(narrowing.bound(value) for (value,) in keys)
        return narrowing.select("*", f"{narrowing.column(columns[0])} IN ({marks})")
    return narrowing.select("*", " OR ".join(narrowing.equal(columns, key) for key in keys))


def no_rows(connection: Any, query: str, params: Params) -> tuple[str, Params]:
    """None of the rows: the query tells its columns and costs next to nothing."""
    return Narrowing(connection, query, params, by=()).select("*", "1 = 0")


def highest(connection: Any, query: str, params: Params, column: str) -> tuple[str, Params]:
    """The highest value of ``column``, as the only one of one row."""
    narrowing = Narrowing(connection, query, params, by=[column])
    return narrowing.select(f"MAX({narrowing.column(column)}) AS highest")


class Narrowing:
    """One narrowed query while it is written, with its parameters in the order of their marks."""

    def __init__(self, connection: Any, query: str, params: Params, *, by: Sequence[str]) -> None:
        self._dialect = _dialect(connection)
        self._query, self._given, self._by = query, params, by
        self._own: list[Any] = []

    def bound(self, value: Any, *, is_lowest: bool = False) -> str:
        """What stands for ``value`` in the query."""
        if isinstance(value, self._dialect.as_text):
            text = str(value)  # of a datetime, isoformat(" ")
            # Of texts, the shorter one is the lower: the lowest time has no closing zeros.
            has_zeros = is_lowest and isinstance(value, dt.datetime) and value.microsecond
            value = text.rstrip("0") if has_zeros else text
        self._own.append(value)
        number = len(self._own)
        if isinstance(self._given, Mapping) and self._given:
            return self._dialect.named(f"{_NAME}{number}")
        return self._dialect.positional(len(self._given) + number)

    def bytewise(self, text: str) -> str:
        """``text``, an expression for a text, in the one order that all databases share."""
        return self._dialect.bytewise.format(text)

    def column(self, name: str) -> str:
        return f"{_TABLE}.{self._dialect.quoted(name)}"

    def equal(self, columns: Sequence[str], key: Sequence[Any]) -> str:
        return " AND ".join(
            f"{self.column(name)} IS NULL"
            if value is None
            else f"{self.column(name)} = {self.bound(value)}"
            for name, value in zip(columns, key, strict=True)
        )

    def select(self, what: str, condition: str = "", order: str = "") -> tuple[str, Params]:
        query = statement(self._query)
        params: Params = [*self._given, *self._own]
        if isinstance(self._given, Mapping) and self._given:
            own = {f"{_NAME}{n}": value for n, value in enumerate(self._own, start=1)}
            params = {**self._given, **own}
        if self._dialect.has_percent_marks:
            # Percent signs mean something as soon as there are parameters, whoever gave them.
            if params and not self._given:
                query = query.replace("%", "%%")
            if not params:
                what, condition = what.replace("%%", "%"), condition.replace("%%", "%")
                order = order.replace("%%", "%")
        # A line of its own for the bracket: the query may end in a comment.
        text = f"SELECT {what} FROM (\n{query}\n) {_TABLE}"
        if condition:
            text += f" WHERE {condition}"
        if order:
            text += f" ORDER BY {order}"
        return Narrowed(text, ", ".join(map(repr, self._by))), params


@dataclass(frozen=True, slots=True)
class _Dialect:
    """How a driver wants parameters and how its database quotes names."""

    style: str
    quotes: str
    #: What the driver cannot send as it is, or not without loss.
    as_text: tuple[type, ...] = ()
    #: Puts a text in the order of its bytes; empty where that is not known to be safe.
    bytewise: str = ""

    @property
    def has_percent_marks(self) -> bool:
        return self.style in _PERCENT_STYLES

    def positional(self, number: int) -> str:
        if self.has_percent_marks:
            return "%s"
        return "?" if self.style == "qmark" else f":{number}"

    def named(self, name: str) -> str:
        return f"%({name})s" if self.has_percent_marks else f":{name}"

    def quoted(self, name: str) -> str:
        if self.has_percent_marks:
            name = name.replace("%", "%%")
        if not self.quotes:
            return name
        opening, closing = self.quotes[0], self.quotes[-1]
        return f"{opening}{name.replace(closing, closing * 2)}{closing}"


def _dialect(connection: Any) -> _Dialect:
    if hasattr(connection, "vendor") and hasattr(connection, "ops"):  # Django's
        quotes = connection.ops.quote_name("x")
        as_text = _SQLITE_TEXT if connection.vendor == "sqlite" else ()
        return _Dialect("format", quotes[0] + quotes[-1], as_text, _bytewise(connection))
    driver, real = driver_of(connection)
    package = driver.partition(".")[0]
    style = getattr(sys.modules.get(driver), "paramstyle", "format")
    if package == "pyodbc":
        odbc = sys.modules["pyodbc"]
        quote = real.getinfo(odbc.SQL_IDENTIFIER_QUOTE_CHAR).strip()  # a blank: none
        return _Dialect(style, quote, _ODBC_TEXT.get(real.getinfo(odbc.SQL_DBMS_NAME), ()))
    as_text = _SQLITE_TEXT if package in _SQLITE else ()
    quotes = "``" if package in MYSQL_DRIVERS else '""'
    return _Dialect(style, quotes, as_text, _bytewise(connection))


def _bytewise(connection: Any) -> str:
    """How a text is put in the order of its bytes; empty where its bytes may be others here."""
    driver, real = driver_of(connection)
    package = driver.partition(".")[0]
    if package in _SQLITE and getattr(real, "text_factory", None) is not str:
        return ""
    return _BYTEWISE.get(package, "")


#: Drivers that are not named here may send a text in another encoding than its column has.
_BYTEWISE = {
    "MySQLdb": "CAST(CONVERT({} USING utf8mb4) AS BINARY)",
    "pymysql": "CAST(CONVERT({} USING utf8mb4) AS BINARY)",
    "psycopg": 'CAST({} AS text) COLLATE "C"',
    "psycopg2": 'CAST({} AS text) COLLATE "C"',
    "sqlite3": "{} COLLATE BINARY",
}
_SQLITE = frozenset({"sqlite3", "pysqlite3", "sqlcipher3"})
_SQLITE_TEXT = (dt.date, Decimal)  # a datetime is a date
#: MariaDB's driver drops the fraction of a time.
_ODBC_TEXT: dict[str, tuple[type, ...]] = {
    "SQLite": _SQLITE_TEXT,
    "MariaDB": (dt.datetime,),
    "MySQL": (dt.datetime,),
}


def driver_of(connection: Any, depth: int = 3) -> tuple[str, Any]:
    """The module that has the ``paramstyle``, and the driver's own connection, out of wrappers.

    The module's name is empty where nothing is found.
    """
    for kind in type(connection).__mro__:
        for module in accumulate(kind.__module__.split("."), "{}.{}".format):
            if isinstance(getattr(sys.modules.get(module), "paramstyle", None), str):
                return module, connection
    wrapped = [
        getattr(connection, "connection", None),
        *getattr(connection, "__dict__", {}).values(),
    ]
    for inner in wrapped if depth else ():
        if callable(getattr(inner, "cursor", None)):
            found = driver_of(inner, depth - 1)
            if found[0]:
                return found
    return "", connection
