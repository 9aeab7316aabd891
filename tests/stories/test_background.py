"""Runs that real workers carry out: that of django-tasks-db, Celery's over a real Redis, and a
detached process. Handed over, stopped, killed in the middle and resumed.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from data_migration.ledger import Ledger, request_stop
from data_migration.models import MigrationState, RowLink, Run, RunLock, RunStep
from tests.apps.ledger.models import Customer
from tests.apps.library.testing import Project, make_project
from tests.support.site import Make, Site, kill, with_celery, with_django_tasks
from tests.support.urls import ServerURL
from tests.target.ledger.running import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor == "sqlite", reason="run and worker would wait for each other"
    ),
]

ROWS = 1000

SPEC = """
import os, time
from data_migration import BaseMigration
from tests.apps.ledger.models import Customer


class CustomerMigration(BaseMigration):
    query = "SELECT id, name, email FROM customers ORDER BY id"
    model = Customer
    batch_size = 50

    def hook_before_save(self, instance, row):
        time.sleep(float(os.environ.get("PAUSE", "0")))
"""

#: What a page does: within a transaction, by the functions that pages call.
ASK = """
import django
django.setup()
from django.db import transaction
from data_migration import background
from data_migration.models import Run
from data_migration.options import RunOptions
from data_migration.outcomes import Mode
from data_migration.undo import Selection
with transaction.atomic():
    print({asked}.pk)
