"""One migration of a run: its hooks, its rows batch by batch, its transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from typing import Any, TypeVar

from django.conf import settings as django_settings
from django.core.management.color import no_style
from django.db import DataError, connections, reset_queries, transaction
from django.db.models import Model

from ..conf import settings
from ..exceptions import Interrupted
from ..ledger import LinkBook, StepLedger
from ..outcomes import Mode, RunStatus
from ..progress import Progress
from ..sources import Reader, close_connection, is_apart
from ..spec.hooks import hook_is_overridden
from ..transform.legacy_targets import Linked
from ..transform.values import Transform
from ..undo.removal import Removal
from ..writers import choose_writer
from .ahead import Ahead
from .batch import Batch
from .compilation import compile_step
from .context import StepContext
from .delta import Rerun
from .pipeline import Pipeline
from .reading import Reading, open_source
from .recording import Recorder, what_is_kept

T = TypeVar("T")
Keep = Callable[[Any], Any]


class StepRunner:
    """Runs one migration.

    A committed step with a legacy key commits batch by batch, any other in one transaction (in a
    rehearsal and with ``--atomic``: a savepoint of the run's). ``place`` is the step's position
    and how many steps there are. ``keep_open`` receives connections that a spec opened by
    itself: it may hand out the same one to several migrations.
    """

    def __init__(
        self,
        context: StepContext,
        ledger: StepLedger,
        *,
        place: tuple[int, int],
        record: Recorder,
        removal: Removal,
        progress: Progress,
        keep_open: Keep,
        linked: Linked | None = None,
    ) -> None:
        self.context = context
        self.step = step = context.step
        self.migration = migration = context.migration
        self.options = context.options
        self.ledger = ledger
        self.place = place
        self.record = record
        self.removal = removal
        self.progress = progress
        self.keep_open = keep_open
        self.messages = ledger.messages_for(step)
        self.writer, step.writer_reason = choose_writer(
            context.label, migration, database=context.database
        )
        step.writer = self.writer.name
        self.transform = Transform(migration, database=context.database, linked=linked)
        self.pipeline = Pipeline(
            context, writer=self.writer, transform=self.transform, record=record
        )
        self.reading = Reading(context, self.messages)

    @property
    def batch_size(self) -> int:
        return self.options.batch_size or self.migration.batch_size or settings.batch_size

    def _transaction(self) -> AbstractContextManager[None]:
        if self.options.mode == Mode.COMMIT:
            return self.ledger.committing(self.step)
        return transaction.atomic(using=self.context.database)

    def run(self) -> None:
        """Run the hooks and every row. Raises what stops the step."""
        with ExitStack() as whole:
            whole.enter_context(self._transaction())
            self.migration.hook_before_all()
            connection = open_source(self.step.migration, self.migration)
            reader = Reader(connection, self.step.migration)
            try:
                self._read(reader, whole)
            finally:
                self._close(reader, connection)
            with self._batch():
                self._finish()
            self.removal.read_to_end(self.step)

    def _batch(self) -> AbstractContextManager[None]:
        return self._transaction() if self.step.commits_batches else nullcontext()

    def _read(self, reader: Reader, whole: ExitStack) -> None:
        self.reading.begin(reader)
        self._compile(reader)
        if self.step.commits_batches:
            whole.close()  # what hook_before_all wrote is kept from here on
        self.progress.start(self.step.migration, *self.place, self.step.total)
        try:
            for batch in self._batches(reader):
                rows = len(batch)
                self.pipeline.pass_over(batch)
                if batch or self.ledger.is_silent:
                    with self._batch():
                        self.pipeline.process(batch)
                self._after_batch(rows)
        finally:
            self.progress.finish()

    def _batches(self, reader: Reader) -> Iterator[Batch]:
        rows = self.reading.batches(reader, self.batch_size)
        return self._made_ahead(reader, map(self.pipeline.prepare, rows))

    def _made_ahead(self, reader: Reader, items: Iterable[T]) -> Iterator[T]:
        """What is made of the reader's rows: early, where that leaves the target alone."""
        ahead = Ahead(items)
        if is_apart(reader.connection, connections[self.context.database]):
            self.pipeline.fetch_ahead = ahead.fetch
        return iter(ahead)

    def _after_batch(self, rows: int) -> None:
        self.progress.advance(rows, self.step.failed)
        if django_settings.DEBUG:
            reset_queries()  # DEBUG keeps every statement in memory
        if self.options.should_stop():
            raise Interrupted(f"{self.step.migration} was stopped. {what_is_kept(self.step)}")

    def _finish(self) -> None:
        self.pipeline.finish(self.batch_size)
        self.migration.hook_after_all()
        self._settle_database()
        self.record.check_max_errors(self.step.read)
        self._end()

    def _end(self) -> None:
        """Say how the step ended, in the transaction of its last rows."""
        self.reading.end()
        is_partial = self.step.failed or self.reading.left_rows_unread or self.messages.not_met
        self.ledger.finish_step(self.step, RunStatus.PARTIAL if is_partial else RunStatus.DONE)

    def _close(self, reader: Reader, connection: Any) -> None:
        reader.close()
        if hook_is_overridden(type(self.migration), "open_db_connection"):
            self.keep_open(connection)
        else:
            close_connection(connection)

    def _compile(self, reader: Reader) -> None:
        """Decide what depends on the query's columns."""
        columns = reader.columns
        compiled = compile_step(
            self.step.migration,
            columns,
            transform=self.transform,
            writer=self.writer,
            writer_reason=self.step.writer_reason,
        )
        if not compiled.instances:
            self.pipeline.write_values()
        if compiled.key:
            self.step.has_key = True
            self._remember(compiled.key, columns)
        else:
            self.messages.close_all()  # every row is read again
        if self.context.updates:
            self.pipeline.find_existing(columns)
        for column in reader.duplicate_columns:
            self.options.warn(
                f"{self.step.migration}: the query returns column {column!r} more than once;"
                " only the last one is used. Rename the others with AS."
            )

    def _remember(self, key: Sequence[str], columns: Sequence[str]) -> None:
        state = self.context.state
        own_hook = hook_is_overridden(type(self.migration), "hook_update_existing")
        rerun = Rerun(
            run=self.step.run_id,
            pass_run=state.pass_run or self.step.run_id,
            updates=self.context.updates,
            full=self.options.full,
            calls_hook=own_hook and not self.migration.track_changes,
            failed=self.messages.failed_before,
            is_first=not state.is_read,
        )
        book = self._book()
        seen = self.removal.watch(
            self.step, self.migration, book, is_incremental=self.reading.is_incremental
        )
        self.pipeline.remember(book, rerun, key=key, columns=columns, seen=seen)

    def _book(self) -> LinkBook:
        return LinkBook(self.context.state, database=self.context.database)

    @property
    def _may_have_written_keys(self) -> bool:
        # An interrupted run did not get to the sequences.
        return bool(self.writer.wrote_keys or self.step.passed)

    def _settle_database(self) -> None:
        """Sequences go on above the keys that were written; foreign keys are checked now.

        A rehearsal has to find what a commit would find, and deferred constraints speak up only
        at a commit, which it never reaches. A step in batches has had its commits.
        """
        connection = connections[self.context.database]
        model = self.migration.model
        models = [model, *model._meta.all_parents]
        if self._may_have_written_keys:
            self._move_sequences(connection, models)
        if connection.vendor != "mysql" and not self.step.commits_batches:  # MySQL checks at once
            tables = [m._meta.db_table for m in models]
            tables += [f.m2m_db_table() for f in model._meta.many_to_many]
            connection.check_constraints(table_names=tables)

    def _move_sequences(self, connection: Any, models: list[type[Model]]) -> None:
        with connection.cursor() as cursor:
            for statement in connection.ops.sequence_reset_sql(no_style(), models):
                # PostgreSQL refuses to go below 1: keys of zero and less leave it where it is.
                with suppress(DataError), transaction.atomic(using=self.context.database):
                    cursor.execute(statement)
