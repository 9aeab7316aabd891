"""What is wrong with a line or a patch, on its way to the check that tells it."""

from __future__ import annotations

from typing import Any


class Faulty(Exception):
    """``number`` is that of the check, ``details`` are what its text needs; see
    :mod:`data_migration.checks.faults`.
    """

    def __init__(self, number: str, **details: Any) -> None:
        super().__init__(number)
        self.number = number
        self.details = details
