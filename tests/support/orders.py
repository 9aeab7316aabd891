"""A legacy shop of orders, customers and tags, for tests that kill the process at work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.apps.ledger.models import Customer, Order, Tag
from tests.apps.library.testing import Project, make_project
from tests.support.legacy import sqlite

#: The spec's classes. ``OrderMigration`` comes last, so that hooks may follow, indented.
MIGRATIONS = """
from data_migration import BaseMigration, is_a
from tests.apps.ledger.models import Customer, Order, Tag


class TagMigration(BaseMigration):
    query = "SELECT id, name FROM tags"
    model = Tag
    allow_updates = TAGS_ARE_UPDATED


class CustomerMigration(BaseMigration):
    query = "SELECT id, name, email FROM customers"
    model = Customer


class OrderMigration(BaseMigration):
    query = "SELECT id, customer, total, tags FROM orders"
    model = Order
    column_description = {
        "customer": is_a(Customer, search_attr="id", fk=True),
        "tags": is_a(Tag, search_attr="id", m2m=True, delimiter=","),
    }
"""

_TABLES = """
CREATE TABLE tags (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, email TEXT);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER, total TEXT, tags TEXT);
"""


def shop_of_orders(
    folder: Path,
    environment: Mapping[str, str],
    *,
    spec: str,
    tags: int,
    customers: int,
    orders: Iterable[tuple[Any, ...]],
) -> Project:
    """A project with ``spec`` and so many legacy rows; orders are (id, customer, total, tags)."""
    legacy = folder / "legacy.sqlite3"
    with closing(sqlite(legacy)) as connection, connection:
        connection.executescript(_TABLES)
        named = ((n, f"tag {n}") for n in range(1, tags + 1))
        connection.executemany("INSERT INTO tags VALUES (?, ?)", named)
        people = ((n, f"customer {n}", f"{n}@example.org") for n in range(1, customers + 1))
        connection.executemany("INSERT INTO customers VALUES (?, ?, ?)", people)
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", orders)
    source = {"legacy": {"ENGINE": "sqlite", "NAME": str(legacy)}}
    settings = [f"DATA_MIGRATION_SOURCES = {source!r}"]
    return make_project(folder, environment, spec=spec, settings=settings)


def new_shop() -> dict[str, list[Any]]:
    """Every row of the new shop, by table."""
    return {
        "tags": list(Tag.objects.order_by("pk").values_list()),
        "customers": list(Customer.objects.order_by("pk").values_list()),
        "orders": list(Order.objects.order_by("pk").values_list()),
        "joins": sorted(Order.tags.through.objects.values_list("order_id", "tag_id")),
    }
