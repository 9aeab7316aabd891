"""The objects of a patch, a page at a time: read by key, processed, saved, counted."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import count
from typing import Any

from django.conf import settings
from django.db import Error, connections, reset_queries, transaction

from .. import signals
from ..exceptions import DataMigrationError, RowFailure, SpecError, StepFailed, TooManyErrors
from ..ledger import Message, StepLedger
from ..models import Run, RunStep
from ..outcomes import MessageKind, OnError, Outcome
from ..rows.keys import identify
from ..step.recording import what_is_kept
from ..tables.walk import Page, Walk, key_of
from ..transform.savepoints import HookSavepoints, raise_if_swallowed
from ..utils.databases import database_of
from ..utils.wording import number_of, words
from .images import Keeper
from .options import PatchOptions
from .patch import Patch
from .saving import Changes, Saving

#: The place of each object in the walk, from 1, by its key.
Numbers = dict[Any, int]

#: How long to sleep at once while a patch is throttled, in seconds.
_NAP = 0.5
#: How often a batch is tried that waits for others who wait for it.
_TRIES = 4


class Batches:
    """Takes objects through a patch, page by page, each in a transaction that ``transaction``
    makes.

    ``numbered_from`` objects were processed before, by whom ever. ``elsewhere`` tells how many
    have failed in other steps of the run and in other processes. ``keeper`` is who keeps what they
    were like, if the patch says what it writes.
    """

    def __init__(
        self,
        patch: Patch,
        step: RunStep,
        ledger: StepLedger,
        options: PatchOptions,
        *,
        transaction: Callable[[], AbstractContextManager[None]],
        numbered_from: int,
        elsewhere: Callable[[], tuple[int, int]],
        keeper: Keeper | None,
    ) -> None:
        self._patch = patch
        self._step = step
        self._ledger = ledger
        self._messages = ledger.messages_for(step)
        self._options = options
        self._transaction = transaction
        self._number = numbered_from
        self._elsewhere = elsewhere
        self._keeper = keeper
        self._connection = connections[patch.ctx.database]
        self._saving = Saving(database=patch.ctx.database)
        self._is_by_batch = patch.defines("process_batch")
        #: The failures of earlier runs that were met, by the hashes of their keys.
        self.met: set[str] = set()

    def run(
        self,
        read: Callable[[Any, int], Page],
        *,
        after: Any,
        most: int | None,
        reached: Callable[[Page], bool],
        between: Callable[[int], None],
    ) -> None:
        """Process what ``read`` gives: a page behind a key, of at most so many objects.

        ``reached`` is called before a page is committed, an empty one as well, and tells whether
        it was the last; ``between`` after it was, if more are to come. The end is there after
        ``most`` objects at the latest.
        """
        is_last = False
        while not is_last:
            size = min(self._patch.batch_size, most or self._patch.batch_size)
            page, is_last = self._committed(read, after, size, reached)
            if settings.DEBUG:
                reset_queries()  # DEBUG keeps every statement in memory
            after = page.keys[-1] if page.keys else after
            if most is not None:
                most -= len(page.keys)
                is_last = is_last or most == 0
            if not is_last:
                between(len(page.keys))

    def _committed(
        self,
        read: Callable[[Any, int], Page],
        after: Any,
        size: int,
        reached: Callable[[Page], bool],
    ) -> tuple[Page, bool]:
        """A page that is committed, and whether it was the last.

        It is begun again where other transactions waited for this one, and this one for them.
        """
        number, counts, met = self._number, self._step.counts(), set(self.met)
        database = database_of(self._connection.alias)
        for left in reversed(range(_TRIES)):
            is_processed = False
            try:
                with self._transaction():
                    page = read(after, size)
                    self.process(page)
                    is_processed = True
                    return page, reached(page)
            except Exception as error:
                is_whole = self._connection.in_atomic_block
                if is_processed or is_whole or not left or not database.is_deadlock(error):
                    raise
            self._number, self.met = number, set(met)
            self._step.set_counts(counts)
            self._messages.forget()
        raise AssertionError("the last try returns or raises")

    def process(self, page: Page) -> None:
        """Process the objects of a page, in the transaction that commits it.

        Raises :exc:`StepFailed` for one that fails and ends the step, and what is no object's
        fault.
        """
        first = self._number
        if before := self._messages.failed_before:
            hashes = before.keys() & {identify(key_of(key))[0] for key in page.keys}
            self._messages.handled(hashes)
            self.met |= hashes
        with self._kept(page):
            if self._is_by_batch:
                self._process_batch(page)
            elif page.keys:
                self._process_objects(page)
        self._number = first + len(page.keys)

    def _kept(self, page: Page) -> AbstractContextManager[None]:
        """What the block changes of the objects can be rolled back, where the patch wants it."""
        if self._keeper is None or not page.keys:
            return nullcontext()
        return self._keeper.watching(page.keys)

    def _process_objects(self, page: Page) -> None:
        """One after the other, each in a savepoint only where one has failed after statements."""
        numbers = dict(zip(page.keys, count(self._number + 1), strict=False))
        try:
            # Without failures that are gone past there is nothing to go back for.
            goes_on = self._options.on_error == OnError.CONTINUE
            with transaction.atomic(using=self._connection.alias, savepoint=goes_on):
                self._at_once(page.objects, numbers)
        except _OneByOne:
            self._one_by_one(page.again(), numbers)

    def _at_once(self, objects: Sequence[Any], numbers: Numbers) -> None:
        statements: list[str] = []

        def note(execute: Any, sql: str, *given: Any) -> Any:
            statements.append(sql)
            return execute(sql, *given)

        changes = Changes(objects, self._saving)
        failed: list[tuple[Any, Exception]] = []
        process = self._patch.process
        with self._connection.execute_wrapper(note):
            for item in objects:
                try:
                    process(item)
                    if self._connection.needs_rollback:
                        raise_if_swallowed(process, self._connection)
                except Exception as error:
                    self._raise_if_nobodys_fault(error)
                    if statements and self._options.on_error == OnError.CONTINUE:
                        raise _OneByOne from error
                    failed.append((item, error))
                    if self._options.on_error == OnError.STOP:
                        break
        self._finish(changes, failed, numbers)

    def _one_by_one(self, objects: Sequence[Any], numbers: Numbers) -> None:
        changes = Changes(objects, self._saving)
        failed: list[tuple[Any, Exception]] = []
        savepoints = HookSavepoints(self._connection.alias)
        with savepoints.watching():
            for item in objects:
                try:
                    savepoints.run(self._patch.process, item)
                except Exception as error:
                    self._raise_if_nobodys_fault(error)
                    failed.append((item, error))
        self._finish(changes, failed, numbers)

    def _finish(
        self,
        changes: Changes,
        failed: list[tuple[Any, Exception]],
        numbers: Numbers,
    ) -> None:
        """Save what changed, and count each object once."""
        self._fail_each(failed, changes, numbers)  # before the others: it may end the step
        saved = changes.written(but={id(item) for item, _ in failed})
        self._fail_each(saved.failed, changes, numbers)
        self._step.count(Outcome.UPDATED, saved.updated)
        self._step.count(Outcome.UNCHANGED, saved.unchanged)

    def _fail_each(
        self, failed: Sequence[tuple[Any, Exception]], changes: Changes, numbers: Numbers
    ) -> None:
        keys = changes.keys() if failed else {}
        for item, error in failed:
            key = keys[id(item)]  # process() may have given it another one
            self._fail(key, numbers[key], error, _row_of(item))

    def _process_batch(self, page: Page) -> None:
        """All at once; where that fails, each half, until the object is found that is to blame."""
        if not page.keys:
            return
        process = self._patch.process_batch
        try:
            with transaction.atomic(using=self._connection.alias):
                process(page.rows())
                raise_if_swallowed(process, self._connection)
        except Exception as error:
            self._raise_if_nobodys_fault(error)
            if len(page.keys) == 1:
                (key,) = page.keys
                self._fail(key, self._number + 1, error, {"pk": key})
                self._number += 1
                return
            for half in page.halves():
                self._process_batch(half)
            return
        self._step.count(Outcome.UPDATED, len(page.keys))
        self._number += len(page.keys)

    def _raise_if_nobodys_fault(self, error: Exception) -> None:
        """Raise what no other object would be spared: a lost server, a refusal of ours."""
        ours = isinstance(error, DataMigrationError) and not isinstance(error, RowFailure)
        if ours or database_of(self._connection.alias).is_deadlock(error):
            raise error
        if isinstance(error, Error):
            connection = self._connection
            if connection.connection is None or getattr(connection.connection, "closed", False):
                raise error

    def _fail(self, key: Any, number: int, error: Exception, row: dict[str, Any]) -> None:
        self._step.count(Outcome.FAILED)
        signals.row_failed.send(Run, run=self._step.run, step=self._step, row=row, exception=error)
        key_hash, key_text = identify(key_of(key))
        cause = f"{_place_of(error, self._patch)}{_what_is_wrong(error)}"
        self._ledger.note(
            self._step,
            Message(
                MessageKind.FAILURE, cause, row_number=number, key=key_text, key_hash=key_hash
            ),
        )
        label = self._step.label
        if self._options.on_error == OnError.STOP:
            raise StepFailed(
                f"{label}: key {key_text}: {cause}. {what_is_kept(self._step)} Mend the object or"
                " the patch, or go on past failed objects with --on-error continue."
            ) from error
        self.check_max_errors()

    def check_max_errors(self) -> None:
        """Raise :exc:`TooManyErrors` when more objects failed than ``--max-errors`` allows."""
        limit = self._options.max_errors
        if limit is None:
            return
        in_run, in_step = self._elsewhere()
        failed, failed_in_step = self._step.failed + in_run, self._step.failed + in_step
        if limit.is_exceeded(failed=failed, failed_in_step=failed_in_step, rows=self._step.total):
            raise TooManyErrors(
                f"{self._step.label}: {number_of(failed, 'object')} failed, more than"
                f" --max-errors {limit} allows. {what_is_kept(self._step)}"
            )


def walk_of(patch: Patch, *, database: str) -> Walk:
    """The walk over the objects of a patch. Raises :exc:`SpecError` where there is none."""
    is_by_batch = patch.defines("process_batch")
    try:
        return Walk(patch.queryset(), database=database, wants_objects=not is_by_batch)
    except SpecError as error:
        raise SpecError(f"{type(patch).__name__}: {error}") from error


def seconds_to_wait(patch: Patch, label: str) -> float:
    """What ``throttle()`` says; one that returns nothing does not wait.

    Raises :exc:`SpecError` for what is no number.
    """
    seconds: Any = patch.throttle()
    if seconds is None:
        return 0
    if isinstance(seconds, (int, float)):
        return seconds
    raise SpecError(
        f"{label}: throttle() returned {seconds!r}. It has to return how many seconds to wait, 0"
        " to go on."
    )


def pause(seconds: float, *, beat: Callable[[], None], should_stop: Callable[[], bool]) -> None:
    """Wait, as far as nobody wants the end meanwhile; signs of life go on."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0 and not should_stop():
        time.sleep(min(_NAP, left))
        beat()


class _OneByOne(Exception):
    """An object failed after ``process()`` had sent statements: nobody knows which are its."""


def _row_of(item: Any) -> dict[str, Any]:
    """The object as receivers of ``row_failed`` get it: its fields, as ``process()`` left them."""
    own = vars(item)
    names = [field.attname for field in item._meta.concrete_fields]
    return {name: own[name] for name in names if name in own}


def _what_is_wrong(error: Exception) -> str:
    if isinstance(error, RowFailure):
        return str(error).rstrip(".")
    name, said = type(error).__name__, words(error)
    return f"{name}: {said}" if said != name else name


def _place_of(error: Exception, patch: Patch) -> str:
    """``process, line 12: `` when the error came out of the patch, else nothing."""
    frames = traceback.extract_tb(error.__traceback__)
    for name in ("process", "process_batch"):
        for frame in frames:
            if frame.name == name and patch.defines(name) and frame.filename != __file__:
                return f"{name}, line {frame.lineno}: "
    return ""
