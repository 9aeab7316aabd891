"""A step whose rows are read in ranges by others: made, watched, and closed here."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import Any

from django.db import Error

from .. import exceptions
from ..conf import settings
from ..exceptions import DataMigrationError, Interrupted, LockLost, StepFailed
from ..ledger.claims import give_back, hand_out, ranges_of, save_sums, stop_ranges
from ..ledger.lock import holds_lock
from ..models import StepRange
from ..outcomes import RunStatus
from ..sources import Reader
from ..sources.narrowing import no_rows
from ..spec.fingerprint import fingerprint
from ..spec.legacy_key import key_columns_of
from ..step.recording import what_is_kept
from ..step.step import StepRunner
from .crew import Crew
from .divide import divide
from .obstacles import NotSplit, outlook, refers_by_itself
from .takeover import earlier_ranges, new_ranges

#: How long to wait between two looks at the ranges, in seconds.
_SHORTEST, _LONGEST = 0.05, 0.5


class SplitStep(StepRunner):
    """Runs one migration, in ranges of its key where it can be split.

    The hooks around the rows run here, those for rows in the workers. Where it cannot be split,
    ``step.split_reason`` says why, and it is read here like any other.
    """

    def __init__(self, *arguments: Any, crew: Crew, **others: Any) -> None:
        super().__init__(*arguments, **others)
        self._crew = crew
        self._told = 0

    def _read(self, reader: Reader, whole: ExitStack) -> None:
        try:
            ranges = self._divide(reader)
        except NotSplit as reason:
            self.step.split_reason = f"read by one process, because {reason}"[:255]
            super()._read(reader, whole)
        else:
            self.reading.begin_elsewhere(reader)
            self._compile(reader)
            reader.close()
            self._hand_out(ranges)
            whole.close()  # what hook_before_all wrote, and the ranges, are there for the workers
            self._read_elsewhere()

    def _hand_out(self, ranges: list[StepRange]) -> None:
        self.step.split_into = len(ranges)
        self.step.split_reason = f"read in {len(ranges)} ranges of {ranges[0].column!r} by" + (
            f" {self._crew.name}"
        )
        hand_out(self.step, ranges, database=self.context.database)

    def _read_elsewhere(self) -> None:
        self.progress.start(self.step.migration, *self.place, self.step.total)
        try:
            self._watch()
        except BaseException as error:
            if not isinstance(error, Exception):
                self._crew.end(at_once=True)
            with suppress(Error):  # the database is gone, and every worker knows it
                stop_ranges(self.step, database=self.context.database)
            raise
        finally:
            self.progress.finish()
        # Workers have added to what is remembered of the migration.
        self.context.state.refresh_from_db(fields=["layouts"])
        self.messages.handled_elsewhere()

    def _divide(self, reader: Reader) -> list[StepRange]:
        """The ranges, those of an interrupted run where it goes on. Raises :exc:`NotSplit`."""
        migration = type(self.migration)
        if why := outlook(migration, self.options, high_water=self.reading.is_incremental):
            raise NotSplit(why)
        query, params = self.migration.query or "", self.migration.query_params
        try:
            reader.execute(*no_rows(reader.connection, query, params))
        except exceptions.SourceError as error:
            raise NotSplit("its query cannot be read in ranges") from error
        key = key_columns_of(self.step.migration, self.migration, reader.columns)
        if not key:
            raise NotSplit("it has no legacy key")
        if refers_by_itself(migration.model, reader.columns):
            raise NotSplit("its rows refer to other rows of the query")
        if found := earlier_ranges(self.context, column=key[0]):
            return found
        parts = divide(
            reader, query, params, key, workers=self.options.workers, batch=self.batch_size
        )
        had_links = not self._book().is_empty()
        return new_ranges(self.step, parts, fingerprint(migration), had_links=had_links)

    @property
    def _may_have_written_keys(self) -> bool:
        return bool(self.step.split_into) or super()._may_have_written_keys

    def _watch(self) -> None:
        """Wait until every range has ended. Raises what ended one, or the wish to stop."""
        begun = called = time.monotonic()
        is_stopped = has_waited = False
        self._crew.call(self.step, _waiting(self._look()))
        while ranges := self._look():
            if not is_stopped and (self._wants_end(ranges) or self.options.should_stop()):
                stop_ranges(self.step, database=self.context.database)
                is_stopped = True
                continue
            if is_stopped and _waiting(ranges):  # let go since
                stop_ranges(self.step, database=self.context.database)
                continue
            if not _at_work(ranges) and not _waiting(ranges):
                break
            is_idle = not _at_work(ranges) and time.monotonic() - called > settings.lock_timeout
            if self._replace_dead(ranges) or is_idle:
                if is_idle and not has_waited:
                    has_waited = True
                    self._tell_of_waiting()
                called = time.monotonic()
                self._crew.call(self.step, _waiting(self._look()))
            elif _at_work(ranges):
                called = time.monotonic()
            time.sleep(min(_LONGEST, _SHORTEST + (time.monotonic() - begun) / 20))
        self._raise_what_ended(ranges)

    def _look(self) -> list[StepRange]:
        """The ranges as they stand; the step's counts become their sums, and progress is told."""
        if not holds_lock(self.step.run, database=self.context.database):
            raise LockLost(
                f"{self.step.migration}: another run took over. {what_is_kept(self.step)}"
            )
        ranges = list(ranges_of(self.step, self.context.database).select_related("step"))
        save_sums(self.step, ranges, database=self.context.database)
        done = self.step.read + self.step.passed
        if done != self._told:
            self.progress.advance(done - self._told, self.step.failed)
            self._told = done
        return ranges

    def _wants_end(self, ranges: Sequence[StepRange]) -> bool:
        return any(each.status in (RunStatus.FAILED, RunStatus.INTERRUPTED) for each in ranges)

    def _replace_dead(self, ranges: Sequence[StepRange]) -> bool:
        """Whether ranges wait again that somebody had, or may have been about to take."""
        was_replaced = self._crew.tend()
        dead = [each for each in _at_work(ranges) if not each.is_alive]
        return bool(give_back(dead, database=self.context.database)) or was_replaced

    def _tell_of_waiting(self) -> None:
        self.options.warn(
            f"{self.step.migration}: no worker has taken a range for"
            f" {settings.lock_timeout:g} s. Is one running, and does it listen to the queue?"
        )

    def _raise_what_ended(self, ranges: Sequence[StepRange]) -> None:
        for each in ranges:
            if each.status == RunStatus.FAILED:
                raise _fault(each)
        if any(each.status != RunStatus.DONE for each in ranges):
            raise Interrupted(f"{self.step.migration} was stopped. {what_is_kept(self.step)}")


def _waiting(ranges: Sequence[StepRange]) -> list[int]:
    return [each.pk for each in ranges if each.status == RunStatus.PENDING]


def _at_work(ranges: Sequence[StepRange]) -> list[StepRange]:
    return [each for each in ranges if each.status == RunStatus.RUNNING]


def _fault(each: StepRange) -> DataMigrationError:
    """What ended the range, as the worker would have raised it here."""
    kind = getattr(exceptions, each.fault, StepFailed)
    is_ours = isinstance(kind, type) and issubclass(kind, DataMigrationError)
    return kind(each.error) if is_ours else StepFailed(each.error)
