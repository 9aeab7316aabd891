"""Which rows of its query a step reads: all, those since the high-water mark, or failed ones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any

from ..exceptions import DataMigrationError, SourceError, SpecError
from ..ledger import Messages, open_keys
from ..ledger.states import begin_pass, end_pass, go_on_at
from ..outcomes import Mode, NullMarks, Removed
from ..rows.keys import identify, key_of_text
from ..sources import Reader, close_connection
from ..sources.feed import Feed
from ..sources.generated import RowsFeed
from ..sources.marks import lowered, mark_text, value_of_mark
from ..sources.query import QueryFeed
from ..sources.rows import Rows
from ..spec.fingerprint import fingerprint
from ..spec.hooks import Hooks
from ..spec.legacy_key import declared_key, key_columns_of
from ..spec.migration import Migration
from ..utils.wording import printable_cause, words
from .context import StepContext

#: Keys in one query for failed rows: each is a parameter, of which databases take a few hundred.
_KEYS_AT_ONCE = 200


#: Receives a connection that a spec opened by itself.
Keep = Callable[[Any], Any]


@contextmanager
def opened(
    label: str,
    migration: Migration,
    hooks: Hooks,
    keep_open: Keep,
    meanwhile: Callable[[], object] = bool,
) -> Iterator[Feed]:
    """The feed of a migration, closed at the end.

    ``keep_open`` receives a connection that a spec opened by itself, since it may hand out the
    same one to several migrations. ``meanwhile`` is called now and then while the legacy database
    is waited for, and may end that by raising. Raises :exc:`SourceError` when it cannot be opened.
    """
    if (other := _without_query(label, migration, meanwhile)) is not None:
        try:
            yield other
        finally:
            other.close()
        return
    try:
        connection = migration.open_db_connection()
    except DataMigrationError:
        raise
    except Exception as error:
        raise SourceError(
            f"{label}: open_db_connection() failed: {words(error)}. Check the connection settings"
            " in the spec, and that the legacy database is running."
        ) from printable_cause(error)
    feed = QueryFeed(
        Reader(connection, label, meanwhile), migration.query or "", migration.query_params
    )
    try:
        yield feed
    finally:
        feed.close()
        if "open_db_connection" in hooks:
            keep_open(connection)
        else:
            close_connection(connection)


def _without_query(
    label: str, migration: Migration, meanwhile: Callable[[], object]
) -> Feed | None:
    """Where the rows come from that are no query's: pages of a connector, or ``rows()``."""
    if migration._feed is not None:
        feed: Feed = migration._feed(label, meanwhile)
        return feed
    if migration.query:
        return None
    return RowsFeed(
        label,
        migration.rows,
        high_water=migration.high_water,
        nulls=NullMarks(migration.high_water_null),
        meanwhile=meanwhile,
        key=declared_key(type(migration)),
    )


