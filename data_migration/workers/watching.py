"""The ranges of a step, watched until all have ended; those of workers that died wait again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from django.db import Error

from .. import exceptions
from ..conf import settings
from ..exceptions import DataMigrationError, Interrupted, LockLost, StepFailed
from ..ledger.claims import give_back, stop_ranges
from ..ledger.lock import holds_lock
from ..ledger.sums import ranges_of, save_sums
from ..models import RunStep, StepRange
from ..outcomes import RunStatus
from ..progress import Progress
from ..step.recording import what_is_kept
from .crew import Crew

#: How long to wait between two looks at the ranges, in seconds.
_SHORTEST, _LONGEST = 0.05, 0.5
_BROKEN_OFF = (RunStatus.FAILED, RunStatus.INTERRUPTED)


class Asked(Protocol):
    """Of the options of a run, what watching needs."""

    @property
    def should_stop(self) -> Callable[[], bool]: ...
    @property
    def warn(self) -> Callable[[str], None]: ...


class Watch:
    """Calls a crew to the ranges of a step, which are written down, and looks at them."""

    def __init__(
        self, crew: Crew, step: RunStep, options: Asked, *, database: str, progress: Progress
    ) -> None:
        self._crew = crew
        self._step = step
        self._options = options
        self._database = database
        self._progress = progress
        #: The rows of which progress was told.
        self._told = 0

    def until_they_end(self) -> None:
        """Wait until every range has ended. Raises what ended one, or the wish to stop."""
        try:
            self._watch()
        except BaseException as error:
            if not isinstance(error, Exception):
                self._crew.end(at_once=True)
            with suppress(Error):  # the database is gone, and every worker knows it
                stop_ranges(self._step, database=self._database)
            raise

    def _watch(self) -> None:
        step, database = self._step, self._database
        begun = called = time.monotonic()
        is_stopped = has_waited = False
        self._crew.call(step, _waiting(self._look()))
        while ranges := self._look():
            wants_end = any(each.status in _BROKEN_OFF for each in ranges)
            if not is_stopped and (wants_end or self._options.should_stop()):
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
                    self._options.warn(
                        f"{step.label}: no worker has taken a range for"
                        f" {settings.lock_timeout:g} s. Is one running, and does it listen to the"
                        " queue?"
                    )
                called = time.monotonic()
                self._crew.call(step, _waiting(self._look()))
            elif _at_work(ranges):
                called = time.monotonic()
            time.sleep(min(_LONGEST, _SHORTEST + (time.monotonic() - begun) / 20))
        for each in ranges:
            if each.status == RunStatus.FAILED:
                raise _fault(each)
        if any(each.status != RunStatus.DONE for each in ranges):
            raise Interrupted(f"{step.label} was stopped. {what_is_kept(step)}")

    def _look(self) -> list[StepRange]:
        """The ranges as they stand; the step's counts become their sums, and progress is told."""
        step, database = self._step, self._database
        if not holds_lock(step.run, database=database):
            raise LockLost(f"{step.label}: another run took over. {what_is_kept(step)}")
        ranges = list(ranges_of(step, database).select_related("step"))
        save_sums(step, ranges, database=database)
        done = step.read + step.passed
        if done != self._told:
            self._progress.advance(done - self._told, step.failed)
            self._told = done
        return ranges


def _waiting(ranges: Sequence[StepRange]) -> list[int]:
    return [each.pk for each in ranges if each.status == RunStatus.PENDING]


def _at_work(ranges: Sequence[StepRange]) -> list[StepRange]:
    return [each for each in ranges if each.status == RunStatus.RUNNING]


def _fault(each: StepRange) -> DataMigrationError:
    """What ended the range, as the worker would have raised it here."""
    kind = getattr(exceptions, each.fault, StepFailed)
    is_ours = isinstance(kind, type) and issubclass(kind, DataMigrationError)
    return kind(each.error) if is_ours else StepFailed(each.error)
