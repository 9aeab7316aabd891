"""What a patch logs."""

from __future__ import annotations

import pytest

from data_migration.patches.output import logging_to

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("logged", "kept"),
    [
        ("two lamps", "two lamps"),
        (5, "5"),
        (None, "None"),
        ("a\x00b", "a\\x00b"),
        ("https://x.test/?api_key=SECRET123", "https://x.test/?api_key=***"),
    ],
)
def test_what_is_logged_is_kept_as_text_without_secrets(logged: object, kept: str) -> None:
    lines: list[str] = []
    logging_to(lines)(logged)
    assert lines == [kept]
