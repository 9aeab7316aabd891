"""A project with a queue of tasks, django-tasks-db's or Celery's, and real workers of it."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from signal import SIGKILL

import pytest
from django.db import connection

from tests.apps.library.testing import Project
from tests.support.urls import ServerURL
from tests.support.waiting import PATIENCE

#: (lines of settings) -> a project with them.
Make = Callable[..., Project]

#: The project's Celery application.
_CELERY = """
from celery import Celery

app = Celery("shop")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
"""


@contextmanager
def with_django_tasks(make: Make) -> Iterator[tuple[Project, list[str]]]:
    """A project with django-tasks-db, which has a table in the database, and its worker."""
    pytest.importorskip("django_tasks_db")
    project = make(
        'INSTALLED_APPS += ["django_tasks_db"]',
        'TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}',
    )
    assert project.run("migrate", "django_tasks_database").code == 0
    quick = ["--interval", "0.1", "--no-startup-delay", "--no-reload"]
    yield project, ["django", "db_worker", *quick]
    # Its migrations cannot be undone.
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE django_tasks_database_dbtaskresult")
        cursor.execute("DELETE FROM django_migrations WHERE app = 'django_tasks_database'")


def with_celery(make: Make, redis: ServerURL) -> tuple[Project, list[str]]:
    """A project with Celery, and its worker, which has a process of its own for each task."""
    pytest.importorskip("celery")
    # A queue of its own, since several test runs may share a Redis.
    queue = f"data-migration-{secrets.token_hex(6)}"
    project = make(
        f"CELERY_BROKER_URL = {str(redis)!r}",
        f"CELERY_TASK_DEFAULT_QUEUE = {queue!r}",
        "CELERY_WORKER_HIJACK_ROOT_LOGGER = False",
    )
    (project.folder / "shop.py").write_text(_CELERY)
    app = project.folder / "job" / "__init__.py"
    app.write_text("from shop import app as celery_app\n")
    quick = ["--concurrency", "1", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    return project, ["celery", "-A", "shop", "worker", "--loglevel", "INFO", *quick]


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
    process.wait(PATIENCE)
