"""Ranges over every driver: bounds are parameters, and mean the same."""

from __future__ import annotations

import pytest

from data_migration.sources.key_ranges import (
    KeyRange,
    extremes,
    in_range,
    number_in_range,
    ordered,
)
from tests.unit.sources.conftest import EVERY, TOTAL, Way, reading, rows_of

every_way = pytest.mark.parametrize("way", EVERY, indirect=True)
ITEMS = "SELECT id, name, price FROM item WHERE name <> '100%' OR name IS NULL -- all"


@every_way
def test_numbers_are_divided(way: Way) -> None:
    with reading(way) as reader:
        connection = reader.connection
        found = rows_of(reader, *extremes(connection, ITEMS, (), "id"))
        assert list(found[0].values()) == [1, TOTAL, TOTAL, TOTAL]
        found = rows_of(reader, *extremes(connection, ITEMS, (), "price"))
        assert list(found[0].values())[2:] == [TOTAL, TOTAL - 1]
        part = KeyRange(column="id", lower=10, upper=20)
        rows = rows_of(reader, *in_range(connection, ITEMS, (), part))
        assert [row["id"] for row in rows] == list(range(10, 20))
        rest = KeyRange(column="id", lower=10, upper=20, after=15)
        rows = rows_of(reader, *in_range(connection, ITEMS, (), rest))
        assert [row["id"] for row in rows] == [16, 17, 18, 19]
        number = rows_of(reader, *number_in_range(connection, ITEMS, (), part))
        assert list(number[0].values()) == [10]
        nulls = KeyRange(column="price", is_null=True)
        assert [r["id"] for r in rows_of(reader, *in_range(connection, ITEMS, (), nulls))] == [2]


@every_way
def test_texts_are_divided_by_their_bytes_or_not_at_all(way: Way) -> None:
    with reading(way) as reader:
        narrowed = ordered(reader.connection, ITEMS, (), "name", is_text=True)
        assert (narrowed is None) is ("odbc" in way.name or "wrapper" in way.name)
        if narrowed is None:
            return
        names = [next(iter(row.values())) for row in rows_of(reader, *narrowed)]
        assert names == sorted(names)
        part = KeyRange(column="name", lower="Käse", upper="item 2")
        rows = rows_of(reader, *in_range(reader.connection, ITEMS, (), part))
        assert [row["name"] for row in rows] == [n for n in names if "Käse" <= n < "item 2"]
