"""One patch is executed: as a whole, or in batches from where it got to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial

from django.db import Error, transaction

from ..exceptions import Interrupted, LockLost
from ..ledger import Ledger
from ..ledger.claims import advance_range, hand_out, keep_ranges, ranges_of_record
from ..ledger.messages import open_failures
from ..ledger.patches import UNFINISHED, PatchBook
from ..ledger.queue import stop_requested
from ..models import PatchRecord, Run, RunStep, StepRange
from ..outcomes import Outcome, PatchState, RunStatus
from ..progress import Progress
from ..rows.keys import hash_of_text, key_of_text
from ..step.exits import exits_fail
from ..step.recording import what_is_kept
from ..tables.walk import Page, Walk, key_of
from ..utils.chunks import query_chunks
from ..utils.databases import database_of
from ..workers import Crew
from ..workers.unsplit import NotSplit
from ..workers.watching import Watch
from .batches import Batches, pause, seconds_to_wait, walk_of
from .definition import Definition, step_label
from .digest import digest_of
from .images import isolated, keeper_of, keeping
from .options import PatchOptions
from .patch import Context
from .ranges import earlier_ranges, new_ranges, position_of, reader, why_not_split
from .transactions import no_implicit_commits


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """What it takes to execute a patch: one step of a run, which holds the lock.

    ``record`` is the one that counts, under whichever name the patch ran; ``again`` asks for
    another repeat of it. ``output`` receives what ``ctx.log`` is given.
    """

    ledger: Ledger
    book: PatchBook
    run: Run
    step: RunStep
    options: PatchOptions
    ctx: Context
    output: list[str] = field(default_factory=list)
    record: PatchRecord | None = None
    again: bool = False
    progress: Progress = field(default_factory=Progress)
    crew: Crew | None = None


def execute(definition: Definition, work: Work) -> PatchState:
    """Execute a patch, or go on with it; returns done, not needed, or partial.

    Partial is one of which objects have failed or were not asked for (``--limit``). Writes the
    record and the counts of the step, batch by batch. Raises what ends it early: what was
    committed by then is kept, the rest is for the caller to record.
    """
    step = work.step
    step.has_key = not definition.patch.is_whole()
    take_over(definition, work)
    work.ledger.start_step(step)
    with (
        exits_fail(step, work.options.should_stop),
        no_implicit_commits(definition.label, work.ctx.database),
    ):
        return _Execution(definition, work).run()


class _Execution:
    """One attempt at a patch."""

    def __init__(self, definition: Definition, work: Work) -> None:
        self._definition = definition
        self._work = work
        self._patch = definition.patch(work.ctx)
        self._ledger = work.ledger
        self._book = work.book
        self._step = work.step
        self._options = work.options
        self._database = work.ctx.database
        self._label = definition.label
        self._former = self._found()
        self._record: PatchRecord | None = None
        #: Of the output, how many lines are with the record.
        self._kept = 0

    def run(self) -> PatchState:
        with self._keys_checked():
            return self._run()

    def _run(self) -> PatchState:
        if self._patch.is_batched():
            with self._whole():
                return self._in_batches()
        if self._patch.atomic is False:
            return self._without_transaction()
        with isolated(self._patch, self._database), self._committing():
            return self._execute()

    # ------------------------------------------------------------------ as a whole

    def _execute(self) -> PatchState:
        if not self._patch.is_needed():
            return self._not_needed()
        record = self._begin()
        step = self._step
        with keeping(self._patch, step.migration, run=step.run_id, database=self._database):
            self._patch.execute()
        return self._done(record)

    def _without_transaction(self) -> PatchState:
        """Each statement is committed by itself: the record says before and after."""
        if not self._patch.is_needed():
            with self._committing():
                return self._not_needed()
        with self._committing():
            record = self._begin()
        self._patch.execute()
        with self._committing():
            return self._done(record)

    def _done(self, record: PatchRecord) -> PatchState:
        self._keep_output(record)
        self._book.finish(record, PatchState.DONE)
        self._ledger.finish_step(self._step, RunStatus.DONE)
        return PatchState.DONE

    # ------------------------------------------------------------------ in batches

    def _in_batches(self) -> PatchState:
        if not self._is_begun and not self._patch.is_needed():
            with self._transaction():
                return self._not_needed()
        walk = walk_of(self._patch, database=self._database)
        upper = None if self._is_begun else walk.upper()
        total = None if self._is_begun else walk.total(None, upper)
        with self._transaction():
            keeper = keeper_of(
                self._patch,
                self._step.migration,
                walk.model,
                run=self._step.run_id,
                database=self._database,
            )
            record = self._begin()
            if not self._is_begun:
                self._book.bound(
                    record, upper=None if upper is None else walk.to_text(upper), total=total
                )
                if upper is None:
                    self._book.advance(record, processed=0, is_walked=True)
        messages = self._ledger.messages_for(self._step)
        self._step.passed = record.processed
        if record.total is not None:
            self._step.total = record.total + len(messages.failed_before)
        if self._options.retry_failed:
            self._step.passed, self._step.total = 0, len(messages.failed_before)
        batches = Batches(
            self._patch,
            self._step,
            self._ledger,
            self._options,
            transaction=self._transaction,
            numbered_from=record.processed,
            elsewhere=self._failed_elsewhere,
            keeper=keeper,
        )
        steps = self._work.run.steps.using(self._database).count()
        self._work.progress.start(
            self._label, self._step.position, steps, self._step.total, noun="object"
        )
        try:
            if not record.is_walked and not self._options.retry_failed:
                self._walk(walk, record, batches)
            elif self._options.workers > 1:
                self._step.split_reason = "processed by one process: the walk is over"
            self._retry(walk, record, batches)
        finally:
            self._work.progress.finish()
        with self._transaction():
            return self._end(record)

    def _walk(self, walk: Walk, record: PatchRecord, batches: Batches) -> None:
        """Everything that is left of the walk, by as many processes as were asked for."""
        step, database = self._step, self._database
        ranges = earlier_ranges(step, record, database=database)
        why = ""
        if self._options.workers > 1:
            why = why_not_split(type(self._patch), self._options)
            if not why and not ranges:
                try:
                    ranges = new_ranges(
                        step,
                        record,
                        walk,
                        workers=self._options.workers,
                        batch=self._patch.batch_size,
                    )
                except NotSplit as reason:
                    why = str(reason)
            if why:
                step.split_reason = f"processed by one process, because {why}"[:255]
        if not ranges:
            self._by_cursor(walk, record, batches)
        elif self._work.crew is not None and not why:
            self._by_others(self._work.crew, ranges, record, batches)
        else:
            self._range_by_range(ranges, walk, record, batches)

    def _by_others(
        self, crew: Crew, ranges: list[StepRange], record: PatchRecord, batches: Batches
    ) -> None:
        """Other processes process the ranges, and this one watches them."""
        step, database = self._step, self._database
        step.split_into = len(ranges)
        step.split_reason = (
            f"processed in {len(ranges)} ranges of {ranges[0].column!r} by {crew.name}"
        )
        with self._transaction():
            hand_out(step, ranges, database=database)
        watch = Watch(crew, step, self._options, database=database, progress=self._work.progress)
        try:
            watch.until_they_end()
        except BaseException:
            with suppress(LockLost, Error):
                self._take_stock(record, is_walked=False)
            raise
        self._take_stock(record, is_walked=True)
        messages = self._ledger.messages_for(step)
        messages.handled_elsewhere()
        batches.met |= messages.failed_before.keys() - messages.not_met

    def _take_stock(self, record: PatchRecord, *, is_walked: bool) -> None:
        """The record tells how many objects the ranges have come to, and we what was logged."""
        rows = ranges_of_record(record, database=self._database)
        done = sum(row.read + row.passed for row in rows)
        with self._transaction():
            self._book.advance(record, processed=done - record.processed, is_walked=is_walked)
        before = record.output
        record.refresh_from_db(fields=["output"])
        if record.output.startswith(before):
            self._work.output.extend(record.output[len(before) :].splitlines())
            self._kept = len(self._work.output)

    def _range_by_range(
        self, ranges: list[StepRange], walk: Walk, record: PatchRecord, batches: Batches
    ) -> None:
        """Go on, alone, with ranges that several have begun."""
        with self._transaction():
            keep_ranges(ranges, database=self._database)
        most = self._options.limit
        waiting = [row for row in ranges if row.status != RunStatus.DONE]
        for row in waiting:
            before = row.read
            batches.run(
                reader(row, record, walk),
                after=position_of(row, walk),
                most=most,
                reached=partial(self._reached_in_range, row, record, row is waiting[-1]),
                between=self._between,
            )
            if most is not None:
                most -= row.read - before
                if most <= 0:
                    return
            if row is not waiting[-1]:
                self._end_if_asked()
        if not waiting:
            with self._transaction():
                self._book.advance(record, processed=0, is_walked=True)

    def _reached_in_range(
        self, row: StepRange, record: PatchRecord, is_last_range: bool, page: Page
    ) -> bool:
        rows = len(page.keys)
        position = key_of(page.keys[-1]) if rows else None
        advance_range(row, rows, position=position, is_done=not rows)
        self._book.advance(record, processed=rows, is_walked=not rows and is_last_range)
        self._keep_output(record)
        return not rows

    def _by_cursor(self, walk: Walk, record: PatchRecord, batches: Batches) -> None:
        upper = walk.from_text(record.upper)

        def reached(page: Page) -> bool:
            is_last = not page.keys or page.keys[-1] == upper
            self._book.advance(
                record,
                processed=len(page.keys),
                cursor=walk.to_text(page.keys[-1]) if page.keys else None,
                is_walked=is_last,
            )
            self._keep_output(record)
            return is_last

        batches.run(
            lambda after, size: walk.page(after, upper, size),
            after=walk.from_text(record.cursor),
            most=self._options.limit,
            reached=reached,
            between=self._between,
        )

    def _retry(self, walk: Walk, record: PatchRecord, batches: Batches) -> None:
        """Process the objects once more that failed in earlier runs, and were not met in this one.

        One that ``queryset()`` does not have any more is skipped, and its failure closed.
        """
        texts = self._ledger.messages_for(self._step).failed_before
        left = {key_hash: text for key_hash, text in texts.items() if key_hash not in batches.met}
        limit = self._options.limit
        if limit is not None:
            most = max(0, limit - self._step.read)
            left = dict(list(left.items())[:most])
        to_python = walk.from_text
        keys = {to_python(key_of_text(text)): hash_of_text(text) for text in left.values()}
        for chunk in query_chunks(keys, self._database):
            for start in range(0, len(chunk), self._patch.batch_size):
                part = chunk[start : start + self._patch.batch_size]
                with self._transaction():
                    page = walk.only(part)
                    batches.process(page)
                    gone = [keys[key] for key in part if key not in set(page.keys)]
                    self._ledger.messages_for(self._step).handled(gone)
                    self._step.count(Outcome.SKIPPED, len(gone))
                    self._keep_output(record)
                self._between(len(part))

    def _end(self, record: PatchRecord) -> PatchState:
        messages = self._ledger.messages_for(self._step)
        waiting = open_failures(self._database).filter(migration__label=self._step.migration)
        is_partial = self._step.failed or not record.is_walked or messages.not_met
        is_partial = is_partial or (not self._step.run.is_dry and waiting.exists())
        self._keep_output(record)
        state = PatchState.PARTIAL if is_partial else PatchState.DONE
        self._book.finish(record, state)
        status = RunStatus.PARTIAL if is_partial else RunStatus.DONE
        self._ledger.finish_step(self._step, status)
        return state

    def _between(self, rows: int) -> None:
        """A batch is committed, and another is to come."""
        self._work.progress.advance(rows, self._step.failed)
        self._end_if_asked()
        is_throttled = not self._patch.is_whole() and not self._step.run.is_dry
        if is_throttled and (seconds := seconds_to_wait(self._patch, self._label)) > 0:
            pause(seconds, beat=self._ledger.lock.beat, should_stop=self._is_to_stop)
            self._end_if_asked()

    def _is_to_stop(self) -> bool:
        return self._options.should_stop() or stop_requested(
            self._step.run_id, database=self._database
        )

    def _end_if_asked(self) -> None:
        if self._options.should_stop():
            raise Interrupted(f"{self._label} was stopped. {what_is_kept(self._step)}")

    def _failed_elsewhere(self) -> tuple[int, int]:
        """How many objects have failed in other steps of the run, and in others of this one."""
        others = [step for step in self._ledger.steps if step != self._step]
        return sum(step.failed for step in others), 0

    # ------------------------------------------------------------------ transactions

    def _whole(self) -> AbstractContextManager[None]:
        """One transaction around all batches where the patch wants it."""
        return self._committing() if self._patch.is_whole() else nullcontext()

    def _transaction(self) -> AbstractContextManager[None]:
        """That of a batch."""
        return nullcontext() if self._patch.is_whole() else self._committing()

    @contextmanager
    def _committing(self) -> Iterator[None]:
        """A transaction of ours, with counts and messages.

        Those of a rehearsal are kept in memory until it was rolled back.
        """
        kept = self._kept
        try:
            if self._step.run.is_dry:
                with self._rehearsing():
                    yield
            else:
                with self._ledger.committing(self._step):
                    yield
        except BaseException:
            self._kept = kept
            raise

    @contextmanager
    def _rehearsing(self) -> Iterator[None]:
        """It ends with what its commit would check."""
        before = self._step.counts()
        database = database_of(self._database)
        try:
            with transaction.atomic(using=self._database):
                yield
                if database.checks_keys_when_told:
                    database.connection.check_constraints()
        except BaseException:
            self._ledger.keep_failures_only(self._step, before)
            raise

    @contextmanager
    def _keys_checked(self) -> Iterator[None]:
        """A rehearsal finds keys that lead nowhere where only a commit would."""
        database = database_of(self._database)
        is_told = database.checks_keys_at_once or database.checks_keys_when_told
        looks = self._step.run.is_dry and not is_told
        before = database.dangling_keys() if looks else set()
        yield
        if looks and (new := database.dangling_keys() - before):
            tables = sorted({key[0] for key in new})
            database.connection.check_constraints(table_names=tables)

    # ------------------------------------------------------------------ the record

    def _found(self) -> PatchRecord | None:
        """The record to go on with; None where another one is to be made."""
        work, definition = self._work, self._definition
        record = work.record or self._book.current(*definition.identity)
        if record is None or work.again or record.state not in UNFINISHED:
            return None
        return record

    @property
    def _is_begun(self) -> bool:
        """Whether its walk has begun in an earlier run, and goes on."""
        former = self._former
        return former is not None and (former.upper is not None or former.is_walked)

    def _begin(self) -> PatchRecord:
        definition, run, digest = self._definition, self._work.run, digest_of(self._definition)
        last = self._book.current(*definition.identity)
        if definition.patch.always and last is not None and self._former is None:
            return self._book.renew(last, digest=digest, run=run)
        return self._book.begin(
            *definition.identity, digest=digest, run=run, again=self._work.again
        )

    def _not_needed(self) -> PatchState:
        record = self._begin()
        self._keep_output(record)
        self._book.finish(record, PatchState.NOT_NEEDED, reason=_NOT_NEEDED)
        self._ledger.finish_step(self._step, RunStatus.DONE)
        return PatchState.NOT_NEEDED

    def _keep_output(self, record: PatchRecord) -> None:
        """Keep what was logged since the last batch, with this one."""
        if lines := self._work.output[self._kept :]:
            self._book.add_output(record, "".join(f"{line}\n" for line in lines))
            self._kept += len(lines)


def take_over(definition: Definition, work: Work) -> None:
    """What began under a former name of the patch goes on under this one."""
    record = work.record
    if record is None or record.label == definition.label or record.state not in UNFINISHED:
        return
    with transaction.atomic(using=work.ctx.database):
        work.ledger.lock.check()
        work.book.rename(
            record,
            *definition.identity,
            labels=(step_label(record.label), definition.step_label),
        )


_NOT_NEEDED = "is_needed() said that there is nothing to do."
