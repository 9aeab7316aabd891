"""A part of a query's rows, over every driver: values come as parameters and mean the same."""

from __future__ import annotations

import datetime as dt
import sqlite3
import sys
import types
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from data_migration.exceptions import SourceError
from data_migration.outcomes import NullMarks
from data_migration.sources import Reader, close_connection, narrowing
from data_migration.sources.narrowing import at_or_above, no_rows, with_keys, without_value
from tests.support.legacy import connect as connect_to_server
from tests.support.legacy import sqlite
from tests.unit.sources.conftest import EVERY, Way, WrapperConnection, rows_of

MOMENT = dt.datetime(2024, 3, 1, 10, 0)
SECOND = dt.timedelta(seconds=1)
MILLISECONDS = dt.timedelta(milliseconds=250)

#: id, order, "100% sure", country, number, price, changed
EVENTS = [
    (1, "01581", "a%b", "DE", 7, Decimal("9.90"), MOMENT),
    (2, "1581", "%s", "DE", 8, Decimal("10.00"), MOMENT + MILLISECONDS),
    (3, "x'; DROP", "a", "AT", 7, Decimal("10.10"), MOMENT + MILLISECONDS),
    (4, "Käse", None, "AT", None, None, None),
    (5, "ü", "%%", None, 8, Decimal("99.99"), MOMENT + SECOND),
]

MAKE = """
CREATE TABLE event (
    id INTEGER PRIMARY KEY, {q}order{q} VARCHAR(20), {q}100% sure{q} VARCHAR(20),
    {q}Land{q} VARCHAR(2), number INTEGER, price DECIMAL(8, 2), changed {timestamp}
)
"""
ALL = "SELECT * FROM event"


def fill(cursor: Any, kind: str) -> None:
    cursor.execute("DROP TABLE IF EXISTS event")
    timestamp = {"sqlite": "TIMESTAMP", "postgresql": "TIMESTAMP", "mysql": "DATETIME(3)"}[kind]
    cursor.execute(MAKE.format(q="`" if kind == "mysql" else '"', timestamp=timestamp))
    mark = "?" if kind == "sqlite" else "%s"
    rows = [tuple(map(_sqlite, row)) for row in EVENTS] if kind == "sqlite" else EVENTS
    cursor.executemany(f"INSERT INTO event VALUES ({', '.join([mark] * 7)})", rows)


