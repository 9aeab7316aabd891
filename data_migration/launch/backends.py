"""The backends that carry out work in other processes, each behind the same three names."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, ClassVar, Protocol

from django.conf import ENVIRONMENT_VARIABLE
from django.db import connections

from .. import compat
from ..ledger import give_up


class Backend(Protocol):
    """What each backend offers. ``name`` is its value of ``DATA_MIGRATION_BACKGROUND``."""

    name: ClassVar[str]

    def unavailable(self) -> str:
        """Why it cannot be used, and which setting to change; empty when it can."""

    def enqueue(self, task: str, *arguments: Any) -> None:
        """Hand the task over; returns at once."""


def _function(task: str) -> Callable[..., Any]:
    # Late: what is imported with the apps must not ask for the settings of tasks.
    from . import tasks  # noqa: PLC0415

    return tasks.FUNCTIONS[task]


class DjangoTasks:
    """``django.tasks``, with whatever backend the project configured as its default."""

    name: ClassVar[str] = "django"

    def unavailable(self) -> str:
        return compat.no_task_backend(_function("execute_run"))

    def enqueue(self, task: str, *arguments: Any) -> None:
        compat.django_task(_function(task)).enqueue(*arguments)


class Celery:
    """The Celery app of the project."""

    name: ClassVar[str] = "celery"

    def unavailable(self) -> str:
        if find_spec("celery") is None:
            return "Celery is not installed: pip install celery."
        from celery import current_app  # noqa: PLC0415  an extra

        conf = current_app.conf
        if not conf.broker_url:
            return (
                "Celery has no broker. Set CELERY_BROKER_URL, and import the Celery app of the"
                " project in its __init__.py, so that this process knows it."
            )
        if conf.task_always_eager or str(conf.broker_url).startswith("memory:"):
            return (
                "Celery has no workers here: task_always_eager or a broker in memory is set. Set"
                " CELERY_BROKER_URL to a broker that workers listen to."
            )
        return ""

    def enqueue(self, task: str, *arguments: Any) -> None:
        from celery import current_app  # noqa: PLC0415  an extra

        # No retry: a person waits for the page, and is told why instead.
        current_app.send_task(
            f"data_migration.tasks.{task}", args=arguments, ignore_result=True, retry=False
        )


class Process:
    """A detached process for each run: ``manage.py migrate_legacy`` executes it."""

    name: ClassVar[str] = "process"

    def unavailable(self) -> str:
        if not os.environ.get(ENVIRONMENT_VARIABLE):
            return (
                f"A process of its own needs {ENVIRONMENT_VARIABLE} in the environment, to find"
                " the settings."
            )
        if not _python():
            return f"A process of its own needs Python, and there is none in {sys.prefix}."
        return ""

    def enqueue(self, task: str, *arguments: Any) -> None:
        if task != "execute_run":
            raise ValueError(f"A process of its own executes a run, not the task {task!r}.")
        run, database = arguments
        command = ["migrate_legacy", "--run", str(run), "--database", database, "--no-progress"]
        errors = tempfile.TemporaryFile()  # noqa: SIM115  closed when the child has ended
        child = subprocess.Popen(
            [_python(), "-m", "django", *command],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            # Neither Ctrl-C in the terminal of the web server nor its end is for the child.
            start_new_session=True,
        )
        # A child that nobody waits for stays in the process table.
        threading.Thread(
            target=_watch,
            args=(child, errors, run, database),
            name=f"process {child.pid}",
            daemon=True,
        ).start()


def _watch(child: subprocess.Popen[bytes], errors: IO[bytes], run: int, database: str) -> None:
    """Wait for the process; a run that it did not begin is told why."""
    code = child.wait()
    with errors:
        errors.seek(0)
        lines = errors.read().decode(errors="replace").strip().splitlines()
    last = f" Its last words: {lines[-1][:500]}" if lines else ""
    why = f"Its process ended with exit code {code} before it began.{last}"
    with suppress(Exception):  # the database is gone as well: nobody is there to be told
        try:
            give_up(run, why, database=database)  # does nothing when the run had begun
        finally:
            connections[database].close()


BACKENDS: dict[str, Backend] = {
    backend.name: backend for backend in (DjangoTasks(), Celery(), Process())
}


def _python() -> str:
    """The interpreter; ``sys.executable`` is another program where Python is embedded in it."""
    if Path(sys.executable).name.startswith("python"):
        return sys.executable
    found = Path(sys.prefix) / "bin" / "python3"
    return str(found) if found.exists() else ""
