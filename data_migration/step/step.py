"""One migration of a run: its hooks, its rows batch by batch, its transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from typing import Any, Protocol

from django.db import connections, transaction

from ..exceptions import Interrupted, SourceError
from ..ledger import LinkBook, Message, Messages, StepLedger
from ..outcomes import MessageKind, Mode, RunStatus
from ..progress import Progress
from ..sources.feed import Feed
from ..sources.query import QueryFeed
from ..spec.legacy_key import key_columns_of
from ..tables import go_on_above
from ..undo.removal import Removal
from ..utils.databases import database_of
from .assembly import Links, assemble
from .batch import Group
from .batches import BatchLoop
from .compilation import CompiledStep, Compiler
from .context import StepContext
from .exits import exits_fail
from .pipeline import Pipeline
from .reading import Keep, Reading, opened
from .recording import Recorder, what_is_kept
from .settle import settle

_BEGAN_EMPTY = (
    "the first page had no rows, so nothing is taken to be gone. Look whether the account still"
    " sees them"
)


class Coordinator(Protocol):
    """Shares the rows of one step out among others, who read them in the place of this process."""

    def divide(self, context: StepContext, feed: QueryFeed, *, is_incremental: bool) -> bool:
        """Whether the rows can be shared out; the step says why not."""

    def hand_out(self, context: StepContext) -> None:
        """Write down what is shared out, in the transaction that the step begins with."""

    def watch(self, context: StepContext, messages: Messages, progress: Progress) -> None:
        """Wait until every row is done with. Raises what ends that early."""


class StepRunner:
    """Runs one migration.

    A committed step with a legacy key commits batch by batch, any other in one transaction (in a
    rehearsal and with ``--atomic``: a savepoint of the run's). ``place`` is the step's position
    and how many steps there are. ``keep_open`` receives connections that a spec opened by
    itself: it may hand out the same one to several migrations. Where a ``coordinator`` can share
    the rows out, only the hooks around them run here.
    """

    def __init__(
        self,
        context: StepContext,
        ledger: StepLedger,
        compiler: Compiler,
        *,
        place: tuple[int, int],
        record: Recorder,
        removal: Removal,
        progress: Progress,
        keep_open: Keep,
        coordinator: Coordinator | None = None,
    ) -> None:
        self._context = context
        self._step = context.step
        self._migration = context.migration
        self._options = context.options
        self._ledger = ledger
        self._place = place
        self._record = record
        self._removal = removal
        self._progress = progress
        self._keep_open = keep_open
        self._coordinator = coordinator
        self._messages = ledger.messages_for(self._step)
        self._reading: Reading | None = None
        self._compiler = compiler
        self._step.writer = compiler.choice.writer.name
        self._step.writer_reason = compiler.choice.reason

    def run(self) -> None:
        """Run the hooks and every row. Raises what stops the step.

        Of a committed step nothing that may take long is done in a transaction: the source is
        opened, the rows are counted and the query is executed before one begins.
        """
        dangling = self._dangling_keys()
        with exits_fail(self._step, self._options.should_stop), ExitStack() as whole:
            is_begun = self._call_first_hook(whole)
            with opened(
                self._context.label,
                self._migration,
                self._context.hooks,
                self._keep_open,
                meanwhile=self._end_if_asked,
            ) as feed:
                if is_begun and self._is_keyed(feed):
                    whole.close()
                    is_begun = False
                reading = self._reading = Reading(self._context, self._messages, feed)
                if self._shares_out(feed, reading):
                    assert self._coordinator is not None
                    pipeline = None
                    self._read_elsewhere(self._coordinator, feed, reading)
                else:
                    pipeline = self._read_here(feed, reading, whole, is_begun=is_begun)
            with self._batch():
                if pipeline is not None:
                    settle(pipeline, self._context.batch_size)
                self._migration.hook_after_all()
                self._settle_database(
                    pipeline is None or pipeline.writer.wrote_keys, dangling_before=dangling
                )
                self._record.check_max_errors(self._step.read)
                if reading.began_empty:
                    self._ledger.note(self._step, Message(MessageKind.WARNING, _BEGAN_EMPTY))
                reading.end()
                is_partial = (
                    self._step.failed
                    or self._record.unfinished
                    or reading.left_rows_unread
                    or self._messages.not_met
                )
                status = RunStatus.PARTIAL if is_partial else RunStatus.DONE
                self._ledger.finish_step(self._step, status)
            if not reading.began_empty:
                self._removal.read_to_end(self._step)

    @property
    def _commits(self) -> bool:
        return self._options.mode == Mode.COMMIT

    def _call_first_hook(self, whole: ExitStack) -> bool:
        """Call ``hook_before_all``; whether a transaction goes on in ``whole`` after it.

        In a committed step one does where the hook wrote something, and the rows may be without
        a key: they are kept together, or not at all.
        """
        hook = self._migration.hook_before_all
        if self._commits and "hook_before_all" not in self._context.hooks:
            hook()
            return False
        whole.enter_context(self._transaction())
        statements: list[str] = []

        def note(execute: Any, sql: str, *given: Any) -> Any:
            statements.append(sql)
            return execute(sql, *given)

        with connections[self._context.database].execute_wrapper(note):
            hook()
        if self._commits and (self._migration.legacy_key or not statements):
            whole.close()
            return False
        return True

    def _is_keyed(self, feed: Feed) -> bool:
        """Whether a committed step surely has a key, as far as a look at the columns tells."""
        if not self._commits or self._migration.legacy_key is not None:
            return False
        with suppress(SourceError):  # executing the query tells
            feed.look()
            return bool(key_columns_of(self._context.label, self._migration, feed.columns))
        return False

    def _transaction(self) -> AbstractContextManager[None]:
        if self._commits:
            return self._ledger.committing(self._step)
        return transaction.atomic(using=self._context.database)

    def _shares_out(self, feed: Feed, reading: Reading) -> bool:
        if self._coordinator is None:
            return False
        if not isinstance(feed, QueryFeed):
            self._step.split_reason = "read by one process, because its rows come from no query"
            return False
        incremental = reading.is_incremental
        return self._coordinator.divide(self._context, feed, is_incremental=incremental)

    def _batch(self) -> AbstractContextManager[None]:
        if self._step.commits_batches:
            return self._committed()
        rehearses_commit = self._options.mode == Mode.REHEARSAL and self._step.has_key
        return self._checked() if rehearses_commit else nullcontext()

    @contextmanager
    def _committed(self) -> Iterator[None]:
        with self._transaction():
            yield
            if self._reading is not None:
                self._reading.keep_place()

    @contextmanager
    def _checked(self) -> Iterator[None]:
        """A batch of a rehearsal ends with what its commit would check."""
        yield
        database = database_of(self._context.database)
        if database.checks_keys_when_told:
            database.connection.check_constraints()

    def _dangling_keys(self) -> set[tuple[Any, ...]]:
        """The keys in the database that lead nowhere; none where no commit would find them.

        Only where code of the project runs beside the rows, since every table is read for that.
        """
        others = {"open_db_connection", "hook_row_count"}
        own_code = self._context.hooks.names - others or self._compiler.choice.writer.is_row_by_row
        if self._options.mode != Mode.REHEARSAL or not own_code:
            return set()
        return database_of(self._context.database).dangling_keys()

    def _read_elsewhere(self, coordinator: Coordinator, feed: Feed, reading: Reading) -> None:
        reading.look()
        self._compile(feed)
        feed.close()
        with self._transaction():
            reading.begin_pass()
            coordinator.hand_out(self._context)
        with self._progressing():
            coordinator.watch(self._context, self._messages, self._progress)

    def _read_here(
        self, feed: Feed, reading: Reading, whole: ExitStack, *, is_begun: bool
    ) -> Pipeline:
        reading.open()
        compiled = self._compile(feed)
        batches, pipeline = assemble(
            self._context,
            self._compiler,
            compiled,
            feed,
            map(Group, reading.batches(self._context.batch_size)),
            links=self._links(reading) if compiled.key else None,
            record=self._record,
        )
        batches.fetch()  # many a query begins to work when its first row is fetched
        if not is_begun:
            whole.enter_context(self._transaction())
        reading.begin_pass()
        if not compiled.key:
            reading.refuse_a_part()
            self._messages.close_all()  # every row is read again
        if self._step.commits_batches:
            whole.close()
        loop = BatchLoop(
            pipeline, self._batch, is_due=lambda: self._ledger.is_silent, after=self._after_batch
        )
        with self._progressing():
            loop.run(batches)
        return pipeline

    def _compile(self, feed: Feed) -> CompiledStep:
        """Decide what depends on the columns of the query, and tell what is odd about them."""
        compiled = self._compiler.compile(feed.columns)
        self._step.has_key = bool(compiled.key)
        for column in feed.duplicate_columns:
            self._options.warn(
                f"{self._step.migration}: the query returns column {column!r} more than once;"
                " only the last one is used. Rename the others with AS."
            )
        return compiled

    def _links(self, reading: Reading) -> Links:
        book = LinkBook(self._context.state, database=self._context.database)
        keys_read = self._removal.watch(
            self._step,
            self._migration,
            book,
            is_incremental=reading.is_incremental or reading.goes_on,
            deleted=reading.deleted,
        )
        return Links(book, self._messages.failed_before, keys_read)

    @contextmanager
    def _progressing(self) -> Iterator[None]:
        self._progress.start(self._step.migration, *self._place, self._step.total)
        try:
            yield
        finally:
            self._progress.finish()

    def _after_batch(self, rows: int) -> None:
        self._progress.advance(rows, self._step.failed)
        self._end_if_asked()

    def _end_if_asked(self) -> None:
        if self._options.should_stop():
            raise Interrupted(f"{self._step.migration} was stopped. {what_is_kept(self._step)}")

    def _settle_database(self, wrote_keys: bool, *, dangling_before: set[tuple[Any, ...]]) -> None:
        """Sequences go on above the keys that were written; foreign keys are checked now.

        A rehearsal has to find what a commit would find, and deferred constraints speak up only
        at a commit, which it never reaches. A step in batches has had its commits.
        """
        step, database = self._step, database_of(self._context.database)
        model = self._migration.model
        models = [model, *model._meta.all_parents]
        # An interrupted run did not get to the sequences.
        if wrote_keys or step.created or step.updated or step.passed:
            go_on_above(models, database=self._context.database)
        if not database.checks_keys_at_once and not self._step.commits_batches:
            tables = [m._meta.db_table for m in models]
            tables += [f.m2m_db_table() for f in model._meta.many_to_many]
            tables += sorted({key[0] for key in self._dangling_keys() - dangling_before})
            database.connection.check_constraints(table_names=tables)