def _sqlite(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.isoformat(" ", "milliseconds")
    return str(value) if isinstance(value, Decimal) else value


@pytest.fixture(scope="module")
def with_events(request: pytest.FixtureRequest) -> Any:
    """Adds the table to the database of a kind, once."""
    done: set[str] = set()

    def add(kind: str) -> None:
        if kind in done:
            return
        done.add(kind)
        place = request.getfixturevalue("sqlite_path" if kind == "sqlite" else f"{kind}_url")
        connection = sqlite3.connect(place) if kind == "sqlite" else connect_to_server(place)
        with closing(connection), closing(connection.cursor()) as cursor:
            fill(cursor, kind)
            connection.commit()

    return add


@pytest.fixture
def reader(request: pytest.FixtureRequest, way: Way, with_events: Any) -> Iterator[Reader]:
    """A reader on the connection of the way that the test is parametrised with."""
    with_events(way.kind)
    with reading(way.open()) as opened:
        yield opened


@contextmanager
def reading(connection: Any) -> Iterator[Reader]:
    reader = Reader(connection, "shop.EventMigration")
    try:
        yield reader
    finally:
        reader.close()
        close_connection(connection)


def ids(reader: Reader, narrowed: tuple[str, Any]) -> list[int]:
    rows = rows_of(reader, *narrowed)
    assert reader.count(*narrowed) == len(rows)
    return sorted(row["id"] for row in rows)


def newer(reader: Reader, column: str, mark: Any, query: str = ALL, params: Any = ()) -> list[int]:
    return ids(
        reader, at_or_above(reader.connection, query, params, column, mark, NullMarks.EXCLUDE)
    )


def found(reader: Reader, columns: list[str], *keys: tuple[Any, ...], query: str = ALL) -> Any:
    return ids(reader, with_keys(reader.connection, query, (), columns, keys))


every_way = pytest.mark.parametrize("way", EVERY, indirect=True)


# ------------------------------------------------------------------ marks


@every_way
@pytest.mark.parametrize(
    ("column", "above"),
    [("id", [5]), ("changed", [5]), ("price", [5])],
)
def test_rows_at_or_above_the_highest_mark_are_its_equals(
    reader: Reader, column: str, above: list[int]
) -> None:
    assert newer(reader, column, reader.highest(ALL, (), column)) == above


@every_way
def test_rows_with_the_same_time_as_the_mark_are_read_again(reader: Reader) -> None:
    upto = "SELECT * FROM event WHERE id < 5"
    mark = reader.highest(upto, (), "changed")
    assert newer(reader, "changed", mark) == [2, 3, 5]
    assert newer(reader, "changed", mark, upto) == [2, 3]


@every_way
def test_rows_with_the_same_price_as_the_mark_are_read_again(reader: Reader) -> None:
    mark = reader.highest("SELECT * FROM event WHERE id < 3", (), "price")
    assert newer(reader, "price", mark) == [2, 3, 5]
    assert newer(reader, "price", Decimal("10.10")) == [3, 5]
    assert newer(reader, "price", Decimal("10.11")) == [5]


@every_way
def test_a_time_finds_its_equals_in_the_form_of_the_driver(reader: Reader) -> None:
    assert newer(reader, "changed", MOMENT + MILLISECONDS) == [2, 3, 5]
    assert newer(reader, "changed", MOMENT) == [1, 2, 3, 5]
    assert newer(reader, "changed", MOMENT + SECOND) == [5]
    assert newer(reader, "changed", MOMENT + 2 * SECOND) == []


@every_way
def test_rows_without_a_mark_are_included_or_left_out(reader: Reader) -> None:
    def rows(nulls: NullMarks) -> list[int]:
        return ids(reader, at_or_above(reader.connection, ALL, (), "number", 8, nulls))

    assert rows(NullMarks.INCLUDE) == [2, 4, 5]
    assert rows(NullMarks.RAISE) == [2, 4, 5]
    assert rows(NullMarks.EXCLUDE) == [2, 5]
    assert ids(reader, without_value(reader.connection, ALL, (), "number")) == [4]


@every_way
def test_there_is_no_highest_of_nothing(reader: Reader) -> None:
    assert reader.highest("SELECT * FROM event WHERE id < 0", (), "changed") is None
    assert reader.highest("SELECT * FROM event WHERE id = 4", (), "changed") is None
    assert reader.highest(ALL, (), "id") == 5


# ------------------------------------------------------------------ keys


@every_way
def test_keys_are_found_by_their_value_and_type(reader: Reader) -> None:
    assert found(reader, ["id"], (1,), (4,), (77,)) == [1, 4]
    assert found(reader, ["order"], ("01581",), ("x'; DROP",), ("Käse",), ("ü",)) == [1, 3, 4, 5]
    assert found(reader, ["order"], ("1581",)) == [2]
    assert found(reader, ["price"], (Decimal("10.10"),), (Decimal("99.99"),)) == [3, 5]


@pytest.mark.parametrize("way", [name for name in EVERY if "sqlite" not in name], indirect=True)
def test_a_time_as_key_is_found(reader: Reader) -> None:
    assert found(reader, ["changed"], (MOMENT + MILLISECONDS,), (MOMENT + SECOND,)) == [2, 3, 5]


@every_way
def test_keys_of_several_columns_are_found_together(reader: Reader) -> None:
    keys = [("DE", 7), ("AT", 7), ("AT", 8)]
    assert found(reader, ["Land", "number"], *keys) == [1, 3]


@every_way
def test_null_in_a_key_is_null(reader: Reader) -> None:
    assert found(reader, ["Land", "number"], (None, 8), ("AT", None)) == [4, 5]
    assert found(reader, ["Land"], (None,), ("DE",)) == [1, 2, 5]


@every_way
def test_many_keys_are_no_burden(reader: Reader) -> None:
    keys = [("DE", n) for n in range(400)]
    assert found(reader, ["Land", "number"], *keys) == [1, 2]


@every_way
def test_no_keys_and_no_rows_leave_the_columns(reader: Reader) -> None:
    reader.execute(ALL)
    columns = reader.columns
    assert found(reader, ["id"]) == []
    assert ids(reader, no_rows(reader.connection, ALL + " WHERE number % 2 = 1", ())) == []
    assert reader.columns == columns


# ------------------------------------------------------------------ the query as it was written


@every_way
def test_percent_signs_stay_what_they_are_without_parameters(reader: Reader) -> None:
    query = "SELECT * FROM event WHERE number % 2 = 1 OR 'a%b' LIKE '%s'"
    assert newer(reader, "id", 2, query) == [3]
    assert found(reader, ["id"], (1,), (2,), query=query) == [1]
    assert reader.highest(query, (), "id") == 3


@every_way
def test_reserved_and_strange_names_are_quoted(reader: Reader) -> None:
    assert newer(reader, "order", "Käse") in ([3, 4, 5], [3, 5])  # as each collation has it
    assert newer(reader, "100% sure", "a") == [1, 3]
    assert found(reader, ["100% sure"], ("%s",), ("%%",)) == [2, 5]
    assert reader.highest(ALL + " WHERE id < 3", (), "100% sure") == "a%b"


@every_way
def test_the_parameters_of_the_query_come_first(way: Way, reader: Reader) -> None:
    query = f"SELECT * FROM event WHERE number = {way.mark} AND 10 %% 3 = 1"
    if way.mark == "?":
        query = query.replace("%%", "%")
    for params in ((7,), [7]):
        assert newer(reader, "id", 2, query, params) == [3]
        assert ids(reader, with_keys(reader.connection, query, params, ["id"], [(1,), (2,)])) == [
            1
        ]
        assert reader.highest(query, params, "id") == 3
        assert reader.highest(query, params, "100% sure") == "a%b"


@pytest.mark.parametrize("way", [name for name in EVERY if "wrapper" not in name], indirect=True)
def test_parameters_with_names_get_companions_with_names(way: Way, reader: Reader) -> None:
    if way.name.endswith("odbc"):
        pytest.skip("ODBC knows no parameters with names")
    name = ":n" if way.mark == "?" or way.kind == "sqlite" else "%(n)s"
    query, params = f"SELECT * FROM event WHERE number = {name}", {"n": 7}
    assert newer(reader, "id", 2, query, params) == [3]
    keys = with_keys(reader.connection, query, params, ["id"], [(1,), (2,)])
    assert ids(reader, keys) == [1]
    assert reader.highest(query, params, "id") == 3


@every_way
@pytest.mark.parametrize(
    "query",
    [
        "WITH big AS (SELECT * FROM event WHERE id > 1) SELECT * FROM big",
        "SELECT * FROM event WHERE id > 1 ORDER BY number, id DESC",
        "SELECT id FROM event WHERE id > 2 UNION ALL SELECT 2 FROM event WHERE id = 1",
        "\n SELECT * FROM event WHERE id > 1 ; \n",
        "SELECT * FROM event WHERE id > 1 -- not the first, 100 %",
        "SELECT * FROM event WHERE id > 1\n  -- not the first\n",
    ],
)
def test_any_query_can_be_narrowed(reader: Reader, query: str) -> None:
    assert newer(reader, "id", 2, query) == [2, 3, 4, 5]
    assert newer(reader, "id", 4, query) == [4, 5]
    assert found(reader, ["id"], (1,), (3,), query=query) == [3]
    assert reader.highest(query, (), "id") == 5
    assert ids(reader, no_rows(reader.connection, query, ())) == []


# ------------------------------------------------------------------ what cannot be narrowed

REFUSED = (
    "It was read as: SELECT * FROM ( {query} ) narrowed",
    "Inside brackets every column needs a name of its own (write AS), spelt as in the spec, and "
    "SQL Server takes neither WITH nor ORDER BY. Correct the query; a run with --full reads it as "
    "it is.",
)


@every_way
def test_a_column_that_the_query_does_not_return_is_refused(reader: Reader) -> None:
    query = "SELECT id FROM event"
    for attempt in (
        lambda: newer(reader, "modified", "2024", query),
        lambda: reader.highest(query, (), "modified"),
    ):
        with pytest.raises(SourceError) as caught:
            attempt()
        message = str(caught.value)
        assert message.startswith(
            "shop.EventMigration: the query could not be narrowed by 'modified': "
        )
        assert f"FROM ( {query} ) narrowed" in message
        assert message.endswith(REFUSED[1])
        assert len(rows_of(reader, ALL)) == 5


@every_way
def test_a_column_that_is_returned_twice_is_named(reader: Reader) -> None:
    query = "SELECT a.id, b.id, b.number FROM event a, event b WHERE a.id = b.id"
    with pytest.raises(SourceError) as caught:
        newer(reader, "id", 2, query)
    message = str(caught.value)
    assert message.startswith("shop.EventMigration: the query could not be narrowed by 'id': ")
    assert REFUSED[0].format(query=query) in message
    assert message.endswith(REFUSED[1])


@pytest.mark.parametrize("way", ["sqlite-ours"], indirect=True)
def test_a_closed_connection_is_said_to_be_closed(reader: Reader) -> None:
    reader.connection.close()
    with pytest.raises(SourceError, match=r"refused the query: .*The connection is closed"):
        reader.highest(ALL, (), "id")


# ------------------------------------------------------------------ connections of other makes


def test_a_connection_of_django_is_narrowed_in_its_own_way(
    tmp_path: Path, settings: Any, django_db_blocker: Any
) -> None:
    path = tmp_path / "legacy.db"
    with closing(sqlite(path)) as connection:
        fill(connection.cursor(), "sqlite")
        connection.commit()
    entry = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path)}
    connections.settings["legacy"] = connections.configure_settings(
        {"default": {}, "legacy": entry}
    )["legacy"]
    try:
        with django_db_blocker.unblock(), reading(connections["legacy"]) as reader:
            query = "SELECT * FROM event WHERE number %% 2 = 1 AND id > %s"
            assert newer(reader, "id", 2, query, (0,)) == [3]
            assert newer(reader, "changed", MOMENT + MILLISECONDS) == [2, 3, 5]
            assert newer(reader, "100% sure", "a", "SELECT * FROM event WHERE id % 2 = 1") == [
                1,
                3,
            ]
            assert reader.highest(query, (0,), "id") == 3
    finally:
        del connections["legacy"]
        connections.settings.pop("legacy")


