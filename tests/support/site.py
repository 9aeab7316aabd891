"""A project with a queue of tasks, and real workers of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from signal import SIGKILL

from tests.apps.library.testing import Project

#: The project's Celery application.
CELERY = """
from celery import Celery

app = Celery("shop")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
"""


class Site:
    """A project, and with which arguments of Python one of its workers starts."""

    def __init__(self, project: Project, worker: list[str]) -> None:
        self.project = project
        self._worker = worker

    @contextmanager
    def worker(self, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
        """A worker, which is killed with its children at the end."""
        log = self.project.folder / "worker.log"
        with log.open("ab") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", *self._worker],
                cwd=self.project.folder,
                env={**self.project.environment, **variables},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        try:
            yield process
        except AssertionError:
            print(log.read_text())
            raise
        finally:
            kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to the process and its children: nothing of it can tidy up."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, SIGKILL)
    process.wait(10)
