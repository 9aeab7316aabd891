"""Small pages are handled together, without anybody waiting for that."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_migration.sources.pages import Page, gathered

pytestmark = pytest.mark.once


def page(first: int, rows: int = 10, **more: object) -> Page:
    return Page([{"id": number} for number in range(first, first + rows)], **more)  # type: ignore[arg-type]


def sizes(pages: Iterator[Page]) -> list[int]:
    return [len(each.rows) for each in pages]


def at_once() -> float:
    return 0.0


def test_the_first_page_comes_by_itself_and_then_more_and_more() -> None:
    pages = [page(start) for start in range(0, 200, 10)]
    assert sizes(gathered(pages, 50, at_once)) == [10, 20, 40, 50, 50, 30]


def test_of_a_slow_system_each_page_comes_when_it_is_there() -> None:
    seconds = count()
    pages = [page(start) for start in range(0, 50, 10)]
    assert sizes(gathered(pages, 50, lambda: float(next(seconds)))) == [10] * 5


def test_cursor_tombstones_and_order_are_those_of_all() -> None:
    pages = [page(0, cursor="a"), page(10, cursor="b", deleted=[1]), page(20, cursor="c")]
    first, second = gathered(pages, 50, at_once)
    assert (first.cursor, second.cursor, second.deleted) == ("a", "c", [1])
    assert not second.is_sorted


def test_what_came_before_an_error_comes_before_it() -> None:
    def broken() -> Iterator[Page]:
        yield page(0)
        yield page(10)
        raise ConnectionResetError("page 3")

    pages = gathered(broken(), 50, at_once)
    assert [len(next(pages).rows), len(next(pages).rows)] == [10, 10]
    with pytest.raises(ConnectionResetError, match="page 3"):
        next(pages)


@given(rows=st.lists(st.integers(0, 12), max_size=30), size=st.integers(12, 40))
def test_no_row_is_lost_and_none_is_too_many(rows: list[int], size: int) -> None:
    pages = [page(100 * number, each) for number, each in enumerate(rows)]
    found = list(gathered(pages, size, at_once))
    assert [row for each in found for row in each.rows] == [
        row for each in pages for row in each.rows
    ]
    assert all(len(each.rows) <= size for each in found)
