"""The session of a run in its target database: strict, a writer from its beginning, patient.

What a project's own connections are like is its own affair. While a run uses one, what is written
arrives as it is, or its row fails.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any

from django.db import Error, OperationalError, connections
from django.db.backends.signals import connection_created

from .databases import database_of

#: How long a run waits until others let it write, in seconds, and how long between two tries.
PATIENCE, PAUSE = 60.0, 0.05
#: How long it lets others in at most: SQLite looks again after a tenth of a second.
LET_IN = 0.12


def writing(alias: str) -> AbstractContextManager[None]:
    """While the block lasts, this thread's connection to the database is one for writing."""
    connection = connections[alias]
    session = _SESSIONS.get(connection.vendor)
    return nullcontext() if session is None else session(connection)


@contextmanager
def _prepared(connection: Any, prepare: Callable[[], None]) -> Iterator[None]:
    """``prepare`` is called now, and whenever the connection is opened again in the block."""

    def again(connection: Any, **of_signal: Any) -> None:
        if connection is ours:
            prepare()

    ours = connection
    connection.ensure_connection()
    connection_created.connect(again, weak=False)
    try:
        prepare()
        yield
    finally:
        connection_created.disconnect(again)


# ------------------------------------------------------------------ MySQL, MariaDB

#: Modes of which one is enough (MySQL, "Strict SQL Mode").
_STRICT = frozenset({"STRICT_TRANS_TABLES", "STRICT_ALL_TABLES"})
_ZERO_IS_A_KEY = "NO_AUTO_VALUE_ON_ZERO"


@contextmanager
def _mysql(connection: Any) -> Iterator[None]:
    """Strict, since the server cuts texts and clips numbers in any other mode.

    A key of 0 stays 0, and is not the next free number: Django, which refuses it, is told so. No
    statement is sent that is longer than a packet: the server closes the connection on it.
    """
    database = database_of(connection.alias)
    former: list[str] = []

    def make_strict() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT @@SESSION.sql_mode")
            (mode,) = cursor.fetchone()
            modes = [*filter(None, mode.split(",")), _ZERO_IS_A_KEY]
            if not _STRICT.intersection(modes):
                modes.append("STRICT_TRANS_TABLES")
            former.append(mode)
            cursor.execute("SET SESSION sql_mode = %s", [",".join(modes)])
        connection.features.allows_auto_pk_0 = True
        assert database.longest_statement is not None  # known before anything is measured

    def measure(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        for each in params if many else (params,):
            database.refuse_too_long(sql, each or ())
        return execute(sql, params, many, context)

    with _prepared(connection, make_strict):
        try:
            with connection.execute_wrapper(measure):
                yield
        finally:
            vars(connection.features).pop("allows_auto_pk_0", None)
            # Of a lost connection nothing is left to put back.
            with suppress(Error), connection.cursor() as cursor:
                for mode in former[-1:]:
                    cursor.execute("SET SESSION sql_mode = %s", [mode])


# ------------------------------------------------------------------ SQLite


@contextmanager
def _sqlite(connection: Any) -> Iterator[None]:
    """A transaction begins as a writer's, and waits until it may.

    One that begins as a reader is refused at once when it comes to write and somebody else has
    written since, however long it would wait.
    """
    former: list[tuple[str | None, int]] = []

    def prepare() -> None:
        mode = connection.transaction_mode
        former.append((mode, int(_raw(connection, "PRAGMA busy_timeout"))))
        if mode in (None, "DEFERRED"):
            connection.transaction_mode = "IMMEDIATE"

    with _prepared(connection, prepare):
        try:
            with connection.execute_wrapper(_Turns(connection, timeout=former[-1][1])):
                yield
        finally:
            if connection.connection is not None:
                connection.transaction_mode, timeout = former[-1]
                _raw(connection, f"PRAGMA busy_timeout = {timeout}")


class _Turns:
    """Statements outside of a transaction, and its beginning, wait until others have written.

    Who waits for a SQLite file looks at it ten times a second, and finds it taken each time where
    one transaction follows another at once. So where others write as well, a run lets them in
    between. ``timeout`` is that of the project, in milliseconds.
    """

    def __init__(self, connection: Any, *, timeout: int) -> None:
        self._connection = connection
        self._database = database_of(connection.alias)
        self._timeout = timeout
        self._version: Any = None
        self._others_write = False
        self._begun = time.monotonic()

    def __call__(self, execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        if self._connection.in_atomic_block:
            return execute(sql, params, many, context)
        begins = str(sql).startswith("BEGIN")
        _raw(self._connection, f"PRAGMA busy_timeout = {self._timeout}")
        if begins:
            self._let_others()
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                result = execute(sql, params, many, context)
            except OperationalError as error:
                if not self._database.is_locked(error) or time.monotonic() > deadline:
                    raise
                time.sleep(PAUSE)
            else:
                break
        if begins:
            self._begun = time.monotonic()
            # Of the COMMIT, which has to wait for readers: it cannot be tried again.
            _raw(self._connection, f"PRAGMA busy_timeout = {round(PATIENCE * 1000)}")
        return result

    def _let_others(self) -> None:
        try:  # it changes with what other connections commit
            version = _raw(self._connection, "PRAGMA data_version")
        except self._connection.Database.OperationalError:  # somebody writes just now
            self._others_write = True
            return
        if self._version not in (None, version):
            self._others_write = True
        self._version = version
        if self._others_write:
            time.sleep(min(LET_IN, (time.monotonic() - self._begun) / 4))


def _raw(connection: Any, statement: str) -> Any:
    """Past Django's cursors, which would call the wrappers again."""
    row = connection.connection.execute(statement).fetchone()
    return None if row is None else row[0]


_SESSIONS: dict[str, Callable[[Any], AbstractContextManager[None]]] = {
    "mysql": _mysql,
    "sqlite": _sqlite,
}
