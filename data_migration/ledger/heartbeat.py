"""Signs of life, for other processes to see while something is going on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from django.db import connections, transaction

from ..conf import settings
from ..utils.databases import database_of

#: How long the end waits for a beat that is under way, in seconds.
_PATIENCE = 2.0


@contextmanager
def beating(write: Callable[[], None], *, of: str, database: str) -> Iterator[None]:
    """While the block lasts, a thread calls ``write`` now and then to write a sign of life.

    Inside of an outer transaction nobody else could see what lives, and nothing is written.
    """
    if connections[database].in_atomic_block:
        yield
        return
    heartbeat = Heartbeat(write, of=of, database=database)
    heartbeat.start()
    try:
        yield
    finally:
        heartbeat.end()


class Heartbeat:
    """A thread in which ``write`` writes signs of life through a connection of its own.

    The connection is opened with the first beat, after one interval, and closed by :meth:`end`.
    The main thread's transactions neither hold the beats up nor hide them. ``of`` names the
    thread.
    """

    def __init__(self, write: Callable[[], None], *, of: str, database: str) -> None:
        self._write = write
        self._database = database
        self._over = threading.Event()
        self._thread = threading.Thread(
            target=self._beat_until_the_end, name=f"heartbeat of {of}", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Stop at once, or when the beat under way is done."""
        self._over.set()
        self._thread.join(_PATIENCE)

    def _beat_until_the_end(self) -> None:
        # Django gives every thread a connection of its own under the same alias.
        try:
            while not self._over.wait(settings.heartbeat_interval):
                self._beat()
        finally:
            self._close()

    def _beat(self) -> None:
        database = database_of(self._database)
        try:
            with transaction.atomic(using=self._database):
                # The row of the run is the heartbeat's alone while the run is going. Should
                # somebody lock it all the same, the beat is given up and tried again at its time.
                if statement := database.short_wait:
                    with database.connection.cursor() as cursor:
                        cursor.execute(statement)
                self._write()
        except Exception:
            # Whatever it is, the run itself is not harmed: the next beat tries again, with a new
            # connection. If it fails for good, the run counts as dead and learns that from its
            # lock.
            self._close()

    def _close(self) -> None:
        with suppress(Exception):  # of a connection that is lost already
            connections[self._database].close()
