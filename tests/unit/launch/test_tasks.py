"""The task that executes a run, as each worker calls it."""

from __future__ import annotations

from typing import Any

import pytest

from data_migration import tasks
from data_migration.launch.tasks import FUNCTIONS
from data_migration.ledger import queue_run
from data_migration.models import Run
from data_migration.options import RunOptions
from data_migration.outcomes import Mode, RunKind
from tests.apps.library.fixtures import (
    EVERYTHING,
    Library,
    counts,
    library_fixture,  # noqa: F401
)

pytestmark = pytest.mark.django_db

execute_run: Any = FUNCTIONS["execute_run"]


def queue() -> Run:
    options = RunOptions(mode=Mode.COMMIT, labels=("library",))
    return queue_run(
        kind=RunKind.IMPORT, mode=options.mode, options=options.recorded(), database="default"
    )


def test_it_executes_the_run_and_returns_its_status(library: Library) -> None:
    run = queue()

    assert execute_run(run.pk, "default") == "done"

    assert counts() == EVERYTHING
    assert Run.objects.get(pk=run.pk).status == "done"


def test_a_task_that_comes_twice_does_nothing_the_second_time(library: Library) -> None:
    run = queue()
    execute_run(run.pk, "default")

    assert execute_run(run.pk, "default") == (
        f"Run {run.pk} does not wait for a worker: it is done."
    )
    assert Run.objects.count() == 1


def test_a_run_that_fails_is_no_failed_task(library: Library) -> None:
    library.spoil_books()
    run = queue()

    assert execute_run(run.pk, "default") == "failed"
    assert "library.BookMigration" in Run.objects.get(pk=run.pk).error


def test_a_run_that_cannot_begin_is_no_failed_task_either(library: Library) -> None:
    library.settings.DATA_MIGRATION_SOURCES = {}
    run = queue()

    assert "There is no source 'legacy'" in execute_run(run.pk, "default")
    assert Run.objects.get(pk=run.pk).status == "failed"


def test_django_tasks_finds_it_under_its_name() -> None:
    from data_migration.compat import task_framework

    if task_framework() is None:
        pytest.skip("neither Django 6.0 nor django-tasks is installed")
    assert tasks.execute_run.module_path == "data_migration.tasks.execute_run"
    assert tasks.execute_run.func is execute_run


def test_celery_finds_it_under_its_name() -> None:
    celery = pytest.importorskip("celery")
    app = celery.Celery("shop", set_as_current=False)
    app.finalize()
    assert "data_migration.tasks.execute_run" in app.tasks
