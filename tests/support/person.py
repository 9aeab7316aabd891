"""A person who works with the new system while a migration runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from django.db import IntegrityError, OperationalError, connections

#: How long a run gives somebody who may have to wait for it, in seconds.
_MOMENT = 0.5


class Person:
    """Does something once, in a session of its own, when it is called for the first time.

    Whoever calls goes on when that is committed, or when it has to wait for a lock.
    """

    def __init__(self, does: Callable[[], Any]) -> None:
        self._does = does
        self._thread: threading.Thread | None = None
        #: What it came to; None where the database refused it.
        self._result: Any = None

    def __call__(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work)
            self._thread.start()
            self._thread.join(_MOMENT)

    def _work(self) -> None:
        try:
            self._result = self._does()
        except (IntegrityError, OperationalError):
            pass
        finally:
            connections.close_all()

    def did(self) -> Any:
        """What it came to in the end; None where the database refused it."""
        assert self._thread is not None, "nobody called"
        self._thread.join()
        return self._result
