"""Signs of life of a run, for other processes to see while the run is going."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.db import connections, transaction
from django.utils import timezone

from ..conf import settings
from ..models import Run
from ..outcomes import RunStatus
from ..utils.databases import database_of
from .queue import stop_requested

Live = Callable[[], dict[str, Any]]

#: How long the end of a run waits for a beat that is under way, in seconds.
_PATIENCE = 2.0


def write_beat(run: Run, live: dict[str, Any], database: str) -> None:
    """Write one sign of life; a run that another one has ended stays as it is."""
    rows = Run.objects.using(database).filter(pk=run.pk, status=RunStatus.RUNNING)
    rows.update(heartbeat=timezone.now(), live=live)


class Heartbeat:
    """A thread that writes signs of life of ``run`` through a connection of its own.

    The connection is opened with the first beat, after one interval, and closed by :meth:`end`.
    The main thread's transactions neither hold the beats up nor hide them. With each beat it
    looks whether somebody wants the run to end, and calls ``stop`` then: the only way to ask a run
    that is one long transaction.
    """

    def __init__(self, run: Run, live: Live, stop: Callable[[], None], *, database: str) -> None:
        self._run = run
        self._live = live
        self._stop = stop
        self._database = database
        self._over = threading.Event()
        self._thread = threading.Thread(
            target=self._beat_until_the_end, name=f"heartbeat of run {run.pk}", daemon=True
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

    def _write(self) -> None:
        write_beat(self._run, self._live(), self._database)
        if stop_requested(self._run.pk, database=self._database):
            self._stop()

    def _close(self) -> None:
        with suppress(Exception):  # of a connection that is lost already
            connections[self._database].close()