"""
RUN = 'background.start_run(RunOptions(mode=Mode.COMMIT, labels=("job",)), requested_by="Ada")'
REHEARSAL = 'background.start_run(RunOptions(labels=("job",)))'
ROLLBACK = 'background.start_rollback(Selection(labels=("job",)), database="default")'
RESUME = "background.resume(Run.objects.get(pk={number}))"


class AskingSite(Site):
    """One whose pages ask for runs."""

    def ask(self, asked: str, **variables: str) -> Run:
        """The run that was asked for."""
        done = subprocess.run(
            [sys.executable, "-c", ASK.format(asked=asked)],
            cwd=self.project.folder,
            env={**self.project.environment, **variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return Run.objects.get(pk=int(done.stdout))


@pytest.fixture
def legacy(tmp_path: Path) -> list[tuple[int, str, str]]:
    """The rows of the legacy database ``legacy.sqlite3``."""
    rows = [
        (number, f"Customer {number}", f"{number}@example.org") for number in range(1, ROWS + 1)
    ]
    with closing(sqlite3.connect(tmp_path / "legacy.sqlite3")) as database:
        database.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY, name, email)")
        database.executemany("INSERT INTO customers VALUES (?, ?, ?)", rows)
        database.commit()
    return rows


@pytest.fixture
def make(legacy: Any, tmp_path: Path, target_environment: dict[str, str]) -> Make:
    """``make(line, ...)`` is a project with these lines of settings."""

    def made(*settings: str) -> Project:
        source = {"legacy": {"ENGINE": "sqlite", "NAME": str(tmp_path / "legacy.sqlite3")}}
        lines = [f"DATA_MIGRATION_SOURCES = {source}", "DATA_MIGRATION_HEARTBEAT_INTERVAL = 0.2"]
        return make_project(tmp_path, target_environment, spec=SPEC, settings=[*lines, *settings])

    return made


@pytest.fixture
def tasks_site(make: Make) -> Iterator[AskingSite]:
    with with_django_tasks(make) as site:
        yield AskingSite(*site)


@pytest.fixture
def celery_site(make: Make, redis_server: ServerURL) -> AskingSite:
    return AskingSite(*with_celery(make, redis_server))


@pytest.fixture(params=["django", "celery"])
def site(request: pytest.FixtureRequest) -> AskingSite:
    name = "tasks_site" if request.param == "django" else "celery_site"
    made: AskingSite = request.getfixturevalue(name)
    return made


def ended(run: Run) -> bool:
    run.refresh_from_db()
    return run.finished_at is not None


def is_midway(run: Run) -> bool:
    step = RunStep.objects.filter(run=run, read__gte=100).first()
    assert step is None or step.read < ROWS, "it was too fast"
    return step is not None


def state() -> dict[str, Any]:
    """What one clean run leaves, whatever it took to get there."""
    return {
        "objects": list(Customer.objects.order_by("pk").values_list("pk", "name", "email")),
        "links": RowLink.objects.count(),
        "read": list(MigrationState.objects.values_list("label", "is_read", "pass_run")),
        "created": sum(RunStep.objects.values_list("created", flat=True)),
        "lock": RunLock.objects.filter(run__isnull=False).count(),
    }


def clean(legacy: list[tuple[int, str, str]]) -> dict[str, Any]:
    return {
        "objects": legacy,
        "links": ROWS,
        "read": [("job.CustomerMigration", True, None)],
        "created": ROWS,
        "lock": 0,
    }


def test_a_worker_carries_out_what_was_asked_for(site: AskingSite, legacy: Any) -> None:
    rehearsal, run = site.ask(REHEARSAL), site.ask(RUN)
    assert (run.status, run.requested_by, run.host, run.process) == ("queued", "Ada", "", 0)
    assert run.started_at is None

    with site.worker():
        wait_until(lambda: ended(rehearsal))
        assert (rehearsal.status, rehearsal.error) == ("done", "")
        wait_until(lambda: ended(run))
        assert (run.status, run.error) == ("done", "")
        RunStep.objects.filter(run=rehearsal).delete()
        assert state() == clean(legacy)

        rollback = site.ask(ROLLBACK)
        wait_until(lambda: ended(rollback))
        assert (rollback.status, rollback.error) == ("done", "")
    assert not Customer.objects.exists()


def test_a_run_whose_worker_was_killed_is_resumed_to_the_state_of_one_clean_run(
    site: AskingSite, legacy: Any
) -> None:
    run = site.ask(RUN)
    with site.worker(PAUSE="0.01") as worker:
        wait_until(lambda: is_midway(run))
        kill(worker)
    run.refresh_from_db()
    assert (run.status, run.current_status) == ("running", "interrupted")
    assert 0 < Customer.objects.count() < ROWS

    with site.worker():
        resumed = site.ask(RESUME.format(number=run.pk))
        assert resumed.options == run.options
        wait_until(lambda: ended(resumed))
    run.refresh_from_db()
    assert (run.status, resumed.status, resumed.error) == ("interrupted", "done", "")
    assert state() == clean(legacy)


@pytest.mark.parametrize("asked", [RUN, REHEARSAL])
def test_a_run_that_is_asked_to_stop_ends_cleanly_after_its_batch(
    site: AskingSite, legacy: Any, asked: str
) -> None:
    run = site.ask(asked)
    with site.worker(PAUSE="0.01") as worker:
        wait_until(lambda: Run.objects.get(pk=run.pk).live.get("read"))
        request_stop(run.pk, database="default")
        wait_until(lambda: ended(run))
        assert worker.poll() is None
        assert run.status == "interrupted"
        assert "was stopped" in run.error
        assert Customer.objects.count() % 50 == 0

        resumed = site.ask(RESUME.format(number=run.pk))
        wait_until(lambda: Run.objects.get(pk=resumed.pk).started_at)
    assert not resumed.stop_requested


def test_a_worker_that_is_told_to_end_stops_its_run_after_the_batch(site: AskingSite) -> None:
    run = site.ask(RUN)
    with site.worker(PAUSE="0.01") as worker:
        wait_until(lambda: is_midway(run))
        os.killpg(worker.pid, signal.SIGTERM)
        wait_until(lambda: ended(run))
        worker.wait(15)
    assert run.status == "interrupted"
    assert Customer.objects.count() == sum(RunStep.objects.values_list("created", flat=True))


def test_a_detached_process_carries_out_what_was_asked_for(make: Make, legacy: Any) -> None:
    site = AskingSite(make('DATA_MIGRATION_BACKGROUND = "process"'), [])
    run = site.ask(RUN)
    wait_until(lambda: ended(run))

    assert (run.status, run.error) == ("done", "")
    assert state() == clean(legacy)


def test_a_detached_process_outlives_who_asked_for_it_and_is_resumed_after_sigkill(
    make: Make, legacy: Any
) -> None:
    site = AskingSite(make('DATA_MIGRATION_BACKGROUND = "process"'), [])
    run = site.ask(RUN, PAUSE="0.01")  # that process has ended when this returns
    wait_until(lambda: is_midway(run))
    run.refresh_from_db()
    assert os.getsid(run.process) == run.process
    os.kill(run.process, signal.SIGKILL)
    wait_until(lambda: Run.objects.get(pk=run.pk).current_status == "interrupted")

    resumed = site.ask(RESUME.format(number=run.pk))
    wait_until(lambda: ended(resumed))
    assert state() == clean(legacy)
    assert Ledger("default").finished() == {"job.CustomerMigration"}
