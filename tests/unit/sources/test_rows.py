"""Cursors that are not complete: hand-made wrappers and their rows."""

from __future__ import annotations

from collections import ChainMap, UserDict
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from data_migration.exceptions import SourceError
from data_migration.rows.remarks import Unequal
from data_migration.sources import Reader
from data_migration.sources.rows import MappingRows, Rows, TupleRows
from tests.unit.sources.conftest import dicts_of

ROWS = [(1, "a"), (2, "b"), (3, "c")]
DICTS = [{"id": number, "name": name} for number, name in ROWS]


class Bare:
    """A cursor that can only execute."""

    description: Any = (("id",), ("name",))

    def __init__(self, rows: list[Any]) -> None:
        self.rows = rows
        self.calls: list[tuple[Any, ...]] = []

    def execute(self, *arguments: Any) -> None:
        self.calls.append(arguments)


class OnlyAll(Bare):
    def fetchall(self) -> Any:
        return self.rows or None


class OnlyIteration(Bare):
    def __iter__(self) -> Iterator[Any]:
        return iter(self.rows)


class OnlyOne(Bare):
    def fetchone(self) -> Any:
        return self.rows.pop(0) if self.rows else None


class Many(OnlyAll):
    def fetchmany(self, size: int) -> Any:
        rows, self.rows = tuple(self.rows[:size]), self.rows[size:]
        return rows or None


class AllOnTopOfMany(Many):
    """A subclass that means its own method to be used."""

    def fetchall(self) -> Any:
        return [{"id": row[0], "name": row[1]} for row in self.rows]


def reader(cursor: Any) -> Reader:
    made = Reader(SimpleNamespace(cursor=lambda: cursor, rollback=lambda: None), "shop.Item")
    made.execute("SELECT 1;")
    return made


@pytest.mark.parametrize("kind", [OnlyAll, OnlyIteration, OnlyOne, Many])
@pytest.mark.parametrize("rows", [ROWS, DICTS, [UserDict(row) for row in DICTS]])
def test_whatever_the_cursor_has_is_used(kind: type[Bare], rows: list[Any]) -> None:
    assert list(dicts_of(reader(kind(list(rows))), 2)) == [DICTS[:2], DICTS[2:]]
    assert list(dicts_of(reader(kind(list(rows))), 2, limit=1)) == [DICTS[:1]]
    assert list(dicts_of(reader(kind([])), 2)) == []


def test_the_most_derived_fetch_method_wins() -> None:
    cursor = AllOnTopOfMany(list(ROWS))
    cursor.description = (("wrong",), ("names",))
    assert list(dicts_of(reader(cursor), 5)) == [DICTS]


def test_a_cursor_without_a_description_may_return_dicts() -> None:
    cursor = SimpleNamespace(execute=lambda query: None, fetchmany=OnlyAll(DICTS).fetchall)
    cursor.fetchmany = Many(list(DICTS)).fetchmany
    made = reader(cursor)
    assert made.columns == ()
    assert list(dicts_of(made, 5)) == [DICTS]


def test_a_query_without_parameters_is_the_only_argument() -> None:
    cursor = Many([])
    connection = SimpleNamespace(cursor=lambda: cursor)
    made = Reader(connection, "shop.Item")
    params: Any
    for params in ((), [], {}):
        made.execute(" SELECT '%' ; ", params)
    made.execute("SELECT :a", {"a": 1})
    assert cursor.calls == [("SELECT '%'",)] * 3 + [("SELECT :a", {"a": 1})]


@pytest.mark.parametrize(
    ("cursor", "message"),
    [
        (
            Bare([]),
            "shop.Item: the cursor (Bare) has none of fetchmany, fetchone, __iter__, fetchall.",
        ),
        (
            Many([object()]),
            "shop.Item: the rows are object objects, neither mappings nor sequences.",
        ),
    ],
)
def test_what_cannot_be_read_is_explained(cursor: Any, message: str) -> None:
    with pytest.raises(SourceError) as caught:
        list(dicts_of(reader(cursor), 5))
    assert str(caught.value) == message


def test_a_query_without_columns_is_refused() -> None:
    cursor = Many([])
    cursor.description = None
    with pytest.raises(SourceError) as caught:
        reader(cursor)
    assert str(caught.value) == (
        "shop.Item: the query returns no columns. The query was: SELECT 1. It must be a SELECT."
    )


@pytest.mark.parametrize("fetched", [ROWS, DICTS, [UserDict(row) for row in DICTS]])
def test_rows_of_any_kind_are_asked_alike(fetched: list[Any]) -> None:
    (rows,) = reader(Many(list(fetched))).rows(5)
    wanted = [False, True, *[True] * (len(ROWS) - 2)]

    assert len(rows) == len(ROWS)
    assert rows.dicts() == DICTS
    assert rows.tuples() == [tuple(row) for row in ROWS]
    assert rows.values(["name"]) == [row["name"] for row in DICTS]
    assert rows.values(["name", "id"]) == [(row["name"], row["id"]) for row in DICTS]
    assert rows.only(wanted).dicts() == DICTS[1:]
    assert rows.only(wanted).values(["id"]) == [row["id"] for row in DICTS[1:]]


def test_of_two_columns_with_one_name_the_last_one_counts() -> None:
    rows = TupleRows([(1, "a", 2)], ("id", "name", "id"))

    assert rows.dicts() == [{"id": 2, "name": "a"}]
    assert rows.values(["id"]) == [2]


LOST = Unequal.ZERO_DATE(None, "0000-00-00")
NOTE = LOST.note("day")


@pytest.mark.parametrize(
    "rows",
    [
        Rows([{"id": 1, "day": 5}, {"id": 2, "day": LOST}, {"id": 3, "day": 6}]),
        TupleRows([(1, 5), [2, LOST], (3, 6)], ("id", "day")),
        MappingRows([ChainMap({"id": n, "day": day}) for n, day in ((1, 5), (2, LOST), (3, 6))]),
    ],
    ids=["dicts", "tuples", "mappings"],
)
def test_a_remark_gives_its_place_to_a_value_and_becomes_a_note_on_its_row(rows: Rows) -> None:
    settled = rows.settled()
    assert settled.values(["day"]) == [5, None, 6]
    assert settled.tuples() == [(1, 5), (2, None), (3, 6)]
    assert settled.dicts()[1] == {"id": 2, "day": None}
    assert settled.notes == [(), (NOTE,), ()]
    assert settled.only([False, True, True]).notes == [(NOTE,), ()]
    assert (Rows([{"id": 0}]) + settled).notes == [(), (), (NOTE,), ()]
    assert (settled + Rows([{"id": 0}])).between(1, 4).notes == [(NOTE,), (), ()]
