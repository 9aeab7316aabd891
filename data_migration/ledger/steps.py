"""A step going on: its counts and messages, stored together with its rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Protocol

from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from ..conf import settings
from ..models import MigrationState, RowError, RowLink, RunStep
from ..outcomes import LinkKind, MessageKind, Mode, RunStatus
from .messages import Message, Messages

#: What a step may end in so that its rows are kept and its dependants may run.
FINISHED = frozenset({RunStatus.DONE, RunStatus.PARTIAL})


class Guard(Protocol):
    """The lock, as a batch meets it."""

    def check(self) -> None:
        """Raise when the batch must not be committed. For its transaction."""

    def beat(self) -> None:
        """A batch was committed: a sign of life, where nobody else gives it."""


def untraced(state: MigrationState, *, run: int, database: str) -> int:
    """How many rows earlier runs of the open pass have counted of which no link tells it.

    These are unchanged or skipped; only those that were skipped for the first time have a link of
    the pass. ``run`` is the one that goes on.
    """
    began = state.pass_run
    if began is None or began >= run:
        return 0
    steps = RunStep.objects.using(database).filter(
        migration=state.label, run__gte=began, run__lt=run, run__mode=Mode.COMMIT
    )
    counted = steps.aggregate(unchanged=Sum("unchanged"), skipped=Sum("skipped"))
    linked = RowLink.objects.using(database).filter(
        migration=state, run__gte=began, kind=LinkKind.SKIPPED
    )
    return int(max(0, sum(filter(None, counted.values())) - linked.count()))


class StepLedger:
    """Remembers steps in ``database``, batch by batch, as far as ``guard`` lets them.

    Counts and messages of a step gather in memory. They are written with :meth:`save_step`:
    inside the transaction of its rows when they are kept, after the rollback when they are not.
    ``store`` writes the counts, where they belong.
    """

    def __init__(self, database: str, *, guard: Guard, store: Callable[[RunStep], None]) -> None:
        self.database = database
        self._guard = guard
        self._store = store
        self._messages: dict[RunStep, Messages] = {}
        self._next_commit = 0.0

    def open_messages(
        self, step: RunStep, state: MigrationState, *, rows_before: int = 0
    ) -> Messages:
        """Begin to keep messages of a step; ``rows_before`` as for :class:`Messages`."""
        kept = Messages(step, state, database=self.database, rows_before=rows_before)
        self._messages[step] = kept
        return kept

    def messages_for(self, step: RunStep) -> Messages:
        """The messages of a step that was started."""
        return self._messages[step]

    @property
    def steps(self) -> list[RunStep]:
        """The steps that were started here."""
        return list(self._messages)

    def step_of(self, label: str) -> RunStep | None:
        """The step of a migration that was started here."""
        return next((step for step in self._messages if step.migration == label), None)

    def messages_of(self, labels: Collection[str]) -> list[Messages]:
        """The messages of those of these migrations that were started here."""
        return [kept for step, kept in self._messages.items() if step.migration in labels]

    def note(self, step: RunStep, message: Message) -> RowError:
        """Keep a message about a row; all but failures count as a warning."""
        if message.kind != MessageKind.FAILURE:
            step.warnings += 1
        return self._messages[step].note(message)

    @contextmanager
    def committing(self, step: RunStep) -> Iterator[None]:
        """Commit the rows of the block, the step's counts and its messages together.

        When that fails, of the rows of the block only the failures are counted and kept. Raises
        :exc:`LockLost` when another run has taken over.
        """
        before = step.counts()
        committed: list[bool] = []
        try:
            with transaction.atomic(using=self.database):
                # The first of the callbacks: one of the project's may raise after the commit.
                transaction.on_commit(partial(committed.append, True), using=self.database)
                self._guard.check()
                yield
                self.store_step(step)
        except BaseException:
            if committed:
                self._messages[step].saved()
            else:
                self.keep_failures_only(step, before)
            raise
        self._messages[step].saved()
        self._guard.beat()
        self._next_commit = time.monotonic() + settings.heartbeat_interval

    @property
    def is_silent(self) -> bool:
        """Whether nothing was committed for so long that other processes should see the counts."""
        return time.monotonic() >= self._next_commit

    def keep_failures_only(self, step: RunStep, before: dict[str, int] | None = None) -> None:
        """What was not saved is rolled back; ``before`` are the counts of what was."""
        step.keep_failures_only(before)
        if step in self._messages:
            self._messages[step].keep_failures_only()

    def finish_step(self, step: RunStep, status: RunStatus, error: str = "") -> None:
        """Say how the step ended; it is written when it is saved."""
        step.status = status
        step.error = error
        step.finished_at = timezone.now()
        if step.started_at is not None:
            step.seconds = (step.finished_at - step.started_at).total_seconds()

    def save_step(self, step: RunStep) -> None:
        """Write the step and its messages after a rollback."""
        with transaction.atomic(using=self.database):
            self.store_step(step)
        if step in self._messages:
            self._messages[step].saved()

    def store_step(self, step: RunStep) -> None:
        """Write the step and its messages in the transaction of their rows.

        They are kept for :meth:`save_step`, should the transaction be rolled back.
        """
        self._store(step)
        if step in self._messages:
            self._messages[step].save()
