"""The legacy database of the benchmarks: of any size, always the same rows, on any engine."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice
from typing import Any

from tests.support.urls import ServerURL

#: The environment variable that names the legacy database: a path, or the URL of a server.
VARIABLE = "BENCHMARK_LEGACY"
DEPARTMENTS = 9

_TABLES = {
    "departments": "dept_no INTEGER, dept_name VARCHAR(40)",
    "employees": "emp_no INTEGER PRIMARY KEY, birth_date DATE, first_name VARCHAR(20),"
    " last_name VARCHAR(20), gender VARCHAR(1), hire_date DATE",
    "dept_emp": "emp_no INTEGER, dept_no INTEGER",
    "titles": "emp_no INTEGER, title VARCHAR(50), from_date DATE, to_date DATE",
}


def here() -> str:
    return os.environ[VARIABLE]


def engine(address: str) -> str:
    return address.partition("://")[0] if "://" in address else "sqlite"


def source(address: str) -> dict[str, Any]:
    """The entry of ``DATA_MIGRATION_SOURCES``."""
    if engine(address) == "sqlite":
        return {"ENGINE": "sqlite", "NAME": address}
    return ServerURL.parse(address).source()


def connect(address: str) -> Any:
    """A connection of the driver, nothing of ours around it."""
    if engine(address) == "sqlite":
        return sqlite3.connect(address)
    url = ServerURL.parse(address)
    server = {"host": url.host, "port": url.port, "user": url.user, "password": url.password}
    if url.engine == "postgresql":
        import psycopg

        return psycopg.connect(dbname=url.database, **server)
    import MySQLdb

    return MySQLdb.connect(database=url.database, charset="utf8mb4", **server)


def tuples(query: str, size: int) -> Iterator[tuple[Any, ...]]:
    """The rows of a query, fetched ``size`` at a time by a cursor that holds no more of them."""
    with closing(connect(here())) as connection, closing(_streaming(connection)) as cursor:
        cursor.execute(query)
        while rows := cursor.fetchmany(size):
            yield from rows


def dicts(query: str, size: int) -> Iterator[dict[str, Any]]:
    """The same rows, each as a dict of its columns."""
    with closing(connect(here())) as connection, closing(_streaming(connection)) as cursor:
        cursor.execute(query)
        first = cursor.fetchmany(size)  # some drivers describe the columns with the first rows
        names = [column[0] for column in cursor.description]
        while first:
            for row in first:
                yield dict(zip(names, row, strict=True))
            first = cursor.fetchmany(size)


def _streaming(connection: Any) -> Any:
    kind = engine(here())
    if kind == "postgresql":
        return connection.cursor(name="benchmark")
    if kind == "mysql":
        from MySQLdb.cursors import SSCursor

        return connection.cursor(SSCursor)
    return connection.cursor()


def build(address: str, rows: int, *, bad: int = 0) -> None:
    """Write ``rows`` employees and as many titles into the database at ``address``.

    The first names of ``bad`` employees, far from each other, are NULL.
    """
    with closing(connect(address)) as connection:
        cursor = connection.cursor()
        for name, columns in _TABLES.items():
            cursor.execute(f"DROP TABLE IF EXISTS {name}")
            cursor.execute(f"CREATE TABLE {name} ({columns})")
        mark = "?" if engine(address) == "sqlite" else "%s"
        for name, filling in _filling(rows).items():
            marks = ", ".join([mark] * (_TABLES[name].count(",") + 1))
            for batch in _batches(filling):
                cursor.executemany(f"INSERT INTO {name} VALUES ({marks})", batch)
        for number in range(1, bad + 1):
            place = number * rows // (bad + 1)
            cursor.execute(f"UPDATE employees SET first_name = NULL WHERE emp_no = {place}")
        cursor.execute("CREATE INDEX dept_emp_by_employee ON dept_emp (emp_no)")
        connection.commit()


def _batches(rows: Iterable[tuple[object, ...]]) -> Iterator[list[tuple[object, ...]]]:
    rows = iter(rows)
    while batch := list(islice(rows, 10_000)):
        yield batch


def _filling(rows: int) -> dict[str, Iterable[tuple[object, ...]]]:
    numbers = range(1, rows + 1)
    return {
        "departments": ((number, f"Department {number}") for number in range(1, DEPARTMENTS + 1)),
        "employees": map(_employee, numbers),
        "dept_emp": (
            (number, department) for number in numbers for department in departments(number)
        ),
        "titles": (_title(number, rows) for number in numbers),
    }


def _employee(number: int) -> tuple[object, ...]:
    names = f"First{number % 1000}", f"Last{number % 5000}"
    return number, _date(1950, number), *names, "MF"[number % 2], _date(1985, number)


def departments(number: int) -> list[int]:
    """One or two departments of that employee."""
    return sorted({1 + number % DEPARTMENTS, 1 + number * 7 % DEPARTMENTS})


def _title(number: int, rows: int) -> tuple[object, ...]:
    until = None if number % 3 else _date(2001, number)
    return 1 + number * 7 % rows, f"Title {number % 7}", _date(1990, number), until


def _date(first_year: int, number: int) -> str:
    return f"{first_year + number % 10}-{1 + number % 12:02}-{1 + number % 28:02}"
