"""Servers that do not answer: given up in time, and no obstacle to Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connections

from data_migration.exceptions import Interrupted, SourceError
from data_migration.sources import (
    Reader,
    alias,
    close_connection,
    connect,
    mysql,
    odbc,
    postgresql,
)
from tests.unit.sources.conftest import Way, odbc_driver, rows_of

#: Asks for half a minute.
SLEEP = {"postgresql": "SELECT pg_sleep(30)", "mysql": "SELECT SLEEP(30)"}
SLOW = [
    *("postgresql-ours", "postgresql-odbc", "postgresql-psycopg", "postgresql-psycopg2_dicts"),
    *("mysql-ours", "mysql-odbc", "mysql-dicts_buffered"),
]
slow = pytest.mark.parametrize("way", SLOW, indirect=True)


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port where connections are accepted, and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def soon() -> Iterator[None]:
    """Fails unless the test ends within a few seconds, however busy the machine is."""
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize(
    "engine", ["postgresql", "mysql", "postgresql-odbc", "mysql-odbc", "postgresql-alias"]
)
def test_a_server_that_accepts_and_never_answers(
    engine: str,
    silent_port: int,
    soon: None,
    legacy_sources: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (alias, mysql, odbc, postgresql):
        monkeypatch.setattr(module, "CONNECT_TIMEOUT", 1)
    kind, _, through = engine.partition("-")
    server = {"NAME": "x", "USER": "x", "HOST": "127.0.0.1", "PORT": silent_port}
    legacy_sources["legacy"] = {"ENGINE": kind, **server}
    if through == "odbc":
        options = {"driver": odbc_driver(kind)}
        legacy_sources["legacy"] |= {"ENGINE": "odbc", "OPTIONS": options}
    if through == "alias":
        database = {"ENGINE": f"django.db.backends.{kind}", **server}
        configured = connections.configure_settings({"default": {}, "silent": database})
        monkeypatch.setitem(connections.settings, "silent", configured["silent"])
        legacy_sources["legacy"] = {"ENGINE": "django", "ALIAS": "silent"}
    with pytest.raises(SourceError, match=r"cannot connect to the .*database"):
        connect("legacy")


@slow
def test_a_query_without_an_answer_is_given_up(
    way: Way, soon: None, settings: LazySettings
) -> None:
    settings.DATA_MIGRATION_SOURCE_TIMEOUT = 1
    reader = Reader(way.open(), "shop.Item")
    with pytest.raises(SourceError) as caught:
        rows_of(reader, SLEEP[way.kind])
    assert str(caught.value) == (
        "shop.Item: the legacy database gives no answer for 1 seconds. Look whether it still runs,"
        " and whether the query waits for a lock. If it needs that long, raise"
        " DATA_MIGRATION_SOURCE_TIMEOUT; then run the same command again."
    )
    reader.close()
    close_connection(reader.connection)


@slow
def test_ctrl_c_ends_the_wait(way: Way, soon: None) -> None:
    reader = Reader(way.open(), "shop.Item")
    timer = threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        rows_of(reader, SLEEP[way.kind])
    reader.close()
    close_connection(reader.connection)


@pytest.mark.parametrize("way", ["postgresql-ours", "mysql-ours"], indirect=True)
def test_so_does_a_wish_to_stop(way: Way, soon: None) -> None:
    def stop() -> None:
        raise Interrupted("shop.Item was stopped.")

    reader = Reader(way.open(), "shop.Item", stop)
    with pytest.raises(Interrupted, match="was stopped"):
        rows_of(reader, SLEEP[way.kind])
    close_connection(reader.connection)


@pytest.mark.parametrize("way", ["mysql-ours"], indirect=True)
def test_counting_does_not_begin_the_wait_anew(
    way: Way, soon: None, settings: LazySettings
) -> None:
    settings.DATA_MIGRATION_SOURCE_TIMEOUT = 1
    reader = Reader(way.open(), "shop.Item")
    with pytest.raises(SourceError, match="gives no answer"):
        reader.count(SLEEP[way.kind])
    close_connection(reader.connection)
