"""What the messages of one cause have in common."""

from __future__ import annotations

import pytest

from data_migration.ledger.patterns import pattern_of


@pytest.mark.parametrize(
    ("cause", "value", "pattern"),
    [
        ("id = 0 matches no shop.Customer", "0", "id = … matches no shop.Customer"),
        ("id = -7 matches no shop.T2", "-7", "id = … matches no shop.T2"),
        ("name = 'Bob' matches no a.B", "'Bob'", "name = … matches no a.B"),
        ("“many” value must be an integer.", "'many'", "“…” value must be an integer."),
        ("Duplicate entry 'x' for key 'email'", "", "Duplicate entry … for key 'email'"),
        (
            'violates unique constraint "one" (a)=(b@c)',
            "'b@c'",
            'violates unique constraint "one" (a)=(…)',
        ),
        ("hook_before_save, line 12: KeyError: 'a'", "", "hook_before_save, line 12: KeyError: …"),
        ("at 3.5, or 1,204.", "", "at …, or …."),
        ("name may not be NULL", "NULL", "name may not be NULL"),
        ("", "", ""),
    ],
)
def test_what_is_particular_to_a_row_is_left_out(cause: str, value: str, pattern: str) -> None:
    assert pattern_of(cause, value) == pattern


def test_a_long_cause_is_cut() -> None:
    assert len(pattern_of("word " * 100)) == 255
