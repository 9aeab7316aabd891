"""Cells that spreadsheets do not take for formulas."""

from __future__ import annotations

import pytest

from data_migration.admin.export import harmless


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\tx", "\rx"])
def test_a_formula_becomes_text(text: str) -> None:
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize("value", ["", "text", "a=b", 7, "'=1", " x"])
def test_anything_else_stays_as_it_is(value: object) -> None:
    assert harmless(value) == str(value)
