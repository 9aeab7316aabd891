"""What is wrong with a line or a patch, on its way to the check that tells it."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage

from ..checks.faults import FAULTS, fault


class Faulty(Exception):
    """``number`` is that of the check, ``details`` are what its text needs; see
    :mod:`data_migration.checks.faults`.
    """

    def __init__(self, number: str, **details: Any) -> None:
        super().__init__(FAULTS[number].message.format(**details))
        self.number = number
        self.details = details

    def message(self, about: str) -> CheckMessage:
        """The message of the check; ``about`` is a label, or a file and a line."""
        return fault(self.number, about, **self.details)
