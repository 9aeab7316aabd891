"""Which rows of its query a step reads: all, those since the high-water mark, or failed ones."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice
from typing import Any

from ..exceptions import DataMigrationError, SourceError, SpecError
from ..ledger import Messages, open_keys
from ..models import MigrationState
from ..outcomes import NullMarks
from ..rows.keys import identify, key_of_text
from ..sources import Reader
from ..sources.narrowing import at_or_above, no_rows, with_keys, without_value
from ..sources.rows import Rows
from ..spec.fingerprint import fingerprint
from ..spec.legacy_key import key_columns_of
from ..spec.migration import Migration
from ..utils.wording import printable_cause, words
from .context import StepContext
from .high_water import lowered, mark_text, value_of_mark

#: Keys in one query for failed rows: each is a parameter, of which databases take a few hundred.
_KEYS_AT_ONCE = 200


class Reading:
    """Reads the rows that one step is to handle; ``messages`` are the step's."""

    def __init__(self, context: StepContext, messages: Messages) -> None:
        self._step = context.step
        self._migration = migration = context.migration
        self._state = state = context.state
        self._options = options = context.options
        self._updates = context.updates
        self._row_count = context.hooks.row_count
        self._messages = messages
        self._query, self._params = migration.query or "", migration.query_params
        self._rows_in_all: int | None = None
        self._mark: Any = None
        #: The failed rows that are to be read again, by hash; None for any other reading.
        self._failed: dict[str, str] | None = None
        self.is_incremental = bool(
            migration.high_water
            and state.high_water is not None
            and state.is_read
            and context.updates
            and not (options.full or options.retry_failed)
        )

    def begin(self, reader: Reader) -> None:
        """Run the query, so that its columns are known; the step learns how many rows come."""
        if self._options.retry_failed:
            self._failed = self._queue()
            self._step.total = len(self._failed)
            reader.execute(*no_rows(reader.connection, self._query, self._params))
            return
        self._take_mark(reader, self._migration.high_water)
        self._step.total = self._count(reader)
        reader.execute(self._query, self._params)
        if self._state.pass_run is None:
            self._begin_pass(self._state)

    def begin_elsewhere(self, reader: Reader) -> None:
        """The same where other processes read the rows: of the query come its columns only."""
        self._take_mark(reader, self._migration.high_water)
        self._step.total = self._count(reader)
        reader.execute(*no_rows(reader.connection, self._query, self._params))
        if self._state.pass_run is None:
            self._begin_pass(self._state)

    def _queue(self) -> dict[str, str]:
        """The failed rows to be tried again: all of them, or those of the chosen messages."""
        chosen = self._options.failures
        if not chosen:
            return dict(self._messages.failed_before)
        return open_keys(self._state, self._options.database, chosen)

    def _begin_pass(self, state: MigrationState) -> None:
        """Remember the spec that the pass began with: if it changes on the way, that is told."""
        state.pass_run = self._step.run_id
        if self._updates or not state.is_read:
            state.fingerprint = fingerprint(type(self._migration))
        state.save(using=self._options.database)

    def _take_mark(self, reader: Reader, column: str | None) -> None:
        """Before the rows are read: one that changes meanwhile is read again by the next run."""
        if not column:
            return
        self._refuse_nulls(reader, column)
        try:
            self._mark = reader.highest(self._query, self._params, column)
        except SourceError:
            self._refuse_absent(reader, column)
            raise
        if self.is_incremental:
            self._query, self._params = at_or_above(
                reader.connection,
                self._query,
                self._params,
                column,
                self._lowest(),
                NullMarks(self._migration.high_water_null),
            )

    def _lowest(self) -> Any:
        """Where an incremental reading begins."""
        mark = value_of_mark(str(self._state.high_water))
        try:
            return lowered(mark, self._migration.high_water_lag)
        except SpecError as error:
            raise SpecError(f"{self._step.migration}: {error}") from error

    def _refuse_absent(self, reader: Reader, column: str) -> None:
        reader.execute(self._query, self._params)
        if column not in reader.columns:
            raise SpecError(
                f"{self._step.migration}: high_water = {column!r} is no column of the query, which"
                f" returns {', '.join(reader.columns)}."
            )

    def _refuse_nulls(self, reader: Reader, column: str) -> None:
        if self._migration.high_water_null != NullMarks.RAISE:
            return
        rows = reader.count(*without_value(reader.connection, self._query, self._params, column))
        if rows:
            raise SpecError(
                f"{self._step.migration}: in {rows} rows the high-water column {column!r} is NULL."
                ' Give them a value in the query (COALESCE), or set high_water_null = "include"'
                ' (they are read every time) or "exclude".'
            )

    def _count(self, reader: Reader) -> int | None:
        total: int | None
        if self._row_count is not None and not self.is_incremental:
            total = self._row_count(reader.connection, reader.cursor())
        else:
            total = reader.count(self._query, self._params)
        if total is None or total < 0:
            return None
        self._rows_in_all = total
        return total if self._options.limit is None else min(total, self._options.limit)

    def batches(self, reader: Reader, size: int) -> Iterator[Rows]:
        """The rows, at most ``size`` at once; needs :meth:`begin` before."""
        if self._failed is None:
            yield from reader.rows(size, self._options.limit)
        else:
            yield from self._failed_rows(reader, size, self._failed)

    def _failed_rows(self, reader: Reader, size: int, failed: dict[str, str]) -> Iterator[Rows]:
        """The rows of these keys, read again from the source.

        Databases compare text in their own way (``'ABC' = 'abc'``), so the keys are compared
        again. What is left in ``failed`` at the end is no longer in the source.
        """
        columns = key_columns_of(self._step.migration, self._migration, reader.columns)
        wanted = frozenset(failed)
        keys = iter(list(failed.values())[: self._options.limit])
        while chunk := [_parts(key_of_text(text)) for text in islice(keys, _KEYS_AT_ONCE)]:
            query = with_keys(reader.connection, self._query, self._params, columns, chunk)
            reader.execute(*query)
            for rows in reader.rows(size):
                hashes = [identify(key)[0] for key in rows.values(columns)]
                yield rows.only([key in wanted for key in hashes])
                for key in hashes:
                    failed.pop(key, None)

    @property
    def left_rows_unread(self) -> bool:
        """Whether ``--limit`` ended the reading before the query did."""
        limit = self._options.limit
        read = self._step.read + self._step.passed
        if limit is None or self._failed is not None or read < limit:
            return False
        return self._rows_in_all is None or self._rows_in_all > limit

    def end(self) -> None:
        """Remember that the pass over the query came to its end."""
        if self._failed is not None:
            self._close_what_is_gone(self._failed)
            return
        if self.left_rows_unread and self._step.has_key:
            return  # the next run goes on; without a key it would begin again
        if not self.is_incremental:
            self._close_what_is_gone(self._messages.not_met)
        state = self._state
        if self._mark is not None and self._is_read_up_to_mark:
            state.high_water = self._written_mark()
        state.is_read, state.pass_run = True, None
        state.save(using=self._options.database)

    def _written_mark(self) -> str:
        try:
            return mark_text(self._mark)
        except SpecError as error:
            raise SpecError(f"{self._step.migration}: {error}") from error

    @property
    def _is_read_up_to_mark(self) -> bool:
        """Whether the next run may begin at the mark: nothing below it is left to be done.

        Failed rows are. So is what changed since an earlier run began this pass, unless this one
        compared it.
        """
        began_here = self._state.pass_run == self._step.run_id
        return not self._step.failed and (self._updates or began_here)

    def _close_what_is_gone(self, failed: Collection[str]) -> None:
        if failed and self._options.limit is None:
            self._messages.close(failed)
            one = len(failed) == 1
            rows = "1 failed row is" if one else f"{len(failed)} failed rows are"
            self._options.warn(
                f"{self._step.migration}: {rows} no longer in the legacy database;"
                f" {'its failure is' if one else 'their failures are'} closed."
            )


def _parts(key: Any) -> tuple[Any, ...]:
    return key if isinstance(key, tuple) else (key,)


def open_source(label: str, migration: Migration) -> Any:
    """The connection of a migration. Raises :exc:`SourceError` when it cannot be opened."""
    try:
        return migration.open_db_connection()
    except DataMigrationError:
        raise
    except Exception as error:
        raise SourceError(
            f"{label}: open_db_connection() failed: {words(error)}. Check the connection settings"
            " in the spec, and that the legacy database is running."
        ) from printable_cause(error)
