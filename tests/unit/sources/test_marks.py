"""The stored mark keeps its type, and lowering it never goes up."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_migration.exceptions import SpecError
from data_migration.sources.marks import lowered, mark_text, value_of_mark

MOMENTS = st.datetimes(min_value=dt.datetime(1000, 1, 1))
LAGS = st.timedeltas(dt.timedelta(0), dt.timedelta(days=4000))
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda m: dt.timezone(dt.timedelta(minutes=m)))
NUMBERS = st.one_of(
    st.integers(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
)
DISTANCES = st.one_of(
    st.integers(0, 10**12),
    st.decimals(0, 10**12, places=4),
    st.floats(0, 10**12),
)


@given(
    st.one_of(
        NUMBERS,
        st.text(),
        st.binary(),
        st.dates(),
        st.datetimes(timezones=st.one_of(st.none(), OFFSETS)),
        st.times(),
        st.uuids(),
    )
)
def test_a_stored_mark_comes_back_as_it_was(mark: Any) -> None:
    back = value_of_mark(mark_text(mark))
    assert back == mark
    is_number = isinstance(mark, (int, float, Decimal))
    assert isinstance(back, (int, float, Decimal)) if is_number else type(back) is type(mark)


def test_text_and_numbers_stay_apart() -> None:
    assert [value_of_mark(mark_text(m)) for m in ("0042", "42", 42)] == ["0042", "42", 42]


def test_what_has_no_order_is_no_mark() -> None:
    with pytest.raises(SpecError, match="a value of the type dict is no mark"):
        mark_text({})


@given(MOMENTS, LAGS, st.sampled_from(" T"), st.booleans())
def test_text_is_lowered_like_the_time_that_it_is(
    moment: dt.datetime, lag: dt.timedelta, separator: str, is_zulu: bool
) -> None:
    zone = "Z" if is_zulu else ""
    text = lowered(moment.isoformat(separator, "microseconds") + zone, lag)
    assert text.endswith(zone)
    assert text[10] == separator
    assert dt.datetime.fromisoformat(text.removesuffix("Z")) == lowered(moment, lag)


@given(MOMENTS, LAGS, st.integers(0, 6))
def test_lowered_text_is_no_higher_for_a_database_that_compares_text(
    moment: dt.datetime, lag: dt.timedelta, digits: int
) -> None:
    fraction = f"{moment.microsecond:06}"[:digits]
    text = moment.isoformat(" ", "seconds") + (f".{fraction}" if fraction else "")
    assert lowered(text, lag) <= text
    low = lowered(moment, lag)
    for written in (low.isoformat(" "), low.isoformat(" ", "microseconds")):
        assert lowered(text, lag) <= written


@given(st.datetimes(dt.datetime(1000, 1, 1), timezones=OFFSETS), LAGS)
def test_a_time_with_an_offset_keeps_it(moment: dt.datetime, lag: dt.timedelta) -> None:
    low = lowered(moment, lag)
    assert low == moment - lag
    assert low.utcoffset() == moment.utcoffset()
    written = lowered(moment.isoformat(timespec="microseconds"), lag)
    assert dt.datetime.fromisoformat(written) == low


def test_the_clock_that_is_put_forward_does_not_raise_the_mark() -> None:
    mark = dt.datetime(2024, 3, 31, 3, 2, tzinfo=ZoneInfo("Europe/Berlin"))
    assert lowered(mark, dt.timedelta(minutes=5)).astimezone(dt.UTC) == dt.datetime(
        2024, 3, 31, 0, 57, tzinfo=dt.UTC
    )


@given(NUMBERS, DISTANCES)
def test_a_lowered_number_is_no_higher_and_of_its_type(mark: Any, lag: Any) -> None:
    low = lowered(mark, lag)
    assert low <= mark
    assert type(low) is type(mark)


@given(st.dates(dt.date(1000, 1, 1)), LAGS)
def test_a_lowered_date_reaches_as_far_back_as_the_lag(mark: dt.date, lag: dt.timedelta) -> None:
    midnight = dt.datetime.combine(mark, dt.time())
    low = lowered(mark, lag)
    assert dt.datetime.combine(low, dt.time()) <= midnight - lag
    assert lowered(mark.isoformat(), lag) == low.isoformat()


HOUR = dt.timedelta(hours=1)


@pytest.mark.parametrize(
    ("mark", "lag", "low"),
    [
        (1000, 10, 990),
        (1000, 0.5, 999),
        (2**62 + 1, 1, 2**62),
        (Decimal("10.50"), 0.25, Decimal("10.25")),
        (10.5, 1, 9.5),
        ("2024-03-01 00:30:00", HOUR, "2024-02-29 23:30:00"),
        ("2024-03-01T00:30:00.250", HOUR, "2024-02-29T23:30:00.25"),
        ("2024-03-01T00:30:00.250Z", HOUR, "2024-02-29T23:30:00.250Z"),
        ("2024-03-01 00:30:00,5", HOUR, "2024-02-29 23:30:00,5"),
        ("2024-03-01 00:30", HOUR, "2024-02-29 23:30"),
        ("2024-03-01 00:30", dt.timedelta(seconds=1), "2024-03-01 00:29"),
        ("2024-03-01 00:30:00+02", HOUR, "2024-02-29 23:30:00+02"),
        ("2024-03-01 00:30:00 -0130", HOUR, "2024-02-29 23:30:00 -0130"),
        ("2024-03-01 00:30:00.123456789", HOUR, "2024-02-29 23:30:00.123456789"),
        ("2024-03-01", HOUR, "2024-02-29"),
        ("anything", None, "anything"),
        (None, HOUR, None),
    ],
)
def test_the_form_of_the_mark_is_kept(mark: Any, lag: Any, low: Any) -> None:
    assert lowered(mark, lag) == low
    assert type(lowered(mark, lag)) is type(low)


@pytest.mark.parametrize(
    ("mark", "lag", "advice"),
    [
        (dt.datetime(2024, 1, 1), 300, r"Use a timedelta, such as timedelta\(minutes=5\)\."),
        ("2024-01-01 10:00:00", 300, "Use a timedelta"),
        (dt.date(2024, 1, 1), True, "Use a timedelta"),
        (7, HOUR, "Use a number, such as 100"),
        (Decimal(7), "1", "Use a number"),
        ("0042", HOUR, "Nothing can be subtracted from such text; leave high_water_lag out"),
        ("2024-02-30", HOUR, "does not fit the mark '2024-02-30'"),
        (b"\x00\x01", 1, "Nothing can be subtracted from it"),
        (True, 1, "Nothing can be subtracted from it"),
        (7, -1, "has to be zero or more"),
        (7, float("nan"), "has to be zero or more"),
        (dt.datetime(2024, 1, 1), -HOUR, "has to be zero or more"),
        (dt.datetime(2024, 1, 1), dt.timedelta(days=10**6), "too far back"),
        ("2024-01-01 10:00:00", dt.timedelta(days=10**6), "too far back"),
        (7, float("inf"), "too far back"),
    ],
)
def test_a_lag_that_does_not_fit_is_refused(mark: Any, lag: Any, advice: str) -> None:
    with pytest.raises(SpecError, match=advice) as caught:
        lowered(mark, lag)
    assert "high_water_lag" in str(caught.value)
