"""Queries that number their rows with MySQL's user variables: every reading begins alike."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from data_migration import sources
from data_migration.sources import Reader
from data_migration.sources.query import QueryFeed
from tests.support.legacy import connect
from tests.support.urls import ServerURL

from .conftest import TOTAL

NUMBERED = "SELECT @n := IFNULL(@n, 0) + 1 AS id, name FROM item ORDER BY item.id"


@pytest.fixture(params=["ours", "theirs"], name="open_session")
def session_fixture(
    request: pytest.FixtureRequest, legacy_sources: dict[str, Any], mysql_url: ServerURL
) -> Callable[[], Any]:
    """Opens a session: one of a configured source, or one that a spec opened by itself."""
    legacy_sources["legacy"] = mysql_url.source()
    if request.param == "ours":
        return lambda: sources.connect("legacy")
    return lambda: connect(mysql_url)


def ids(feed: QueryFeed) -> list[int]:
    return [int(key) for rows in feed.rows(1000) for key in rows.values(["id"])]


@pytest.mark.parametrize("name", ["n", "`n`", "my.n_$1"])
def test_a_query_that_was_counted_begins_at_one(
    open_session: Callable[[], Any], name: str
) -> None:
    with closing(open_session()) as connection:
        feed = QueryFeed(
            Reader(connection, "shop.ItemMigration"), NUMBERED.replace("@n", f"@{name}")
        )
        assert feed.count() == TOTAL
        feed.open()
        assert ids(feed) == list(range(1, TOTAL + 1))


def test_so_does_one_that_was_searched_and_looked_at(open_session: Callable[[], Any]) -> None:
    with closing(open_session()) as connection:
        feed = QueryFeed(Reader(connection, "shop.ItemMigration"), NUMBERED)
        assert int(feed.highest("id")) == TOTAL
        feed.look()
        for key in (3, 7):
            found = feed.with_keys(["id"], [(key,)])
            found.open()
            assert ids(found) == [key]


def test_what_the_session_had_before_is_kept(open_session: Callable[[], Any]) -> None:
    with closing(open_session()) as connection:
        with closing(connection.cursor()) as cursor:
            cursor.execute("SET @n = 500")
        feed = QueryFeed(Reader(connection, "shop.ItemMigration"), NUMBERED)
        feed.count()
        feed.open()
        assert ids(feed)[:2] == [501, 502]


def test_a_hook_that_counts_by_the_query_changes_nothing(open_session: Callable[[], Any]) -> None:
    def counted(connection: Any, cursor: Any) -> int:
        cursor.execute(NUMBERED)
        return len(cursor.fetchall())

    with closing(open_session()) as connection:
        feed = QueryFeed(Reader(connection, "shop.ItemMigration"), NUMBERED)
        assert feed.count_by(counted) == TOTAL
        feed.open()
        assert ids(feed)[0] == 1


def test_two_variables_and_what_is_none(open_session: Callable[[], Any]) -> None:
    query = (
        "SELECT @n := IFNULL(@n, 0) + 1 AS id, @m := IFNULL(@m, 10) - 1 AS place,"
        " '@x := 1' AS name FROM item ORDER BY item.id"
    )
    with closing(open_session()) as connection:
        feed = QueryFeed(Reader(connection, "shop.ItemMigration"), query)
        feed.count()
        feed.open()
        (first,) = next(iter(feed.rows(1))).values(["id", "place", "name"])
        assert (int(first[0]), int(first[1]), first[2]) == (1, 9, "@x := 1")
