"""The loop over the batches of a step, or of a range of it: read, passed over, written, kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack
from typing import Any

from django.conf import settings
from django.db import reset_queries

from .batch import Batch
from .pipeline import Pipeline


class BatchLoop:
    """Takes batches through the pipeline, each with its transaction.

    ``transaction`` makes one. A batch of which nothing is left to be done has none, unless
    ``is_due`` says that it is time for one. Where ``reached`` is given every batch has one, since
    it is told, before the commit, where reading would go on after the batch; and batches of which
    only the last is whole share theirs. ``after`` is told how many rows are done with, and may end
    the loop by raising.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        transaction: Callable[[], AbstractContextManager[Any]],
        *,
        is_due: Callable[[], bool] = lambda: False,
        reached: Callable[[Any], None] | None = None,
        after: Callable[[int], None],
    ) -> None:
        self._pipeline = pipeline
        self._transaction = transaction
        self._is_due = is_due
        self._reached = reached
        self._after = after

    def run(self, batches: Iterable[Batch]) -> None:
        rows = 0
        with ExitStack() as transaction:
            is_open = False
            for batch in batches:
                group, rows = batch.group, rows + len(batch)
                if self._reached is not None and batch and not is_open:
                    transaction.enter_context(self._transaction())
                    is_open = True
                left = self._pipeline.pass_over(batch)
                if not is_open and (left or self._is_due()):
                    transaction.enter_context(self._transaction())
                    is_open = True
                if is_open:
                    self._pipeline.process(left)
                if not group.is_whole:
                    continue
                if is_open:
                    if self._reached is not None:
                        self._reached(group.last)
                    transaction.close()
                    is_open = False
                if settings.DEBUG:
                    reset_queries()  # DEBUG keeps every statement in memory
                self._after(rows)
                rows = 0
