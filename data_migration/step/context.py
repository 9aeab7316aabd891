"""What every part of a step has to know: one value instead of four parameters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ..conf import settings
from ..models import MigrationState, RunStep
from ..options import RunOptions
from ..spec.hooks import Hooks
from ..spec.migration import Migration


@dataclass(frozen=True)
class StepContext:
    """One migration within a run.

    ``step`` holds the counts of this run, ``state`` what is remembered of the migration from run
    to run.
    """

    step: RunStep
    migration: Migration
    state: MigrationState
    options: RunOptions

    @cached_property
    def hooks(self) -> Hooks:
        """The migration's own hooks."""
        return Hooks(self.migration)

    @property
    def label(self) -> str:
        return self.step.migration

    @property
    def database(self) -> str:
        """The alias of the target database."""
        return self.options.database

    @property
    def updates(self) -> bool:
        """Whether rows that were imported before are compared and updated."""
        options = self.options
        return options.update or options.full or self.migration.allow_updates

    def leaves_rows_unread(self) -> bool:
        """Whether there may be rows that no run has read, once the step has read what it reads."""
        if self.options.retry_failed:
            return not self.state.is_read
        limit, total = self.options.limit, self.step.total
        return limit is not None and (total is None or total >= limit)

    @property
    def batch_size(self) -> int:
        """How many rows are read, transformed and written together."""
        return self.options.batch_size or self.migration.batch_size or settings.batch_size
