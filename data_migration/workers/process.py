"""A process of ``--workers``, from its beginning to its end.

The first line of stdin is JSON: the alias of the target database and its name. Each further line
is the number of a step whose ranges wait.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from typing import Any

from django.db import connections

from .taking import Stop
from .worker import work_on


def main() -> None:
    """A process of ``migrate_legacy --workers``. Needs ``django.setup()`` before."""
    opened: list[Any] = []  # by specs, until the process ends: they may hand them out again

    def work(step: int, database: str, should_stop: Stop) -> None:
        work_on(step, database, opened.append, should_stop=should_stop)

    serve(work)


def serve(work: Callable[[int, str, Stop], None]) -> None:
    """Call ``work`` with each step that is named, and the target database."""
    asked: list[int] = []
    at_work: list[int] = []

    def ask(number: int, frame: Any) -> None:
        asked.append(number)
        if not at_work:
            raise SystemExit(128 + number)

    # Ctrl-C in the terminal comes to every process: what follows is the coordinator's to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, ask)
    target = json.loads(sys.stdin.readline())
    connections.databases[target["database"]]["NAME"] = target["name"]
    while not asked and (line := sys.stdin.readline()):
        at_work.append(int(line))
        work(at_work[-1], target["database"], lambda: bool(asked))
        at_work.clear()
