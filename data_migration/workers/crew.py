"""Who works on the ranges of a step: processes of this host, or workers of a task queue."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from django.conf import ENVIRONMENT_VARIABLE
from django.db import connections

from ..exceptions import SpecError, StepFailed
from ..models import RunStep
from ..options import RunOptions
from ..outcomes import Mode
from ..utils.databases import database_of

#: How long workers that have nothing to do may take to end, in seconds.
_PATIENCE = 5.0
#: How often a worker's process is started again in one step.
_RESTARTS = 5


#: Not ``-m``: the package needs the apps, which are to be loaded first.
_MAIN = "import django; django.setup(); from {} import main; main()"


class Crew(Protocol):
    """Those whom a coordinator calls to the ranges of a step."""

    #: What the ledger calls them, to follow "in 8 ranges of 'id' by".
    name: str

    def call(self, step: RunStep, ranges: Sequence[int]) -> None:
        """These ranges wait; may be said again, a range is claimed once."""

    def tend(self) -> bool:
        """Whether somebody has gone and was replaced, who may have had a range.

        Raises :exc:`StepFailed` when nobody can be got to work.
        """

    def end(self, *, at_once: bool = False) -> None:
        """Nothing more is to be done."""


def crew_for(options: RunOptions) -> Crew | None:
    """The crew of a run; None where this process is to do it alone, or has to."""
    if options.mode != Mode.COMMIT or database_of(options.database).has_one_writer:
        return None
    if options.enqueue is not None:
        return Distributed(options.enqueue)
    return Processes(options.workers, options.database) if options.workers > 1 else None


class Distributed:
    """Workers of the project's engine, wherever they are: each range is a task."""

    name = "workers of the task queue"

    def __init__(self, enqueue: Callable[[int], None]) -> None:
        self._enqueue = enqueue

    def call(self, step: RunStep, ranges: Sequence[int]) -> None:
        for number in ranges:
            self._enqueue(number)

    def tend(self) -> bool:
        """Nothing to see from here: their heartbeats tell."""
        return False

    def end(self, *, at_once: bool = False) -> None:
        """They belong to the project and go on."""


class Processes:
    """Processes of this host, that live as long as the run.

    They find the settings by ``DJANGO_SETTINGS_MODULE``, and are told the name of the database,
    which is another one in tests. ``module`` is the one with their ``main()``. Each reads the
    numbers of steps from its stdin and ends with it, so that none outlives the coordinator by more
    than a batch.
    """

    def __init__(
        self, size: int, database: str, *, module: str = "data_migration.workers.process"
    ) -> None:
        self.name = f"{size} processes"
        self._module = module
        self._size = size
        self._database = database
        self._workers: list[subprocess.Popen[str]] = []
        self._step = 0
        self._restarts = 0

    def call(self, step: RunStep, ranges: Sequence[int]) -> None:
        if step.pk != self._step:
            self._step, self._restarts = step.pk, 0
        while len(self._workers) < self._size:
            self._workers.append(self._start())
        for worker in self._workers:
            _write(worker, str(step.pk))

    def tend(self) -> bool:
        gone = [worker for worker in self._workers if worker.poll() is not None]
        for worker in gone:
            self._workers.remove(worker)
            _close(worker)
            self._restarts += 1
            if self._restarts > _RESTARTS * self._size:
                raise StepFailed(
                    f"The processes of --workers end again and again, the last one with exit code"
                    f" {worker.returncode}. What they wrote to stderr says why."
                )
            replacement = self._start()
            self._workers.append(replacement)
            _write(replacement, str(self._step))
        return bool(gone)

    def _start(self) -> subprocess.Popen[str]:
        if not os.environ.get(ENVIRONMENT_VARIABLE):
            raise SpecError(
                f"--workers starts processes, which find the settings by {ENVIRONMENT_VARIABLE}:"
                " set it in the environment."
            )
        worker = subprocess.Popen(
            [sys.executable, "-c", _MAIN.format(self._module)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.PIPE,
            text=True,
        )
        name = str(connections[self._database].settings_dict["NAME"])
        _write(worker, json.dumps({"database": self._database, "name": name}))
        return worker

    def end(self, *, at_once: bool = False) -> None:
        for worker in self._workers:
            if at_once:
                worker.kill()
            _close(worker)
        for worker in self._workers:
            try:
                worker.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
        self._workers.clear()


def _write(worker: subprocess.Popen[str], line: str) -> None:
    assert worker.stdin is not None
    with suppress(OSError):  # it has ended, which is seen when they are tended
        worker.stdin.write(f"{line}\n")
        worker.stdin.flush()


def _close(worker: subprocess.Popen[str]) -> None:
    assert worker.stdin is not None
    with suppress(OSError):
        worker.stdin.close()
