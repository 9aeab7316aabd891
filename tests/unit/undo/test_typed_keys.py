"""Keys are understood as people write them."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import pytest

from data_migration.exceptions import SpecError
from data_migration.rows.keys import identify
from data_migration.undo.typed_keys import readings, typed_keys


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("42", ["42"]),
        ('42,"a,b", word', ["42", '"a,b"', "word"]),
        ('["DE", 7],["AT", 8]', ['["DE", 7]', '["AT", 8]']),
        ("01581,2026-01-02", ["01581", "2026-01-02"]),
        ('"unfinished, word', ['"unfinished', "word"]),
    ],
)
def test_keys_are_taken_apart_as_people_write_them(text: str, keys: list[str]) -> None:
    assert typed_keys(text) == keys


@pytest.mark.parametrize("text", [" ", ",", "1,,2"])
def test_empty_keys_are_refused(text: str) -> None:
    with pytest.raises(SpecError, match="commas between"):
        typed_keys(text)


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("42", 42),
        ("42", "42"),
        ('"42"', "42"),
        ('"42"', 42),
        ("01581", "01581"),
        ("word", "word"),
        ("true", "true"),
        ("1.5", Decimal("1.5")),
        ('["DE", 7]', ("DE", 7)),
        ("2026-01-02", dt.date(2026, 1, 2)),
        (str(uuid.UUID(int=7)), uuid.UUID(int=7)),
        ('{"date": "2026-01-02"}', dt.date(2026, 1, 2)),
    ],
)
def test_what_a_key_may_mean(typed: str, key: Any) -> None:
    assert identify(key) in [identify(each) for each in readings(typed)]


@pytest.mark.parametrize(
    "typed",
    [
        '{"decimal": "abc"}',
        '{"decimal": "1E999999999"}',
        '{"decimal": "1E-999999999"}',
        '{"decimal": "NaN"}',
        '{"uuid": 5}',
        '{"float": "inf"}',
        '[{"float": "inf"}]',
        '{"microseconds": "%s"}' % ("9" * 30),
        "[" * 3000,
        "[" * 500 + "]" * 500,
        "1.5E999999999",
        "9" * 5000,
        "\udcff",
        '"\\ud800"',
    ],
)
def test_nonsense_is_a_text_at_most(typed: str) -> None:
    assert typed_keys(typed) == [typed]
    for key in readings(typed):
        assert isinstance(key, str)
        identify(key)


def test_text_with_leading_zeros_is_no_number() -> None:
    assert 1581 not in readings("01581")
    assert 1581 not in readings('"01581"')
