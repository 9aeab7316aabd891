"""Writes the legacy database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from . import rows
from .schema import TABLES


def build(path: Path) -> int:
    """Create the SQLite file ``path``, which must not hold these tables yet; return its rows."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(TABLES)
        with connection:
            return sum(_insert(connection, name, items) for name, items in _tables().items())


def _tables() -> dict[str, Iterable[tuple[object, ...]]]:
    dice = rows.Dice()
    categories = list(rows.categories())
    return {
        "Group": rows.groups(),
        "Customer": rows.customers(dice),
        "CustDetail": rows.details(dice),
        "Category": categories,
        "Label": rows.labels(),
        "Product": rows.products(dice, len(categories)),
        "Order": rows.orders(dice),
        "OrderPos": rows.order_lines(dice),
    }


def _insert(
    connection: sqlite3.Connection, table: str, items: Iterable[tuple[object, ...]]
) -> int:
    items = list(items)
    places = ", ".join("?" for _ in items[0])
    connection.executemany(f'INSERT INTO "{table}" VALUES ({places})', items)
    return len(items)
