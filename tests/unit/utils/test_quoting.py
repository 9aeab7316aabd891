"""Values and texts in messages are short, and show the place that matters."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_migration.utils.quoting import TEXT, VALUE, shortened, shown, with_short


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "NULL"),
        (7, "7"),
        ("7", "'7'"),
        ("", "''"),
        ("it's", '"it\'s"'),
        ("a\x00b", "'a\\x00b'"),
        (dt.date(2026, 1, 31), "2026-01-31"),
        ([1, 2], "[1, 2]"),
        ("x" * 498, f"'{'x' * 498}'"),
        ("x" * 600, f"'{'x' * 481}… (600 characters)"),
        (list(range(1000)), str(list(range(1000)))[:499] + "…"),
    ],
)
def test_a_value_is_shown_as_people_read_it(value: Any, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize("odd", ["\x00", "\x1a", "\x85", "\ud800"])
@pytest.mark.parametrize("place", [0, 3, 499, 5_000, 399_990, 399_999])
def test_a_long_text_is_shown_around_what_is_odd_in_it(odd: str, place: int) -> None:
    text = shown("a" * place + odd + "b" * (399_999 - place))
    assert repr(odd)[1:-1] in text
    assert text.endswith(f"… (character {place + 1:,} of 400,000)")


@given(st.text() | st.text(alphabet="\x00'\"\\ab", min_size=400), st.integers(60, 700))
def test_what_is_shown_is_never_longer(value: str, most: int) -> None:
    assert len(shown(value, most)) <= most
    assert len(shortened(value, most)) <= most


def test_a_long_text_keeps_its_beginning_and_its_end() -> None:
    assert shortened("a" * TEXT) == "a" * TEXT
    text = shortened(f"begin{'x' * 3_000_000}end.")
    assert len(text) == TEXT
    assert text.startswith("beginxxx")
    assert text.endswith("xxxend.")
    assert "… (3,000,009 characters) …" in text


def test_a_text_that_quotes_a_long_value_quotes_it_short() -> None:
    value = f"{'x' * 3_000}\x00{'y' * 3_000}"
    text = with_short(f"“{value}” value must be an integer.", value)
    assert text.startswith("“…xxxx")
    assert "x\\x00y" in text
    assert text.endswith("… (character 3,001 of 6,001)” value must be an integer.")
    assert len(text) < VALUE + 50
    assert with_short("no “12” here", "12") == "no “12” here"
