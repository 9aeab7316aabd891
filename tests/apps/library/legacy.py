"""The library's legacy database, and rows that are wrong in it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from tests.support.legacy import sqlite

AUTHORS, GENRES, BOOKS, MEMBERS = 3, 2, 6, 4
ROWS = AUTHORS + GENRES + BOOKS + MEMBERS
LABELS = (
    "library.AuthorMigration",
    "library.GenreMigration",
    "library.BookMigration",
    "library.MemberMigration",
)

_SCHEMA = """
CREATE TABLE authors (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE genres (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE books (id INTEGER PRIMARY KEY, title TEXT, pages, author_id INTEGER, genres TEXT);
CREATE TABLE members (id INTEGER PRIMARY KEY, email TEXT);
"""


def build(path: Path) -> None:
    """Write the legacy database; all its rows are fine."""
    with closing(sqlite(path)) as connection, connection:
        connection.executescript(_SCHEMA)
        for number in range(1, AUTHORS + 1):
            connection.execute("INSERT INTO authors VALUES (?, ?)", (number, f"Author {number}"))
        for number in range(1, GENRES + 1):
            connection.execute("INSERT INTO genres VALUES (?, ?)", (number, f"Genre {number}"))
        for number in range(1, BOOKS + 1):
            row = (number, f"Book {number}", 100 * number, 1 + number % AUTHORS, "1,2")
            connection.execute("INSERT INTO books VALUES (?, ?, ?, ?, ?)", row)
        for number in range(1, MEMBERS + 1):
            row = (number, f"member{number}@example.org")
            connection.execute("INSERT INTO members VALUES (?, ?)", row)


def change(path: Path, statement: str) -> None:
    """Change the legacy database as its owner would."""
    with closing(sqlite(path)) as connection, connection:
        connection.execute(statement)


def spoil_books(path: Path) -> None:
    """Make three of the six books bad, each in another way: 2, 4 and 5."""
    change(path, "UPDATE books SET pages = 'many' WHERE id = 2")
    change(path, "UPDATE books SET author_id = 99 WHERE id = 4")
    change(path, "UPDATE books SET title = NULL WHERE id = 5")
