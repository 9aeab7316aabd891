from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from django.utils import timezone

from testapp.dates import parse_day, parse_moment


@pytest.mark.parametrize("text", ["31.12.2009 14:05", " 31.12.2009 14:05 ", "2009-12-31 14:05:00"])
def test_moment_is_read_in_the_current_time_zone(text: str) -> None:
    with timezone.override("Europe/Vienna"):
        assert parse_moment(text) == datetime(2009, 12, 31, 13, 5, tzinfo=UTC)


@pytest.mark.parametrize("text", ["00.00.0000 00:00", "", " ", None])
def test_moment_that_never_was_is_none(text: str | None) -> None:
    assert parse_moment(text) is None


@pytest.mark.parametrize("text", ["30.02.2009 14:05", "soon", "31.12.2009"])
def test_moment_that_cannot_be_names_the_text(text: str) -> None:
    with pytest.raises(ValueError, match=text):
        parse_moment(text)


def test_day_is_read() -> None:
    assert parse_day("31.12.1969") == date(1969, 12, 31)


@pytest.mark.parametrize("text", ["00.00.0000", "", " ", None])
def test_day_that_never_was_is_none(text: str | None) -> None:
    assert parse_day(text) is None


def test_day_that_cannot_be_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"1969-12-31.*does not match"):
        parse_day("1969-12-31")
