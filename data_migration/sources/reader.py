"""One query over one connection, streamed as dicts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from functools import partial
from typing import Any, TypeVar

from ..exceptions import DataMigrationError, SourceError
from ..rows.remarks import Remark
from ..utils.redaction import redact
from ..utils.wording import printable_cause, words
from . import streaming
from .narrowing import Narrowed, Params, highest, statement
from .rows import Make, Rows, fetcher, maker
from .variables import Variables
from .waiting import NoAnswer, patiently
from .watching import let_lists_be_long, watching, zone_problem

T = TypeVar("T")

_QUERY_SHOWN = 300
_NUMBERED = re.compile(r"(.+):\d+")


class Reader:
    """Reads one query; ``label`` is the migration's, for messages.

    Everything the driver raises becomes a SourceError that says what was tried. ``meanwhile`` is
    called now and then while the database is waited for; what it raises ends the wait.
    """

    def __init__(
        self, connection: Any, label: str, meanwhile: Callable[[], object] = bool
    ) -> None:
        self.connection = connection
        self.label = label
        self.columns: tuple[str, ...] = ()
        self.rows_read = 0
        self._cursor: Any = None
        self._exhausted = False
        self._meanwhile = meanwhile
        self._variables = Variables(connection)
        #: The remarks on rows that were fetched since it was last looked at.
        self._found: list[Remark] = []

    @property
    def duplicate_columns(self) -> tuple[str, ...]:
        """Names that the query returns more than once: only the last value of each is kept."""
        return tuple(name for name, times in Counter(self.columns).items() if times > 1)

    def count(self, query: str, params: Params = ()) -> int | None:
        """The number of rows, counted by the database; None when it cannot."""
        # A line of its own for the bracket: the query may end in a comment.
        counting = f"SELECT COUNT(*) FROM (\n{statement(query)}\n) AS counted"
        try:
            self._settle(query)
            return int(self._ask(partial(_value, self.connection, counting, params)))
        except DataMigrationError:
            raise
        except Exception:  # reading the query will say what is wrong with it
            return None

    def highest(self, query: str, params: Params, column: str) -> Any:
        """The highest value of a column, found by the database; None where it has no value."""
        narrowed, params = highest(self.connection, query, params, column)
        try:
            self._settle(query)
            return self._ask(partial(_value, self.connection, narrowed, params))
        except DataMigrationError:
            raise
        except Exception as error:
            raise self._refused(narrowed, error) from printable_cause(error)

    def cursor(self, query: str = "") -> Any:
        """A new plain cursor, for hooks that count the rows of ``query`` by themselves."""
        self._settle(query)
        return self.connection.cursor()

    def execute(self, query: str, params: Params = ()) -> None:
        """Run the query; ``columns`` are known afterwards."""
        text = statement(query)
        self.close()
        self.rows_read, self._exhausted = 0, False
        try:
            self._settle(text)
            let_lists_be_long(self.connection)
            self._check_zone(text)
            cursor = streaming.streaming_cursor(self.connection)
            with watching(cursor) as self._found:
                description = self._ask(
                    partial(_describe, self.connection, cursor, text, params), cursor
                )
        except DataMigrationError:
            raise
        except Exception as error:
            raise self._refused(query, error) from printable_cause(error)
        self._cursor = cursor
        if description is None and hasattr(cursor, "description"):
            raise SourceError(
                f"{self.label}: the query returns no columns. The query was: {_shown(text)}. "
                "It must be a SELECT."
            )
        self.columns = tuple(column[0] for column in description or ())
        if isinstance(query, Narrowed):
            self._check_columns(query)

    def _settle(self, query: str) -> None:
        """Make the session ready for ``query``, whatever was read before."""
        streaming.settle(self.connection)
        self._variables.restore(query)

    def _ask(self, call: Callable[[], T], cursor: Any = None) -> T:
        """``call()``, which the legacy database has to answer to the ``cursor``."""
        try:
            return patiently(self.connection, call, self._meanwhile, cursor)
        except NoAnswer as error:
            raise SourceError(
                f"{self.label}: the legacy database gives {words(error)}. {_ADVICE_SILENT}"
            ) from error

    def _check_zone(self, query: str) -> None:
        if problem := zone_problem(self.connection, query):
            raise SourceError(f"{self.label}: {problem}.")

    def rows(self, size: int, limit: int | None = None) -> Iterator[Rows]:
        """The rows after :meth:`execute`, at most ``size`` at once and ``limit`` in all."""
        fetch = fetcher(self._cursor, self.label)
        make: Make | None = None
        while (wanted := size if limit is None else min(size, limit - self.rows_read)) > 0:
            try:
                fetched = self._ask(partial(fetch, wanted), self._cursor)
            except DataMigrationError:
                raise
            except Exception as error:
                advice, said = _ADVICE_STOPPED, str(error).lower()
                if isinstance(error, UnicodeDecodeError) or "could not decode" in said:
                    advice = _ADVICE_DECODING
                raise SourceError(
                    f"{self.label}: reading stopped after {self.rows_read:,} rows:"
                    f" {words(error)}. {advice}"
                ) from printable_cause(error)
            if not fetched:
                self._exhausted = True
                return
            make = make or maker(fetched[0], self.columns, self.label)
            self.rows_read += len(fetched)
            rows = make(fetched)
            if self._found:
                rows = rows.settled()
                self._found.clear()
            yield rows

    def close(self) -> None:
        """Close the cursor and leave the connection open; never raises."""
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            streaming.close_cursor(self.connection, cursor, exhausted=self._exhausted)

    def _check_columns(self, query: Narrowed) -> None:
        """SQLite gives the second of two columns a name of its own, and nothing would fit it."""
        for name in self.columns:
            original = _NUMBERED.fullmatch(name)
            if original and original[1] in self.columns:
                raise self._not_narrowed(query, f"it returns the column {original[1]!r} twice")

    def _refused(self, query: str, error: Exception) -> SourceError:
        is_closed = "closed" in str(error).lower()
        if isinstance(query, Narrowed) and not is_closed:
            return self._not_narrowed(query, words(error))
        return SourceError(
            f"{self.label}: the legacy database refused the query: {words(error)}. "
            f"The query was: {_shown(statement(query))}. "
            + (_ADVICE_CLOSED if is_closed else _ADVICE_QUERY)
        )

    def _not_narrowed(self, query: Narrowed, cause: str) -> SourceError:
        by = f" by {query.by}" if query.by else ""
        return SourceError(
            f"{self.label}: the query could not be narrowed{by}: {cause}. "
            f"It was read as: {_shown(query)}. {_ADVICE_NARROWED}"
        )


_ADVICE_QUERY = "Correct it; tables and columns have the names of the legacy database."
_ADVICE_NARROWED = (
    "Inside brackets every column needs a name of its own (write AS), spelt as in the spec, and "
    "SQL Server takes neither WITH nor ORDER BY. Correct the query; a run with --full reads it "
    "as it is."
)
_ADVICE_CLOSED = (
    "The connection is closed: every run closes the connections it was given when it ends, so "
    "open_db_connection() has to open a new one where it keeps one."
)
_ADVICE_STOPPED = "Check that the legacy database still runs, then run the same command again."
_ADVICE_SILENT = (
    "Look whether it still runs, and whether the query waits for a lock. If it needs that long, "
    "raise DATA_MIGRATION_SOURCE_TIMEOUT; then run the same command again."
)
_ADVICE_DECODING = (
    "The text is not in the encoding that the connection assumes. Name the right one in the "
    "OPTIONS of the source: charset for mysql, client_encoding for postgresql, text_factory for "
    'sqlite (such as "latin-1").'
)


def _shown(statement: str) -> str:
    line = redact(" ".join(statement.split()))
    return line if len(line) <= _QUERY_SHOWN else line[: _QUERY_SHOWN - 3] + "..."


def _execute(cursor: Any, statement: str, params: Params) -> None:
    """Without parameters there is no second argument: it would give percent signs a meaning."""
    if params:
        cursor.execute(statement, params)
    else:
        cursor.execute(statement)


def _describe(connection: Any, cursor: Any, statement: str, params: Params) -> Any:
    """Execute on the streaming cursor and return its description, or close it."""
    with streaming.protected(connection):
        try:
            _execute(cursor, statement, params)
            return streaming.describe(cursor)
        except Exception:
            # Now, since closing a server-side cursor that was never declared fails as well.
            with suppress(Exception):
                cursor.close()
            raise


def _value(connection: Any, statement: str, params: Params) -> Any:
    """The only value of the only row; the transaction survives when the database refuses."""
    with closing(connection.cursor()) as cursor, streaming.protected(connection):
        _execute(cursor, statement, params)
        row = cursor.fetchone()
    return next(iter(row.values())) if isinstance(row, Mapping) else row[0]
