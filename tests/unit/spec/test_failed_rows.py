"""What the default hook writes of a row that failed."""

from __future__ import annotations

from typing import Any

import pytest

from data_migration.exceptions import ConversionError
from data_migration.spec.failed_rows import told


def lines(error: Exception, row: dict[str, Any], **more: Any) -> list[str]:
    return told("OrderMigration", error, row, more.get("sensitive", ())).splitlines()


def test_a_fault_of_a_row_is_told_with_its_column_and_value() -> None:
    error = ConversionError("“many” value must be an integer.", column="pages", value="many")
    assert lines(error, {"id": 7, "pages": "many", "born": None}) == [
        "OrderMigration: column 'pages', value 'many': “many” value must be an integer.",
        "  row: id = 7, pages = 'many', born = NULL",
    ]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyError("email"), "KeyError: 'email'"),
        (ValueError(), "ValueError"),
        (ValueError("two\nlines"), "ValueError: two lines"),
    ],
)
def test_any_other_error_is_told_with_its_type(error: Exception, said: str) -> None:
    assert lines(error, {"id": 7})[0] == f"OrderMigration: {said}"


def test_an_error_of_a_hook_is_located() -> None:
    def hook_before_save() -> None:
        raise ValueError("no address")

    with pytest.raises(ValueError, match="no address") as caught:
        hook_before_save()
    line = hook_before_save.__code__.co_firstlineno + 1
    assert lines(caught.value, {})[0] == (
        f"OrderMigration: hook_before_save, line {line}: ValueError: no address"
    )


@pytest.mark.parametrize("place", [0, 200_000])
def test_a_long_value_takes_two_short_lines_all_the_same(place: int) -> None:
    value = "x" * place + "\x00" + "y" * (399_999 - place)
    error = ConversionError(f"“{value}” holds a NUL character", column="text", value=value)
    first, second = lines(error, {"id": 7, "text": value, "more": b"z" * 9000})
    assert len(first) < 1200
    assert "holds a NUL character" in first
    assert f"(character {place + 1:,} of 400,000)" in first
    assert len(second) < 200
    assert "\\x00" in second
    assert len(lines(ValueError("no"), {f"column {n}": "v" * 99 for n in range(200)})[1]) < 2100