class Reading:
    """Reads the rows of a feed that one step is to handle; ``messages`` are the step's."""

    def __init__(self, context: StepContext, messages: Messages, feed: Feed) -> None:
        self._step = context.step
        self._migration = migration = context.migration
        self._state = state = context.state
        self._options = options = context.options
        self._updates = context.updates
        self._row_count = context.hooks.row_count
        self._messages = messages
        self._feed = feed
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
        #: Whether it goes on where a pass was broken off, of rows that come in order.
        self.goes_on = bool(
            feed.marks_after
            and migration.high_water
            and state.pass_run is not None
            and state.pass_mark is not None
            and not (options.full or options.retry_failed)
        )

    def open(self) -> None:
        """Open the feed, so that its columns are known; the step learns how many rows come.

        Counting and executing may take long, so no transaction should be open. What is written
        about it is left to :meth:`begin_pass`.
        """
        if self._options.retry_failed:
            self._failed = self._chosen()
            self._step.total = len(self._failed)
            self._feed.look()
            return
        self._measure()
        self._feed.open()

    def _chosen(self) -> dict[str, str]:
        """The rows that are to be read: of these keys, of these messages, or all that failed."""
        if self._options.keys:
            return dict(map(identify, self._options.keys))
        if self._options.failures:
            return open_keys(self._state, self._options.database, self._options.failures)
        return dict(self._messages.failed_before)

    def look(self) -> None:
        """The same where other processes read the rows: of the feed come its columns only."""
        self._measure()
        self._feed.look()

    def _measure(self) -> None:
        self._take_mark(self._migration.high_water)
        self._step.total = self._count()

    def begin_pass(self) -> None:
        """Begin a pass over all rows, or go on with one; failed rows are read in none.

        The spec that it began with is remembered: if it changes on the way, that is told.
        """
        state = self._state
        if self._failed is None and state.pass_run is None:
            applies = self._updates or not state.is_read
            begin_pass(
                state,
                run=self._step.run_id,
                fingerprint=fingerprint(type(self._migration)) if applies else None,
                database=self._options.database,
            )

    def _take_mark(self, column: str | None) -> None:
        """Before the rows are read: one that changes meanwhile is read again by the next run."""
        if not column:
            return
        label, nulls = self._step.migration, NullMarks(self._migration.high_water_null)
        if self._feed.marks_after:
            if self.goes_on:
                begins = self._state.pass_mark
            elif self.is_incremental:
                begins = self._state.high_water
            else:
                return
            mark = lowered(value_of_mark(str(begins)), self._migration.high_water_lag)
            self._feed = self._feed.since(column, mark, nulls)
            return
        if nulls == NullMarks.RAISE and (rows := self._feed.count_without(column)):
            raise SpecError(
                f"{label}: in {rows} rows the high-water column {column!r} is NULL."
                ' Give them a value in the query (COALESCE), or set high_water_null = "include"'
                ' (they are read every time) or "exclude".'
            )
        try:
            self._mark = self._feed.highest(column)
        except SourceError:
            self._feed.open()
            if column in self._feed.columns:
                raise
            raise SpecError(
                f"{label}: high_water = {column!r} is no column of the query, which"
                f" returns {', '.join(self._feed.columns)}."
            ) from None
        if self.is_incremental:
            mark = value_of_mark(str(self._state.high_water))
            try:
                lowest = lowered(mark, self._migration.high_water_lag)
            except SpecError as error:
                raise SpecError(f"{label}: {error}") from error
            self._feed = self._feed.since(column, lowest, nulls)

    def _count(self) -> int | None:
        if self._row_count is not None and not self.is_incremental:
            total = self._feed.count_by(self._row_count)
        else:
            total = self._feed.count()
        if total is None or total < 0:
            return None
        self._rows_in_all = total
        return total if self._options.limit is None else min(total, self._options.limit)

    def batches(self, size: int) -> Iterator[Rows]:
        """The rows, at most ``size`` at once; needs :meth:`open` before."""
        if self._failed is None:
            yield from self._feed.rows(size, self._options.limit)
            if self._asks_again:
                left = self._messages.not_met
                before = self._messages.failed_before
                again = {key: before[key] for key in sorted(left) if key in before}
                yield from self._failed_rows(size, again)
        else:
            yield from self._failed_rows(size, self._failed)

    def _failed_rows(self, size: int, failed: dict[str, str]) -> Iterator[Rows]:
        """The rows of these keys, read again from the source.

        Databases compare text in their own way (``'ABC' = 'abc'``), so the keys are compared
        again. What is left in ``failed`` at the end is no longer in the source.
        """
        columns = key_columns_of(self._step.migration, self._migration, self._feed.columns)
        wanted = frozenset(failed)
        keys = iter(list(failed.values())[: self._options.limit])
        while chunk := [key_of_text(text) for text in islice(keys, _KEYS_AT_ONCE)]:
            parts = [key if isinstance(key, tuple) else (key,) for key in chunk]
            found = self._feed.with_keys(columns, parts)
            found.open()
            for rows in found.rows(size):
                hashes = [identify(key)[0] for key in rows.values(columns)]
                if self._options.keys:  # of which two may mean the same row
                    firsts = {key: place for place, key in reversed(list(enumerate(hashes)))}
                    yield rows.only(
                        [key in failed and firsts[key] == n for n, key in enumerate(hashes)]
                    )
                else:
                    yield rows.only([key in wanted for key in hashes])
                for key in hashes:
                    failed.pop(key, None)

    @property
    def _asks_again(self) -> bool:
        """Whether what failed before is read once more although it did not change."""
        is_delta = self.is_incremental or self.goes_on
        return self._feed.marks_after and self._feed.reads_keys and is_delta

    @property
    def began_empty(self) -> bool:
        """Whether a system gave no rows although all were asked for, and what is gone counts.

        Nobody knows then whether they are gone, or the account does not see them any more.
        """
        is_whole = not (self.is_incremental or self.goes_on) and self._failed is None
        return is_whole and self._feed.began_empty and self._migration.removed != str(Removed.KEEP)

    @property
    def deleted(self) -> Mapping[str, Any] | None:
        """What the source names as deleted, by hash of the key; None where it never does."""
        return self._feed.deleted if self._feed.marks_after else None

    def keep_place(self) -> None:
        """Remember where the pass may go on. For the transaction of a batch.

        Rows are read no further than the batch, since nothing is fetched ahead of such a feed.
        """
        feed, column = self._feed, self._migration.high_water
        if not (feed.may_go_on and column and self._failed is None):
            return
        if self._state.pass_run is None:
            return  # it has just ended
        if self._options.limit is None and feed.reached is not None:
            place = mark_text(feed.reached)
            go_on_at(self._state, place, database=self._options.database)

    def refuse_a_part(self) -> None:
        """Raise :exc:`SpecError` where ``--limit`` may leave rows of a migration without a key.

        Such rows are kept as a whole or not at all.
        """
        limit, label = self._options.limit, self._step.migration
        if limit is None or self._options.mode == Mode.REHEARSAL:
            return
        if self._rows_in_all is None or self._rows_in_all > limit:
            raise SpecError(
                f"{label}: its rows have no legacy key, so of the first {limit} (--limit) nobody"
                " could tell later which are there, and no run could go on behind them. Commit it"
                " without --limit, rehearse it with --limit, or name in legacy_key the columns"
                " that identify a row."
            )

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
        if self.left_rows_unread:
            return  # the next run goes on
        if not (self.is_incremental or self.goes_on):
            self._close_what_is_gone(self._messages.not_met)
        # The next run may begin at the mark where nothing below it is left to be done. Failed rows
        # are; so is what changed since an earlier run began this pass, unless it was compared now.
        has_compared = self._updates or self._state.pass_run == self._step.run_id
        mark = None
        if self._feed.marks_after and self._migration.high_water:
            self._mark = self._feed.reached
        is_whole = not self._step.failed or (self._feed.marks_after and self._feed.reads_keys)
        if self._mark is not None and has_compared and is_whole:
            try:
                mark = mark_text(self._mark)
            except SpecError as error:
                raise SpecError(f"{self._step.migration}: {error}") from error
        end_pass(self._state, high_water=mark, database=self._options.database)

    def _close_what_is_gone(self, failed: Collection[str]) -> None:
        if failed and self._options.limit is None and not self._options.keys:
            self._messages.close(failed)
            one = len(failed) == 1
            rows = "1 failed row is" if one else f"{len(failed)} failed rows are"
            self._options.warn(
                f"{self._step.migration}: {rows} no longer in the legacy database;"
                f" {'its failure is' if one else 'their failures are'} closed."
            )
