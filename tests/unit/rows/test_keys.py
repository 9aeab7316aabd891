"""Legacy keys as text and as hashes: nothing is lost, and nothing is taken for something else."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_migration.rows.keys import (
    alternative,
    hash_of_text,
    identify,
    identify_many,
    is_whole,
    key_hash,
    key_of_text,
    key_text,
)

ZONES = st.sampled_from([None, dt.UTC, dt.timezone(dt.timedelta(hours=-5, minutes=-30))])
PARTS = st.one_of(
    st.text(),
    st.integers(),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.datetimes(timezones=ZONES),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.uuids(),
    st.binary(),
)
KEYS = st.one_of(PARTS, st.lists(PARTS, min_size=1, max_size=3).map(tuple))


def typed(key: Any) -> Any:
    """What makes two keys one: type and value; whole numbers are one type."""
    if isinstance(key, tuple):
        return tuple(map(typed, key))
    if isinstance(key, (float, Decimal)) and key == int(key):
        key = int(key)
    if isinstance(key, dt.datetime):
        return "datetime", key.isoformat()
    return type(key).__name__, key


@given(KEYS)
def test_a_key_can_be_read_from_its_text(key: Any) -> None:
    assert typed(key_of_text(key_text(key))) == typed(key)


@given(KEYS)
def test_the_text_is_enough_to_make_the_hash(key: Any) -> None:
    digits, text = identify(key)

    assert text == key_text(key)
    assert digits == key_hash(key) == hash_of_text(text)
    assert uuid.UUID(digits).hex == digits


@given(KEYS, KEYS)
def test_two_keys_are_one_when_type_and_value_are(one: Any, other: Any) -> None:
    assert (key_hash(one) == key_hash(other)) == (typed(one) == typed(other))


@given(KEYS)
def test_every_database_can_keep_the_text(key: Any) -> None:
    text = key_text(key)

    assert text.encode()
    assert "\x00" not in text


@pytest.mark.parametrize(
    "key",
    ["01581", "1581", 1581, b"1581", "1581.0", (1581,), ("1581",), 1581.5, True, "true", None],
)
def test_keys_that_look_alike_are_kept_apart(key: Any) -> None:
    alike = ["01581", "1581", 1581, b"1581", "1581.0", (1581,), ("1581",), 1581.5, True, "true"]

    assert [each for each in [*alike, None] if key_hash(each) == key_hash(key)] == [key]


@pytest.mark.parametrize("key", [7.0, Decimal(7), Decimal("7.00"), Decimal("0.7e1")])
def test_a_whole_number_is_the_same_key_whatever_the_driver_made_of_it(key: Any) -> None:
    assert identify(key) == identify(7)
    assert identify(("DE", key)) == identify(("DE", 7))


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (7, "7"),
        (-7, "-7"),
        ("07", '"07"'),
        (("DE", 7), '["DE", 7]'),
        ("Zürich", '"Zürich"'),
        ("a\x00b", '"a\\u0000b"'),
        ("\ud800", '"\\ud800"'),
        (dt.date(2020, 2, 29), '{"date": "2020-02-29"}'),
        (Decimal("1.50"), '{"decimal": "1.5"}'),
        (b"\x00\xff", '{"bytes": "00ff"}'),
        (memoryview(b"\xff"), '{"bytes": "ff"}'),
    ],
)
def test_the_text_is_for_people(key: Any, text: str) -> None:
    assert key_text(key) == text


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=2))
def test_numbers_of_64_bits_have_hashes_in_their_order(numbers: list[int]) -> None:
    assert sorted(numbers, key=key_hash) == sorted(numbers)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**40, -(10**4000)])
def test_longer_numbers_are_keys_as_well(number: int) -> None:
    assert key_of_text(key_text(number)) == number
    assert key_hash(number) not in {key_hash(number - 1), key_hash(number + 1), key_hash(-number)}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        '{"decimal": "abc"}',
        '{"uuid": 5}',
        '{"uuid": "5", "date": "x"}',
        '{"nothing": "5"}',
        "{}",
        '{"microseconds": "%s"}' % ("9" * 30),
        '{"bytes": "zz"}',
        "9" * 5000,
        "[" * 3000,
        "[" * 100_000 + "]" * 100_000,
    ],
)
def test_a_text_that_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        key_of_text(text)


REFUSED = [
    (float("nan"), "nan is no number"),
    (float("-inf"), "-inf is no number"),
    (Decimal("NaN"), "NaN is no number"),
    (Decimal("sNaN"), "sNaN is no number"),
    (("DE", float("inf")), "inf is no number"),
    (10**5000, "the number is too long to identify a row"),
    (Decimal("1e5000"), "the number is too long to identify a row"),
    (Decimal("1e999999999"), "the number is too long to identify a row"),
    (Decimal("1e-999999999"), "the number is too long to identify a row"),
    ({7}, "a set cannot identify a row"),
    ({"id": 7}, "a dict cannot identify a row"),
]


@pytest.mark.parametrize(
    ("key", "sentence"), REFUSED, ids=[type(key).__name__ for key, _ in REFUSED]
)
def test_what_cannot_identify_a_row_is_refused_with_a_sentence(key: Any, sentence: str) -> None:
    with pytest.raises(TypeError, match=f"^{sentence}"):
        identify(key)


@pytest.mark.parametrize(
    ("key", "whole"), [(0, True), ("", True), (None, False), ((1, None), False), ((0, ""), True)]
)
def test_a_key_is_whole_without_null(key: Any, whole: bool) -> None:
    assert is_whole(key) is whole


@pytest.mark.parametrize(
    ("key", "other"),
    [
        (7, "7"),
        ("-7", -7),
        ("0", 0),
        ("01581", None),
        ("-0", None),
        ("", None),
        ("7.0", None),
        ("٣", None),
        ("9" * 5000, None),
        pytest.param(10**5000, None, id="too long"),
        (True, None),
        ((7, "8"), ("7", 8)),
        ((7, "DE"), None),
    ],
)
def test_the_other_form_of_a_key(key: Any, other: Any) -> None:
    found = alternative(key)

    assert (found, type(found)) == (other, type(other))


ALIKE = st.one_of(
    st.lists(st.integers(), min_size=1),
    st.lists(st.text(), min_size=1),
    st.lists(st.tuples(st.integers(), st.text(), st.text(max_size=3)), min_size=1),
    st.lists(st.tuples(st.integers() | st.none(), st.text()), min_size=1),
    st.lists(st.booleans() | st.integers() | st.text() | st.dates(), min_size=1),
)


@given(ALIKE)
def test_many_keys_at_once_are_identified_like_each(keys: list[Any]) -> None:
    many = identify_many(keys)
    assert many is None or list(zip(*many, strict=True)) == [identify(key) for key in keys]


@pytest.mark.parametrize("keys", [[1, -2], ["a", "b\n"], [(1, "a"), (2, '"')]])
def test_plain_keys_are_identified_at_once(keys: list[Any]) -> None:
    assert identify_many(keys) is not None
