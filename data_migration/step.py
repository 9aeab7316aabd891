"""One migration of a run: read, transform, resolve, write, record."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count
from operator import itemgetter
from typing import Any

from django.conf import settings as django_settings
from django.core.management.color import no_style
from django.db import connections, reset_queries

from .conf import settings
from .drafts import Draft
from .exceptions import DataMigrationError, Interrupted, SourceError, SpecError, UnknownColumn
from .existing import Existing
from .identity import legacy_key_of, search_attrs_of
from .migration import Migration, hook_is_overridden
from .models import RunStep
from .options import RunOptions
from .progress import Progress
from .resolve import resolve
from .sources import Reader, close_connection
from .sources.base import printable_cause, words
from .transform import Transform
from .trees import Tree, Waiting
from .writers import Instances, Writer, choose_writer

Record = Callable[[list[Draft]], None]
Keep = Callable[[Any], Any]


class StepRunner:
    """Runs one migration inside a transaction that the caller holds.

    ``place`` is the step's position and how many steps there are. ``record`` receives every draft
    once, when its outcome is final. ``keep_open`` receives connections that a spec opened by
    itself: it may hand out the same one to several migrations.
    """

    def __init__(
        self,
        step: RunStep,
        migration: Migration,
        options: RunOptions,
        *,
        place: tuple[int, int],
        record: Record,
        progress: Progress,
        keep_open: Keep,
    ) -> None:
        self.step = step
        self.migration = migration
        self.options = options
        self.database = options.database
        self.place = place
        self.record = record
        self.progress = progress
        self.keep_open = keep_open
        self.transform = Transform(migration, database=options.database)
        self.writer, step.writer_reason = self._choose_writer()
        self.make_instances = Instances(migration, database=options.database)
        self.existing: Existing | None = None
        self._waiting = Waiting(self.transform.relations)
        self._late: list[Draft] = []
        self._numbers = count(1)
        self._rows_in_all: int | None = None
        self._key_of: Callable[[dict[str, Any]], Any] | None = None
        self._updates_by_hook = hook_is_overridden(type(migration), "hook_update_existing")

    def _choose_writer(self) -> tuple[Writer, str]:
        writer, reason = choose_writer(self.migration, database=self.database)
        self.step.writer = writer.name
        return writer, reason

    def run(self) -> None:
        """Run the hooks and every row. Raises what stops the step as a whole."""
        self.migration.hook_before_all()
        connection = self._open()
        reader = Reader(connection, self.step.migration)
        try:
            self._read(reader)
        finally:
            self._close(reader, connection)
        self._finish_tree()
        self.migration.hook_after_all()
        self._settle_database()

    def _read(self, reader: Reader) -> None:
        self.step.total = self._count(reader)
        self.progress.start(self.step.migration, *self.place, self.step.total)
        try:
            reader.execute(self.migration.query or "", self.migration.query_params)
            self._compile(reader)
            for rows in reader.batches(self.batch_size, self.options.limit):
                self._process(rows)
                self.progress.advance(len(rows), self.step.failed)
                if self.options.should_stop():
                    raise Interrupted(
                        f"{self.step.migration} was stopped. Nothing of it is kept; the same"
                        " command does the rest."
                    )
        finally:
            self.progress.finish()

    @property
    def left_rows_unread(self) -> bool:
        """Whether ``--limit`` ended the reading before the query did."""
        limit = self.options.limit
        if limit is None or self.step.read < limit:
            return False
        return self._rows_in_all is None or self._rows_in_all > limit

    @property
    def batch_size(self) -> int:
        return self.options.batch_size or self.migration.batch_size or settings.batch_size

    def _open(self) -> Any:
        try:
            return self.migration.open_db_connection()
        except DataMigrationError:
            raise
        except Exception as error:
            raise SourceError(
                f"{self.step.migration}: open_db_connection() failed: {words(error)}. Check the"
                " connection settings in the spec, and that the legacy database is running."
            ) from printable_cause(error)

    def _close(self, reader: Reader, connection: Any) -> None:
        reader.close()
        if hook_is_overridden(type(self.migration), "open_db_connection"):
            self.keep_open(connection)
        else:
            close_connection(connection)

    def _count(self, reader: Reader) -> int | None:
        total: int | None
        if hook_is_overridden(type(self.migration), "hook_row_count"):
            total = self.migration.hook_row_count(reader.connection, reader.cursor())
        else:
            total = reader.count(self.migration.query or "", self.migration.query_params)
        if total is None or total < 0:
            return None
        self._rows_in_all = total
        return total if self.options.limit is None else min(total, self.options.limit)

    def _compile(self, reader: Reader) -> None:
        """Decide what depends on the query's columns."""
        columns = reader.columns
        try:
            self.transform.check_columns(columns)
        except UnknownColumn as error:
            raise SpecError(f"{self.step.migration}: {error.cause}.") from error
        key = legacy_key_of(self.step.migration, self.migration, columns)
        self._key_of = itemgetter(*key) if key else None
        if self.migration.allow_updates or self.options.update:
            attrs = search_attrs_of(self.step.migration, self.migration, columns)
            self.existing = Existing(self.migration.model, attrs, database=self.database)
        for column in reader.duplicate_columns:
            self.options.warn(
                f"{self.step.migration}: the query returns column {column!r} more than once;"
                " only the last one is used. Rename the others with AS."
            )

    def _process(self, rows: Iterable[dict[str, Any]]) -> None:
        """The hot loop: one batch of rows."""
        drafts = list(map(Draft, self._numbers, rows))
        if self._key_of is not None:
            for draft in drafts:
                draft.key = self._key_of(draft.row)
        if self.existing is not None and self._updates_by_hook:
            self._find_for_hook(self.existing, drafts)
        self.transform(d for d in drafts if d.existing is None and d.error is None)
        self._write_what_is_ready(drafts)
        if django_settings.DEBUG:
            reset_queries()  # DEBUG keeps every statement in memory

    def _find_for_hook(self, existing: Existing, drafts: list[Draft]) -> None:
        """Find existing objects by the raw row, since that is what their hook will get."""
        if existing.is_found_by_row(self.migration.column_description):
            existing.find_by_row(drafts)
        for draft in drafts:
            draft.raw = draft.row.copy()

    def _write_what_is_ready(self, drafts: list[Draft]) -> None:
        """Write the drafts and those that waited for them; the rest waits for later rows."""
        while drafts:
            self._look_up(drafts)
            ready = [draft for draft in drafts if not draft.waiting]
            self._waiting.add(draft for draft in drafts if draft.waiting)
            if not ready:
                return
            self._write(ready)
            drafts = self._waiting.called_by(ready)

    def _look_up(self, drafts: list[Draft]) -> None:
        open_ = [draft for draft in drafts if draft.existing is None and draft.error is None]
        resolve(self.transform.relations, open_)
        if self.existing is not None:
            self.existing.find_by_values(open_)

    def _write(self, drafts: list[Draft]) -> None:
        self._save(drafts)
        self._record(drafts)

    def _save(self, drafts: list[Draft]) -> None:
        # Row by row, hook_before_save sees the rows before it stored.
        for portion in ([draft] for draft in drafts) if self.writer.is_row_by_row else (drafts,):
            self.make_instances(portion)
            self.writer.write([draft for draft in portion if draft.outcome is None])

    def _record(self, drafts: list[Draft]) -> None:
        late = [draft for draft in drafts if draft.has_late_links and draft.error is None]
        self._late.extend(late)
        self.record(_without(drafts, late))

    def _finish_tree(self) -> None:
        """Settle the rows that wait for each other, or for what never came."""
        tree = Tree(self.transform.relations, self.database)
        while waiting := self._waiting.take_all():
            dead = tree.dead_ends(waiting)
            if dead:
                resolve(self.transform.relations, dead, final=True)
                self._write(dead)
                self._write_what_is_ready(_without(waiting, dead))
            else:
                self._write_loop(tree, waiting)
        self._complete_links(tree)

    def _write_loop(self, tree: Tree, drafts: list[Draft]) -> None:
        tree.cut(drafts)
        self._save(drafts)
        tree.close(drafts)
        self._record(drafts)

    def _complete_links(self, tree: Tree) -> None:
        late, self._late = self._late, []
        tree.complete_links(late)
        for start in range(0, len(late), self.batch_size):
            drafts = late[start : start + self.batch_size]
            self.writer.links.update([draft for draft in drafts if draft.error is None])
            self.record(drafts)

    def _settle_database(self) -> None:
        """Sequences go on above the keys that were written; foreign keys are checked now.

        A rehearsal has to find what a commit would find, and deferred constraints speak up only
        at a commit, which it never reaches.
        """
        connection = connections[self.database]
        model = self.migration.model
        models = [model, *model._meta.all_parents]
        if self.writer.wrote_keys:
            with connection.cursor() as cursor:
                for statement in connection.ops.sequence_reset_sql(no_style(), models):
                    cursor.execute(statement)
        if connection.vendor != "mysql":  # MySQL checks at once
            tables = [m._meta.db_table for m in models]
            tables += [f.m2m_db_table() for f in model._meta.many_to_many]
            connection.check_constraints(table_names=tables)


def _without(drafts: list[Draft], others: list[Draft]) -> list[Draft]:
    left_out = set(others)
    return [draft for draft in drafts if draft not in left_out] if left_out else drafts
