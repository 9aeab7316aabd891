"""Rows that earlier runs of an open pass have counted, of which no link tells it.

What such a run has written has a link of the pass, and is passed over. What it found unchanged, or
skipped, looks as before, and the run that goes on finds it once more: it counts it as done before,
so that over all runs of a pass each row is in one count.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

from ..ledger.steps import untraced
from .context import StepContext


class Earlier(Protocol):
    """What a step asks of earlier runs."""

    def take(self, numbers: Sequence[int]) -> int:
        """How many of the rows with these numbers, unchanged or skipped, have been counted."""


class Untraced:
    """As many rows as the earlier runs have counted: which ones is all the same for the sums."""

    def __init__(self, context: StepContext) -> None:
        self._context = context
        self._taken = 0

    @cached_property
    def _rows(self) -> int:
        # Asked when the first row comes: before that it is not known where the pass began.
        context = self._context
        if context.options.retry_failed or not context.updates:
            return 0
        return untraced(context.state, run=context.step.run_id, database=context.database)

    def take(self, numbers: Sequence[int]) -> int:
        rows = min(len(numbers), self._rows - self._taken)
        self._taken += rows
        return rows


class UpTo:
    """The rows up to a number, where rows come in an order and an earlier run got that far."""

    def __init__(self, number: int) -> None:
        self._number = number

    def take(self, numbers: Sequence[int]) -> int:
        return sum(number <= self._number for number in numbers)
