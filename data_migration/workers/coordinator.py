"""The ranges in which others read the rows of a step: made, handed out and watched here."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from django.db import Error

from .. import exceptions
from ..conf import settings
from ..exceptions import DataMigrationError, Interrupted, LockLost, StepFailed
from ..ledger import LinkBook, Messages
from ..ledger.claims import give_back, hand_out, stop_ranges
from ..ledger.lock import holds_lock
from ..ledger.steps import untraced
from ..ledger.sums import ranges_of, save_sums
from ..models import StepRange
from ..outcomes import RunStatus
from ..progress import Progress
from ..sources.query import QueryFeed
from ..spec.fingerprint import fingerprint
from ..spec.legacy_key import key_columns_of
from ..step.context import StepContext
from ..step.recording import what_is_kept
from .crew import Crew
from .divide import divide
from .takeover import earlier_ranges, new_ranges
from .unsplit import NotSplit, refers_by_itself, why_not_split

#: How long to wait between two looks at the ranges, in seconds.
_SHORTEST, _LONGEST = 0.05, 0.5
_BROKEN_OFF = (RunStatus.FAILED, RunStatus.INTERRUPTED)


class RangeCoordinator:
    """Shares the rows of one step out in ranges of its key, where it can be split.

    The hooks around the rows run in this process, those for rows in the workers. Where a step
    cannot be split, its ``split_reason`` says why.
    """

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._ranges: list[StepRange] = []
        #: The rows of which progress was told.
        self._told = 0

    def divide(self, context: StepContext, feed: QueryFeed, *, is_incremental: bool) -> bool:
        """Whether the step has ranges: those of an interrupted run where it goes on."""
        try:
            self._ranges = _ranges_of(context, feed, is_incremental)
        except NotSplit as reason:
            context.step.split_reason = f"read by one process, because {reason}"[:255]
            return False
        return True

    def hand_out(self, context: StepContext) -> None:
        """Write down the ranges."""
        step, ranges = context.step, self._ranges
        step.split_into = len(ranges)
        step.split_reason = f"read in {len(ranges)} ranges of {ranges[0].column!r} by" + (
            f" {self._crew.name}"
        )
        hand_out(step, ranges, database=context.database)

    def watch(self, context: StepContext, messages: Messages, progress: Progress) -> None:
        """Wait until every range has ended. Raises what ended one, or the wish to stop."""
        try:
            self._watch(context, progress)
        except BaseException as error:
            if not isinstance(error, Exception):
                self._crew.end(at_once=True)
            with suppress(Error):  # the database is gone, and every worker knows it
                stop_ranges(context.step, database=context.database)
            raise
        # Workers have added to what is remembered of the migration.
        context.state.refresh_from_db(fields=["layouts"])
        messages.handled_elsewhere()

    def _watch(self, context: StepContext, progress: Progress) -> None:
        step, database = context.step, context.database
        begun = called = time.monotonic()
        is_stopped = has_waited = False
        self._crew.call(step, _waiting(self._look(context, progress)))
        while ranges := self._look(context, progress):
            wants_end = any(each.status in _BROKEN_OFF for each in ranges)
            if not is_stopped and (wants_end or context.options.should_stop()):
                stop_ranges(step, database=database)
                is_stopped = True
                continue
            if is_stopped and _waiting(ranges):  # let go since
                stop_ranges(step, database=database)
                continue
            if not _at_work(ranges) and not _waiting(ranges):
                break
            is_idle = not _at_work(ranges) and time.monotonic() - called > settings.lock_timeout
            # Of those who have gone, ranges wait again that they had, or were about to take.
            was_replaced = self._crew.tend()
            dead = [each for each in _at_work(ranges) if not each.is_alive]
            if give_back(dead, database=database) or was_replaced or is_idle:
                if is_idle and not has_waited:
                    has_waited = True
                    context.options.warn(
                        f"{context.label}: no worker has taken a range for"
                        f" {settings.lock_timeout:g} s. Is one running, and does it listen to the"
                        " queue?"
                    )
                called = time.monotonic()
                self._crew.call(step, _waiting(self._look(context, progress)))
            elif _at_work(ranges):
                called = time.monotonic()
            time.sleep(min(_LONGEST, _SHORTEST + (time.monotonic() - begun) / 20))
        for each in ranges:
            if each.status == RunStatus.FAILED:
                raise _fault(each)
        if any(each.status != RunStatus.DONE for each in ranges):
            raise Interrupted(f"{context.label} was stopped. {what_is_kept(step)}")

    def _look(self, context: StepContext, progress: Progress) -> list[StepRange]:
        """The ranges as they stand; the step's counts become their sums, and progress is told."""
        step, database = context.step, context.database
        if not holds_lock(step.run, database=database):
            raise LockLost(f"{context.label}: another run took over. {what_is_kept(step)}")
        ranges = list(ranges_of(step, database).select_related("step"))
        save_sums(step, ranges, database=database)
        done = step.read + step.passed
        if done != self._told:
            progress.advance(done - self._told, step.failed)
            self._told = done
        return ranges


def _ranges_of(context: StepContext, feed: QueryFeed, is_incremental: bool) -> list[StepRange]:
    """The ranges of a step, not saved yet. Raises :exc:`NotSplit`."""
    migration = type(context.migration)
    if why := why_not_split(migration, context.options, high_water=is_incremental):
        raise NotSplit(why)
    try:
        feed.look()
    except exceptions.SourceError as error:
        raise NotSplit("its query cannot be read in ranges") from error
    key = key_columns_of(context.label, context.migration, feed.columns)
    if not key:
        raise NotSplit("it has no legacy key")
    if refers_by_itself(migration.model, feed.columns):
        raise NotSplit("its rows refer to other rows of the query")
    if found := earlier_ranges(context, column=key[0]):
        return found
    if context.updates and untraced(
        context.state, run=context.step.run_id, database=context.database
    ):
        raise NotSplit("an interrupted run has read a part of it in another way")
    parts = divide(feed, key, workers=context.options.workers, batch=context.batch_size)
    book = LinkBook(context.state, database=context.database)
    return new_ranges(context.step, parts, fingerprint(migration), had_links=not book.is_empty())


def _waiting(ranges: Sequence[StepRange]) -> list[int]:
    return [each.pk for each in ranges if each.status == RunStatus.PENDING]


def _at_work(ranges: Sequence[StepRange]) -> list[StepRange]:
    return [each for each in ranges if each.status == RunStatus.RUNNING]


def _fault(each: StepRange) -> DataMigrationError:
    """What ended the range, as the worker would have raised it here."""
    kind = getattr(exceptions, each.fault, StepFailed)
    is_ours = isinstance(kind, type) and issubclass(kind, DataMigrationError)
    return kind(each.error) if is_ours else StepFailed(each.error)
