"""Cells that spreadsheets do not take for formulas."""

from __future__ import annotations

import pytest

from data_migration.admin.export import harmless

BLANKS = ["", " ", "\t", "\r", "\n", "\xa0", "\u3000", "\u200b", "\ufeff", "\x00", " \xa0\n"]


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "＝1", "＋1", "－1", "＠x"])
@pytest.mark.parametrize("blank", BLANKS)
def test_a_formula_becomes_text_whatever_stands_before_it(text: str, blank: str) -> None:
    assert harmless(blank + text) == f"'{blank}{text}"


@pytest.mark.parametrize("text", ["\tx", "\rx", "\nx"])
def test_what_begins_a_new_cell_becomes_text(text: str) -> None:
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize("value", ["", "text", "a=b", 7, "'=1", " x", "\xa0x", " \tx"])
def test_anything_else_stays_as_it_is(value: object) -> None:
    assert harmless(value) == str(value)
