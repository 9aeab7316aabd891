"""The signs of life of a run, as others see them while it is going."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from django.db import connection, transaction

from data_migration.ledger.lock import Lock, lock_holder
from data_migration.ledger.run_words import describe_run
from data_migration.models import Run
from data_migration.outcomes import RunStatus
from tests.support.engine import statements
from tests.support.waiting import PATIENCE, wait_until
from tests.target.ledger.running import (
    LIVE,
    WORDS_OF_LIVE,
    Start,
    begin,
    change,
    committing,
    finish,
    only_servers,
    only_sqlite,
    start_fixture,  # noqa: F401
)


@committing
@only_servers
@pytest.mark.parametrize("mode", ["commit", "rehearsal"])
def test_heartbeat_and_live_counts_are_seen_by_others(start: Start, mode: str) -> None:
    other = start(mode)

    wait_until(lambda: other.run.live)
    assert other.run.live == LIVE
    assert other.run.heartbeat > other.run.started_at
    at_work = lock_holder("default")
    assert at_work is not None
    assert describe_run(at_work).endswith(f"s ago; {WORDS_OF_LIVE}.")
    assert other.end() == 0


@committing
@only_sqlite
def test_on_sqlite_a_run_that_commits_beats_between_its_batches(start: Start) -> None:
    other = start()
    before = other.run.heartbeat

    other.do("time.sleep(0.1)")
    assert other.run.heartbeat == before
    other.do("lock.beat()")

    assert other.run.heartbeat > before
    assert other.run.live == LIVE


@committing
@only_sqlite
def test_on_sqlite_it_beats_once_per_interval_and_never_in_a_transaction(settings: Any) -> None:
    lock = Lock("default")
    run = begin(lock)
    settings.DATA_MIGRATION_HEARTBEAT_INTERVAL = 0
    with lock.beating(run, lambda: LIVE):
        with transaction.atomic(), statements() as seen:
            lock.beat()
        assert seen == []
        with statements() as seen:
            lock.beat()
            settings.DATA_MIGRATION_HEARTBEAT_INTERVAL = 60
            lock.beat()
            lock.beat()
        assert len(seen.starting("UPDATE")) == 2
        finish(lock, run)
    with statements() as seen:
        lock.beat()
    assert seen == []


@committing
@only_sqlite
def test_on_sqlite_a_beat_that_cannot_be_written_is_left_out(settings: Any) -> None:
    settings.DATA_MIGRATION_HEARTBEAT_INTERVAL = 0
    lock = Lock("default")
    run = begin(lock)
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 50")
    with lock.beating(run, lambda: LIVE):
        with closing(connection.copy()) as other:
            other.inc_thread_sharing()
            with other.cursor() as cursor:
                cursor.execute("BEGIN IMMEDIATE")
            lock.beat()
        assert Run.objects.get().live == {}
        lock.beat()
        assert Run.objects.get().live == LIVE
        finish(lock, run)


@committing
@only_servers
def test_a_beat_by_hand_does_nothing_where_a_thread_beats() -> None:
    lock = Lock("default")
    run = begin(lock)
    with lock.beating(run, lambda: LIVE), statements() as seen:
        lock._next_beat = 0
        lock.beat()
    assert seen == []


@pytest.mark.django_db
def test_inside_of_an_outer_transaction_there_is_no_thread(settings: Any) -> None:
    settings.DATA_MIGRATION_HEARTBEAT_INTERVAL = 0
    lock = Lock("default")
    run = begin(lock)
    before = threading.active_count()
    with lock.beating(run, lambda: LIVE):
        assert threading.active_count() == before
        lock.beat()
        finish(lock, run)
    run.refresh_from_db()
    assert (run.status, run.live) == ("done", {})


SESSIONS = {
    "postgresql": "SELECT pid FROM pg_stat_activity WHERE datname = current_database()",
    "mysql": "SELECT id FROM information_schema.processlist WHERE db = DATABASE()",
}
END = {"postgresql": "SELECT pg_terminate_backend({})", "mysql": "KILL {}"}


def sessions() -> set[int]:
    """The connections to the test database."""
    with connection.cursor() as cursor:
        cursor.execute(SESSIONS[connection.vendor])
        return {number for (number,) in cursor.fetchall()}


@contextmanager
def beating(interval: float, settings: Any) -> Iterator[Run]:
    settings.DATA_MIGRATION_HEARTBEAT_INTERVAL = interval
    lock = Lock("default")
    run = begin(lock)
    with lock.beating(run, lambda: LIVE):
        yield run
        finish(lock, run)


@committing
@only_servers
def test_the_thread_opens_a_connection_with_its_first_beat_and_closes_it(settings: Any) -> None:
    before = sessions()
    with beating(60, settings):
        assert not sessions() - before

    with beating(0.3, settings) as run:
        wait_until(lambda: Run.objects.get(pk=run.pk).live)
        assert len(sessions() - before) == 1

    assert not [each for each in threading.enumerate() if each.name.startswith("heartbeat")]
    wait_until(lambda: not sessions() - before)  # the server takes a moment to see it


@committing
@only_servers
def test_it_ends_at_once_whatever_the_interval(settings: Any) -> None:
    begun = time.monotonic()
    with beating(PATIENCE, settings):
        pass
    assert time.monotonic() - begun < PATIENCE


@committing
@only_servers
def test_it_survives_a_lost_connection(settings: Any) -> None:
    before = sessions()
    with beating(0.1, settings) as run:
        wait_until(lambda: Run.objects.get(pk=run.pk).live)
        change(run, live={})
        (own,) = sessions() - before
        with connection.cursor() as cursor:
            cursor.execute(END[connection.vendor].format(own))
        wait_until(lambda: own not in sessions())
        wait_until(lambda: Run.objects.get(pk=run.pk).live)


@committing
@only_servers
def test_it_gives_up_a_beat_that_would_wait_and_tries_again(settings: Any) -> None:
    with beating(0.1, settings) as run:
        wait_until(lambda: Run.objects.get(pk=run.pk).live)
        with transaction.atomic():
            change(run, live={})  # locks the row
            time.sleep(1.5)
        wait_until(lambda: Run.objects.get(pk=run.pk).live)


@committing
@only_servers
def test_a_run_that_was_taken_for_dead_does_not_come_back(settings: Any) -> None:
    with beating(0.1, settings) as run:
        wait_until(lambda: Run.objects.get(pk=run.pk).live)
        change(run, status=RunStatus.INTERRUPTED, live={})
        time.sleep(0.4)
        assert Run.objects.get(pk=run.pk).live == {}


@committing
@only_servers
def test_the_thread_does_not_keep_the_process_alive(start: Start) -> None:
    other = start()
    assert other.do("Heartbeat(dict, of='nobody', database='default').start()") == "None"

    assert other.end() == 0
