"""The error tree: what is drawn is what is there, and older code can catch it."""

from __future__ import annotations

import re
from inspect import getdoc, isclass

import pytest
from django.core.exceptions import ImproperlyConfigured, ObjectDoesNotExist

from data_migration import exceptions
from data_migration.exceptions import (
    ConversionError,
    DataMigrationError,
    MissingTarget,
    RowFailure,
    SpecError,
    UnknownColumn,
)

CLASSES = [
    value
    for value in vars(exceptions).values()
    if isclass(value) and value.__module__ == exceptions.__name__
]


def drawn() -> dict[str, str]:
    """Each name of the tree in the docstring -> the name it hangs from."""
    parents: dict[str, str] = {}
    path: list[str] = []
    for line in (getdoc(exceptions) or "").splitlines():
        if found := re.match(r"((?:    |│   )*)(?:├── |└── )(\w+)", line.removeprefix("    ")):
            depth = len(found[1]) // 4 + 1
            path = [*path[:depth], found[2]]
            parents[found[2]] = path[-2]
        elif line.strip() == "DataMigrationError":
            path = [line.strip()]
    return parents


def test_the_tree_in_the_docstring_is_the_real_one() -> None:
    real = {cls.__name__: cls.__bases__[0].__name__ for cls in CLASSES}
    assert real.pop("DataMigrationError") == "Exception"
    assert drawn() == real


@pytest.mark.parametrize("cls", CLASSES)
def test_every_error_is_caught_by_the_base_and_explained(cls: type) -> None:
    assert issubclass(cls, DataMigrationError)
    assert cls.__doc__


@pytest.mark.parametrize(
    ("cls", "older"),
    [
        (SpecError, ImproperlyConfigured),
        (ConversionError, ValueError),
        (UnknownColumn, TypeError),
        (MissingTarget, ObjectDoesNotExist),
    ],
)
def test_code_that_expects_the_older_exception_catches_it(cls: type, older: type) -> None:
    assert issubclass(cls, older)


@pytest.mark.parametrize("cls", [RowFailure, ConversionError, UnknownColumn, MissingTarget])
def test_a_row_failure_names_column_value_and_cause(cls: type[RowFailure]) -> None:
    error = cls("it is no date", column="born", value="31.2.1999")
    assert (error.cause, error.column, error.value) == ("it is no date", "born", "31.2.1999")
    assert str(error) == "column 'born', value '31.2.1999': it is no date"
    assert error.args == ("it is no date",)


def test_a_row_failure_without_a_column_is_its_cause() -> None:
    assert str(RowFailure("the row is too long")) == "the row is too long"
