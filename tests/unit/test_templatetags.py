"""How the admin's pages write numbers."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import translation

from data_migration.templatetags.data_migration import count, grouped


@pytest.mark.parametrize(("value", "text"), [(0, "–"), (None, "–"), ("", "–"), (10618, "10,618")])
def test_nothing_is_a_dash(value: Any, text: str) -> None:
    assert count(value) == text


def test_thousands_are_apart_in_the_language_of_the_page() -> None:
    assert grouped(0) == "0"
    with translation.override("de"):
        assert grouped(1234567) == "1.234.567"
