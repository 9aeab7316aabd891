"""Errors in words that people can use."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError

from data_migration.exceptions import StepFailed
from data_migration.utils.wording import error_text, hook_of, number_of


def raised_in_hook() -> BaseException:
    def hook_before_save(instance: Any) -> None:
        raise ValueError("no  such\nthing.")

    with pytest.raises(ValueError) as caught:
        hook_before_save(None)
    return caught.value


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (StepFailed("shop.A: row 1 failed."), "shop.A: row 1 failed."),
        (KeyboardInterrupt(), "shop.A was stopped at once. Nothing is kept."),
        (ValueError("no  such\nthing."), "shop.A: ValueError: no such thing."),
        (ValueError(), "shop.A: ValueError."),
        (
            OperationalError("disk full"),
            "shop.A: the target database says: OperationalError: disk full.",
        ),
    ],
)
def test_an_error_becomes_a_sentence_about_what_it_stopped(error: Any, text: str) -> None:
    assert error_text(error, "shop.A", "Nothing is kept.") == text


def test_what_could_not_begin_is_told_without_a_name() -> None:
    error = OperationalError("disk full")
    assert error_text(error) == "The target database says: OperationalError: disk full."


def test_a_fault_in_a_hook_is_located() -> None:
    error = raised_in_hook()
    assert hook_of(error).startswith("hook_before_save, line ")
    text = error_text(error, "shop.A")
    assert text.startswith("shop.A: hook_before_save, line ")
    assert text.endswith(": ValueError: no such thing.")
    assert hook_of(ValueError()) == ""


def test_numbers_of_things() -> None:
    assert [number_of(count, "row") for count in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]
