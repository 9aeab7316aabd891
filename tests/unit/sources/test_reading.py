"""One contract for every driver and every kind of connection."""

from __future__ import annotations

import pytest

from data_migration.exceptions import SourceError
from data_migration.sources import Reader, close_connection
from tests.unit.sources.conftest import EVERY, FIRST_ROWS, TOTAL, Way, dicts_of, reading, rows_of

pytestmark = pytest.mark.parametrize("way", EVERY, indirect=True)

ALL = "SELECT id, name, price FROM item ORDER BY id"


def test_every_row_comes_once_and_in_order(way: Way) -> None:
    with reading(way) as reader:
        reader.execute(ALL)
        assert reader.columns == ("id", "name", "price")
        batches = list(dicts_of(reader, 3000))
        assert [len(batch) for batch in batches] == [3000, 3000, 3000, 1000]
        assert [row["id"] for batch in batches for row in batch] == list(range(1, TOTAL + 1))
        assert reader.rows_read == TOTAL


def test_rows_are_mutable_dicts_with_null_and_unicode(way: Way) -> None:
    with reading(way) as reader:
        rows = rows_of(reader, ALL, limit=3)
        assert [(row["id"], row["name"], row["price"]) for row in rows] == FIRST_ROWS
        assert all(isinstance(row, dict) for row in rows)
        rows[0]["extra"] = 1
        del rows[0]["name"]
        assert rows[0] == {"id": 1, "price": 10, "extra": 1}


def test_an_empty_result_has_columns_and_no_batches(way: Way) -> None:
    with reading(way) as reader:
        reader.execute("SELECT id, name FROM item WHERE id < 0")
        assert reader.columns == ("id", "name")
        assert list(dicts_of(reader, 10)) == []
        assert reader.rows_read == 0


@pytest.mark.parametrize(("limit", "sizes"), [(0, []), (1, [1]), (7, [3, 3, 1]), (6, [3, 3])])
def test_a_limit_ends_the_reading(way: Way, limit: int, sizes: list[int]) -> None:
    with reading(way) as reader:
        reader.execute(ALL)
        assert [len(batch) for batch in dicts_of(reader, 3, limit)] == sizes
        assert reader.rows_read == limit


def test_a_connection_reads_again_after_a_limited_reading(way: Way) -> None:
    with reading(way) as reader:
        rows_of(reader, ALL, limit=1)
        reader.close()
        assert reader.count(ALL) == TOTAL
        second = Reader(reader.connection, "shop.Other")
        assert len(rows_of(second, ALL)) == TOTAL
        second.close()


def test_parameters_are_given_to_the_driver(way: Way) -> None:
    query = f"SELECT id FROM item WHERE price = {way.mark} OR id = {way.mark}"
    with reading(way) as reader:
        assert reader.count(query, (50, 3)) == 2
        assert [row["id"] for row in rows_of(reader, query + " ORDER BY id", [50, 3])] == [3, 5]


def test_percent_signs_mean_nothing_without_parameters(way: Way) -> None:
    query = "SELECT id FROM item WHERE name LIKE 'pla%n' OR name = '%s'"
    with reading(way) as reader:
        assert reader.count(query) == 1
        assert [row["id"] for row in rows_of(reader, query)] == [1]


def test_common_table_expressions_are_read_and_counted(way: Way) -> None:
    query = "WITH cheap AS (SELECT id FROM item WHERE price < 60) SELECT id FROM cheap ORDER BY id"
    with reading(way) as reader:
        assert reader.count(query) == 4
        assert [row["id"] for row in rows_of(reader, query)] == [1, 3, 4, 5]


@pytest.mark.parametrize("end", [";", " ;\n; \n", "\n-- the cheap ones", " -- all of them\n"])
def test_ends_of_queries_do_no_harm(way: Way, end: str) -> None:
    with reading(way) as reader:
        assert reader.count("\n  SELECT id FROM item WHERE id < 4" + end) == 3
        assert len(rows_of(reader, "\n  SELECT id FROM item WHERE id < 4" + end)) == 3


def test_what_cannot_be_counted_is_none_and_reading_goes_on(way: Way) -> None:
    with reading(way) as reader:
        assert reader.count("SELECT id FROM nowhere") is None
        assert reader.count("this is no SQL") is None
        assert len(rows_of(reader, ALL, limit=5)) == 5


def test_a_plain_cursor_is_for_hooks(way: Way) -> None:
    with reading(way) as reader:
        cursor = reader.cursor()
        cursor.execute("SELECT COUNT(*) AS n FROM item")
        row = cursor.fetchone()
        assert (row["n"] if isinstance(row, dict) else row[0]) == TOTAL
        cursor.close()


def test_duplicate_columns_are_known(way: Way) -> None:
    query = "SELECT a.id, b.id, b.name FROM item a, item b WHERE a.id = b.id"
    with reading(way) as reader:
        if way.name == "postgresql-psycopg2_names":
            with pytest.raises(SourceError, match="after 0 rows: Encountered duplicate field"):
                rows_of(reader, query)
            return
        rows = rows_of(reader, query)
        assert reader.duplicate_columns == ("id",)
        assert len(rows) == TOTAL
        reader.execute(ALL)
        assert not reader.duplicate_columns


REFUSED = (
    "shop.ItemMigration: the legacy database refused the query: {words}. "
    "The query was: {query}. Correct it; tables and columns have the names of the legacy database."
)


@pytest.mark.parametrize(
    ("query", "named"), [("SELECT a FROM nowhere", "nowhere"), ("SELEKT 1", "SELEKT")]
)
def test_a_refused_query_is_explained_and_the_next_one_works(
    way: Way, query: str, named: str
) -> None:
    with reading(way) as reader:
        with pytest.raises(SourceError) as caught:
            reader.execute(query + " ;")
        message = str(caught.value)
        start, end = REFUSED.format(words="|", query=query).split("|")
        assert message.startswith(start)
        assert message.endswith(end)
        assert named in message.removeprefix(start).removesuffix(end)
        assert "\n" not in message
        assert len(rows_of(reader, ALL, limit=2)) == 2


def test_what_is_no_select_is_refused(way: Way) -> None:
    statement = {
        "sqlite": "PRAGMA foreign_keys = ON",
        "postgresql": "SET application_name = 'x'",
        "mysql": "SET @x = 1",
    }[way.kind]
    with reading(way) as reader, pytest.raises(SourceError, match=r"shop\.ItemMigration: the "):
        reader.execute(statement)


def test_closing_twice_and_closing_the_dead_is_quiet(way: Way) -> None:
    connection = way.open()
    reader = Reader(connection, "shop.ItemMigration")
    reader.close()
    reader.execute(ALL)
    next(dicts_of(reader, 1))
    close_connection(connection)
    reader.close()
    reader.close()
    close_connection(connection)
    with pytest.raises(SourceError, match="refused the query"):
        reader.execute(ALL)
