"""Waiting for a legacy server: so that signals are handled meanwhile, and never for ever.

A driver that waits in C hears of no Ctrl-C, and few of them give up by themselves. So what may
take long is called in a thread, while the one that asked waits where Python can interrupt it.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from ..conf import settings

T = TypeVar("T")

#: Seconds until a server that was asked for a connection has to have answered.
CONNECT_TIMEOUT = 10
#: For drivers that do not keep to it, and for what a session is told when it is open.
_MORE_TO_CONNECT = 20
_BETWEEN_LOOKS = 0.2
#: Seconds in which a driver should notice that its connection was cut.
_TO_NOTICE = 2

#: The connections that a driver is still busy with, in vain. To close one might take for ever.
_given_up: list[Any] = []

_DRIVERS = (
    ("psycopg2.extensions", "connection"),
    ("psycopg", "Connection"),
    ("MySQLdb.connections", "Connection"),
    ("pymysql.connections", "Connection"),
    ("pyodbc", "Connection"),
)


class NoAnswer(Exception):
    """The server said nothing for as long as we wait."""


def patiently(
    connection: Any, call: Callable[[], T], meanwhile: Callable[[], object], cursor: Any = None
) -> T:
    """``call()``, which reads from ``connection``; ``meanwhile`` may end the wait by raising.

    Raises :exc:`NoAnswer` after ``DATA_MIGRATION_SOURCE_TIMEOUT`` seconds. Connections of drivers
    that are not known to work in any thread (SQLite's among them) are read as they are. Where the
    driver keeps its socket to itself, the ``cursor`` is told to cancel.
    """
    if not _works_in_any_thread(connection):
        return call()
    # Asked for now: mysqlclient does not tell it while it is at work.
    wire = connection.fileno() if hasattr(connection, "fileno") else None
    done = threading.Event()
    try:
        return _wait(call, settings.source_timeout, meanwhile, done)
    except BaseException:  # a signal may end the wait as well
        if not done.is_set():
            if wire is None:
                cancel = getattr(cursor, "cancel", _nothing)
                threading.Thread(target=cancel, name="data_migration cancel", daemon=True).start()
            else:
                _cut(wire)
            if not done.wait(_TO_NOTICE):
                _given_up.append(connection)
        raise


def patiently_connected(call: Callable[[], T], connect_timeout: float) -> T:
    """``call()``, which opens a connection and should give up after ``connect_timeout`` itself."""
    return _wait(call, connect_timeout + _MORE_TO_CONNECT, _nothing, threading.Event())


def is_given_up(connection: Any) -> bool:
    """Whether nothing may be done with the connection any more."""
    return any(each is connection for each in _given_up)


def _nothing() -> None:
    pass


def _wait(
    call: Callable[[], T],
    seconds: float,
    meanwhile: Callable[[], object],
    done: threading.Event,
) -> T:
    returned: list[T] = []
    raised: list[BaseException] = []

    def work() -> None:
        try:
            returned.append(call())
        except BaseException as error:
            raised.append(error)
        finally:
            done.set()

    threading.Thread(target=work, name="data_migration source", daemon=True).start()
    deadline = time.monotonic() + seconds
    while not done.wait(_BETWEEN_LOOKS):
        meanwhile()
        if time.monotonic() > deadline:
            raise NoAnswer(f"no answer for {seconds:,g} seconds")
    if raised:
        raise raised[0]
    return returned[0]


def _cut(descriptor: int) -> None:
    """Cut a connection under its driver, which then stops waiting."""
    with suppress(OSError):  # it is gone already
        wire = socket.socket(fileno=descriptor)
        try:
            wire.shutdown(socket.SHUT_RDWR)
        finally:
            wire.detach()  # it is the driver's to close


def _works_in_any_thread(connection: Any) -> bool:
    kinds = (getattr(sys.modules.get(module), name, None) for module, name in _DRIVERS)
    return any(isinstance(kind, type) and isinstance(connection, kind) for kind in kinds)
