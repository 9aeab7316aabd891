"""Ranges have every row once, whatever the keys; what is not split, and why."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import models
from hypothesis import given, settings
from hypothesis import strategies as st

from data_migration import BaseMigration, is_a
from data_migration.options import RunOptions
from data_migration.sources import Reader
from data_migration.sources.key_ranges import KeyRange
from data_migration.sources.query import QueryFeed
from data_migration.sources.rows import Rows
from data_migration.workers import why_not_split
from data_migration.workers.divide import Part, divide, whole_groups
from data_migration.workers.unsplit import NotSplit, refers_by_itself
from tests.apps.ledger.models import Customer, Node, Order, Tag
from tests.support.legacy import connect
from tests.support.urls import ServerURL

QUERY = "SELECT * FROM keyed"

#: Column types and how their values look; the collations hold different texts for equal.
NUMBERS = {
    "sqlite": "INTEGER",
    "postgresql": "BIGINT",
    "mysql": "BIGINT",
    "postgresql-decimal": "NUMERIC(20, 2)",
    "mysql-decimal": "DECIMAL(20, 2)",
}
TEXTS = {
    "sqlite": "TEXT COLLATE NOCASE",
    "postgresql": 'TEXT COLLATE "und-x-icu"',
    "postgresql-char": 'CHAR(12) COLLATE "und-x-icu"',
    "mysql": "VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
    "mysql-latin1": "VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_german2_ci",
}

whole = st.integers(-50, 50) | st.integers(-(2**63), 2**63 - 1)
letters = st.text("abAB äÄß-_0189Z€é", max_size=6).map(str.rstrip)
latin = st.text("abAB äÄß-_0189Zé", max_size=6).map(str.rstrip)


class Keyed:
    """A table ``keyed`` with the columns ``key`` and ``n``."""

    def __init__(self, name: str, connection: Any) -> None:
        self.kind = name.partition("-")[0]
        self.connection = connection
        self.quote = "`" if self.kind == "mysql" else '"'

    def create(self, kind: str) -> None:
        self._run("DROP TABLE IF EXISTS keyed")
        self._run(f"CREATE TABLE keyed ({self.quote}key{self.quote} {kind}, n INTEGER)")

    def fill(self, keys: list[Any]) -> None:
        mark = "?" if self.kind == "sqlite" else "%s"
        self._run("DELETE FROM keyed")
        with closing(self.connection.cursor()) as cursor:
            rows = [(key, number) for number, key in enumerate(keys)]
            if rows:
                cursor.executemany(f"INSERT INTO keyed VALUES ({mark}, {mark})", rows)

    def _run(self, statement: str) -> None:
        with closing(self.connection.cursor()) as cursor:
            cursor.execute(statement)

    @property
    def feed(self) -> QueryFeed:
        return QueryFeed(Reader(self.connection, "job.Keyed"), QUERY)

    def rows(self, part: KeyRange | None = None) -> list[dict[str, Any]]:
        feed = self.feed if part is None else self.feed.in_range(part)
        feed.open()
        rows = [row for batch in feed.rows(3) for row in batch.dicts()]
        feed.close()
        return rows

    def divide(self, key: tuple[str, ...] = ("key",), workers: int = 2) -> list[Part]:
        return divide(self.feed, key, workers=workers, batch=1)


@pytest.fixture(scope="module")
def table_of(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Keyed]]:
    opened: dict[str, Any] = {}

    def open_(name: str) -> Keyed:
        kind = name.partition("-")[0]
        if kind not in opened:
            opened[kind] = _open(kind, request, tmp_path_factory.mktemp("keyed"))
        return Keyed(name, opened[kind])

    yield open_
    for connection in opened.values():
        connection.close()


def _open(kind: str, request: pytest.FixtureRequest, folder: Path) -> Any:
    if kind == "sqlite":
        return sqlite3.connect(folder / "keyed.sqlite3", isolation_level=None)
    url: ServerURL = request.getfixturevalue(f"fresh_{kind}_database")()
    return connect(url)


def numbers_of(rows: list[dict[str, Any]]) -> list[int]:
    return sorted(row["n"] for row in rows)


def check(table: Keyed, keys: list[Any], workers: int, cut: int) -> list[Part] | None:
    """Each row is in one range, and behind every position are the rows not read before it."""
    table.fill(keys)
    try:
        parts = table.divide(workers=workers)
    except NotSplit:
        return None
    found = [table.rows(part.range) for part in parts]
    assert numbers_of([row for rows in found for row in rows]) == list(range(len(keys)))
    assert [len(rows) for rows in found] == [part.rows for part in parts]
    for part, rows in zip(parts, found, strict=True):
        _check_position(table, part.range, rows, cut)
    return parts


def _check_position(table: Keyed, part: KeyRange, rows: list[dict[str, Any]], cut: int) -> None:
    batches = (rows[start : start + 2] for start in range(0, len(rows), 2))
    done: list[dict[str, Any]] = []
    position, committed = None, 0
    for group, last, is_whole in list(whole_groups(map(Rows, batches), "key"))[: cut % 5]:
        done += group.dicts()
        if is_whole:
            position, committed = last, len(done)
    if position is None:
        return
    rest = KeyRange(column="key", lower=part.lower, upper=part.upper, after=position)
    left = table.rows(rest)
    assert numbers_of(done[:committed] + left) == numbers_of(rows)


slowly = settings(max_examples=60)


@pytest.mark.parametrize("name", NUMBERS)
def test_each_row_with_a_number_is_in_one_range(
    name: str, table_of: Callable[[str], Keyed]
) -> None:
    table = table_of(name)
    table.create(NUMBERS[name])
    decimals = st.decimals(-1000, 1000, places=2)
    value = decimals if "decimal" in name else whole
    split = 0

    @slowly
    @given(st.lists(value | st.none(), max_size=40), st.integers(1, 4), st.integers(0, 4))
    def check_all(keys: list[Any], workers: int, cut: int) -> None:
        nonlocal split
        given_ = [str(key) if isinstance(key, Decimal) else key for key in keys]
        split += check(table, given_, workers, cut) is not None

    check_all()
    assert split > 5


@pytest.mark.parametrize("name", TEXTS)
def test_each_row_with_a_text_is_in_one_range_whatever_its_collation(
    name: str, table_of: Callable[[str], Keyed]
) -> None:
    table = table_of(name)
    table.create(TEXTS[name])
    split = 0

    @slowly
    @given(
        st.lists((latin if "latin1" in name else letters) | st.none(), max_size=40),
        *(st.integers(1, 4), st.integers(0, 4)),
    )
    def check_all(keys: list[Any], workers: int, cut: int) -> None:
        nonlocal split
        split += check(table, keys, workers, cut) is not None

    check_all()
    # CHAR is filled up with blanks, which are no part of a text there.
    assert split == 0 if name == "postgresql-char" else split > 5


def test_numbers_without_gaps_are_divided_without_reading_them(
    table_of: Callable[[str], Keyed],
) -> None:
    table = table_of("sqlite")
    table.create("INTEGER")
    table.fill([*range(1, 101), None])

    parts = table.divide(workers=2)

    assert [part.range.lower for part in parts] == [None, 13, 26, 38, 51, 63, 76, 88, None]
    assert [part.rows for part in parts] == [12, 13, 12, 13, 12, 13, 12, 13, 1]
    assert [part.range.is_null for part in parts] == [False] * 8 + [True]


def test_numbers_with_gaps_are_divided_by_their_number(
    table_of: Callable[[str], Keyed],
) -> None:
    table = table_of("sqlite")
    table.create("INTEGER")
    table.fill([*range(1, 81), *range(10**12, 10**12 + 20)])

    assert [part.rows for part in table.divide(workers=1)] == [25] * 4


def test_values_that_change_their_type_are_not_divided(
    table_of: Callable[[str], Keyed],
) -> None:
    table = table_of("sqlite")
    table.create("BLOB")
    table.fill([1, 10**9, 2, 3.5, 7])
    with pytest.raises(NotSplit, match="does not order"):
        table.divide()

    table.fill([1, 2, 3, 4, "five"])
    with pytest.raises(NotSplit, match="neither a whole number nor text"):
        table.divide()


def test_texts_are_compared_only_where_their_bytes_are_known(
    table_of: Callable[[str], Keyed],
) -> None:
    table = table_of("sqlite")
    table.create("TEXT")
    table.fill(["a", "b", "c", "ä", "e"])
    assert len(table.divide()) == 5

    table.connection.text_factory = lambda data: data.decode("latin-1")
    try:
        with pytest.raises(NotSplit, match="does not compare texts by their bytes"):
            table.divide()
    finally:
        table.connection.text_factory = str


def test_a_key_of_several_columns_is_divided_by_the_first_if_that_is_a_number(
    table_of: Callable[[str], Keyed],
) -> None:
    table = table_of("sqlite")
    table.create("TEXT")
    table.fill(["a", "b", "c", "d", "e"])
    with pytest.raises(NotSplit, match="the first column of its key, 'key', is no number"):
        table.divide(key=("key", "n"))

    table.create("INTEGER")
    table.fill([1] * 50 + [2, 3] + [4] * 8)
    parts = table.divide(key=("key", "n"), workers=1)
    assert [part.rows for part in parts] == [50, 10]


def test_few_rows_are_not_divided(table_of: Callable[[str], Keyed]) -> None:
    table = table_of("sqlite")
    table.create("INTEGER")
    table.fill([1, 2, 3])
    with pytest.raises(NotSplit, match="it has 3 rows, fewer than 4 batches"):
        table.divide()
    table.fill([7] * 9)
    with pytest.raises(NotSplit, match="too few different values"):
        table.divide()


@given(st.lists(st.integers(0, 6), max_size=30), st.integers(1, 5))
def test_batches_are_cut_where_the_value_changes(keys: list[int], size: int) -> None:
    rows = [{"key": key, "n": number} for number, key in enumerate(sorted(keys))]
    batches = [rows[start : start + size] for start in range(0, len(rows), size)]
    found: list[dict[str, Any]] = []
    for group, last, is_whole in whole_groups(map(Rows, batches), "key"):
        found += group.dicts()
        if is_whole and found:
            assert found[-1]["key"] == last
            assert len(found) == sum(1 for row in rows if row["key"] <= last)
    assert found == rows
    assert Counter(row["n"] for row in found).most_common(1)[:1] in ([], [(0, 1)])


# ---------------------------------------------------------------- what is not split


class Plain(BaseMigration):
    query = "SELECT id, name FROM customers"
    model = Customer


class Keyless(Plain):
    legacy_key = ()


class Watching(Plain):
    removed = "report"


class Unwilling(Plain):
    split = False


class Tree(BaseMigration):
    query = "SELECT id, name, parent FROM nodes"
    model = Node
    column_description = {"parent": is_a(Node, search_attr="id", fk=True)}


class Deferred(Tree):
    column_description = {"parent": is_a(Node, search_attr="id", fk=True, deferred=True)}


class Remembering(Plain):
    def hook_before_all(self) -> None:
        self.names: set[str] = set()

    def hook_before_save(self, instance: Any, row: dict[str, Any]) -> None:
        self.names.add(row["name"])


class Willing(Remembering):
    split = True


class OnlyAtTheEnd(Plain):
    def hook_after_all(self) -> None:
        pass


@pytest.mark.parametrize(
    ("migration", "why"),
    [
        (Plain, ""),
        (Keyless, "it has no legacy key"),
        (Watching, 'removed = "report" has to see every key in one process'),
        (Unwilling, "its spec says split = False"),
        (Tree, "it has a relation to its own model, whose rows wait for rows of other ranges"),
        (Deferred, ""),
        (
            Remembering,
            "hook_before_all and hook_before_save may share something in memory (say split = True"
            " if they do not)",
        ),
        (Willing, ""),
        (OnlyAtTheEnd, ""),
    ],
)
def test_a_spec_tells_whether_it_may_be_split(migration: type[BaseMigration], why: str) -> None:
    assert why_not_split(migration, RunOptions()) == why


def test_reads_of_a_part_are_not_split() -> None:
    assert why_not_split(Plain, RunOptions(limit=5)) == "--limit wants the first rows of the query"
    assert why_not_split(Plain, RunOptions(retry_failed=True)) == "only failed rows are read"
    assert "above the high-water mark" in why_not_split(Plain, RunOptions(), high_water=True)


@pytest.mark.parametrize(
    ("model", "columns", "found"),
    [
        (Node, ["id", "parent_id"], True),
        (Node, ["id", "parent"], True),
        (Node, ["id", "name"], False),
        (Order, ["id", "customer_id"], False),
        (Tag, ["id", "name"], False),
    ],
)
def test_a_column_that_is_the_key_of_another_row_is_noticed(
    model: type[models.Model], columns: list[str], found: bool
) -> None:
    assert refers_by_itself(model, columns) is found