def test_the_driver_is_found_inside_wrappers(tmp_path: Path) -> None:
    class Wrapper:
        def __init__(self, inner: Any) -> None:
            self._inside = inner

        def cursor(self) -> Any:
            return self._inside.cursor()

        def close(self) -> None:
            self._inside.close()

    class Subclass(sqlite3.Connection):
        pass

    connection = sqlite3.connect(tmp_path / "legacy.db", factory=Subclass)
    fill(connection.cursor(), "sqlite")
    with reading(WrapperConnection(Wrapper(connection), lambda cursor: cursor)) as reader:
        assert newer(reader, "changed", MOMENT + SECOND, ALL + " WHERE number = ?", (8,)) == [5]


def test_an_unknown_driver_is_taken_for_one_with_percent_marks() -> None:
    query, params = narrowing.with_keys(object(), "SELECT 5 % 2 AS id", (), ["id"], [(1,)])
    assert query == 'SELECT * FROM (\nSELECT 5 %% 2 AS id\n) narrowed WHERE narrowed."id" IN (%s)'
    assert params == [1]


def test_quotes_in_a_name_cannot_end_it() -> None:
    query, _ = narrowing.highest(object(), "SELECT 1", (), 'a") FROM b --')
    assert query.startswith('SELECT MAX(narrowed."a"") FROM b --") AS highest FROM')


def test_drivers_with_numbered_and_named_marks_are_served(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = types.ModuleType("numbered_driver")
    driver.paramstyle = "numeric"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "numbered_driver", driver)
    connection = type("Connection", (), {"__module__": "numbered_driver.thick"})()
    query, params = with_keys(connection, "SELECT :1 AS id", [9], ["id"], [(1,), (2,)])
    assert query.endswith('narrowed."id" IN (:2, :3)')
    assert params == [9, 1, 2]
    query, params = with_keys(connection, "SELECT :n AS id", {"n": 9}, ["id"], [(1,)])
    assert query.endswith('narrowed."id" IN (:data_migration_1)')
    assert params == {"n": 9, "data_migration_1": 1}
