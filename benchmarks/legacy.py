"""The legacy database of the benchmarks: an SQLite file of any size, always the same rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

DEPARTMENTS = 9

_SCHEMA = """
CREATE TABLE departments (dept_no INTEGER, dept_name TEXT);
CREATE TABLE employees (emp_no INTEGER, birth_date TEXT, first_name TEXT, last_name TEXT,
                        gender TEXT, hire_date TEXT, departments TEXT);
CREATE TABLE titles (emp_no INTEGER, title TEXT, from_date TEXT, to_date TEXT);
"""


def build(path: Path, rows: int) -> None:
    """Write ``rows`` employees and as many titles into a new file at ``path``."""
    connection = sqlite3.connect(path)
    connection.executescript(_SCHEMA)
    connection.executemany(
        "INSERT INTO departments VALUES (?, ?)",
        ((number, f"Department {number}") for number in range(1, DEPARTMENTS + 1)),
    )
    connection.executemany("INSERT INTO employees VALUES (?, ?, ?, ?, ?, ?, ?)", _employees(rows))
    connection.executemany("INSERT INTO titles VALUES (?, ?, ?, ?)", _titles(rows))
    connection.commit()
    connection.close()


def _employees(rows: int) -> Iterator[tuple[object, ...]]:
    for number in range(1, rows + 1):
        names = f"First{number % 1000}", f"Last{number % 5000}"
        departments = sorted({1 + number % DEPARTMENTS, 1 + number * 7 % DEPARTMENTS})
        yield (
            number,
            _date(1950, number),
            *names,
            "MF"[number % 2],
            _date(1985, number),
            ",".join(map(str, departments)),
        )


def _titles(rows: int) -> Iterator[tuple[object, ...]]:
    for number in range(rows):
        until = None if number % 3 else _date(2001, number)
        yield 1 + number * 7 % rows, f"Title {number % 7}", _date(1990, number), until


def _date(first_year: int, number: int) -> str:
    return f"{first_year + number % 10}-{1 + number % 12:02}-{1 + number % 28:02}"
