"""Ranges as tasks of the project's own workers, one of which is killed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from data_migration.models import Run
from tests.apps.ledger.models import Order
from tests.apps.library.testing import Project, make_project
from tests.stories.test_workers import (
    BAD,
    ROWS,
    SPEC,
    build,
    clear,
    contents,
    counts,
    run,
    start,
    step,
)
from tests.support.site import Make, Site, kill, with_celery, with_django_tasks
from tests.support.waiting import PATIENCE, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite takes one writer at a time"),
]

OPTIONS = ("--on-error", "continue", "--distribute", "--workers", "2")


def is_in_a_range(worker: subprocess.Popen[bytes]) -> bool:
    """Whether it has committed a batch of a range, and has more to do there."""
    ranges = step().ranges.filter(status="running", read__gt=0, read__lt=ROWS // 8 - 250)
    return any(os.getpgid(each.process) == worker.pid for each in ranges)


def _project(tmp_path: Path, environment: dict[str, str], *settings: str) -> Project:
    build(tmp_path / "legacy.sqlite3")
    source = {"legacy": {"ENGINE": "sqlite", "NAME": str(tmp_path / "legacy.sqlite3")}}
    lines = [
        f"DATA_MIGRATION_SOURCES = {source!r}",
        "DATA_MIGRATION_HEARTBEAT_INTERVAL = 0.2",
        "DATA_MIGRATION_LOCK_TIMEOUT = 3",
    ]
    environment = {**environment, "KILL_FILE": str(tmp_path / "killed")}
    return make_project(tmp_path, environment, spec=SPEC, settings=[*lines, *settings])


@pytest.fixture
def make(tmp_path: Path, target_environment: dict[str, str]) -> Make:
    return partial(_project, tmp_path, target_environment)


@pytest.fixture
def celery_site(make: Make, request: pytest.FixtureRequest) -> Site:
    return Site(*with_celery(make, request.getfixturevalue("redis_server")))


@pytest.fixture
def django_site(make: Make) -> Iterator[Site]:
    with with_django_tasks(make) as site:
        yield Site(*site)


@pytest.fixture(params=["celery", "django"])
def site(request: pytest.FixtureRequest) -> Site:
    made: Site = request.getfixturevalue(f"{request.param}_site")
    return made


@pytest.fixture
def expected(site: Site) -> dict[str, Any]:
    """What one process leaves."""
    assert run(site.project, "--on-error", "continue").code == 1
    found = {"contents": contents(), "counts": counts()}
    clear()
    return found


def test_workers_of_which_one_is_killed_leave_what_one_process_leaves(
    site: Site, expected: dict[str, Any]
) -> None:
    with site.worker(PAUSE="0.002") as first, site.worker(PAUSE="0.002"):
        process = start(site.project, *OPTIONS)
        wait_until(lambda: Order.objects.count() > 1000, process)
        wait_until(lambda: is_in_a_range(first), process)
        kill(first)
        out, err = process.communicate(timeout=PATIENCE)

    assert process.returncode == 1, err
    assert contents() == expected["contents"]
    assert counts() == expected["counts"]
    ranges = step().ranges.order_by("number")
    assert set(ranges.values_list("status", flat=True)) == {"done"}
    assert sum(ranges.values_list("claims", flat=True)) == len(ranges) + 1
    assert f"{len(BAD)} rows failed" in err
    assert "read in 8 ranges of 'id' by workers of the task queue." in out
    assert out.count("before all") == out.count("after all") == 1


def test_a_coordinator_that_dies_leaves_no_worker_at_work(
    celery_site: Site, expected_of_celery: dict[str, Any]
) -> None:
    site = celery_site
    with site.worker(PAUSE="0.002"):
        process = start(site.project, *OPTIONS)
        wait_until(lambda: Order.objects.count() > 500, process)
        process.kill()
        process.communicate()
        busy = Order.objects.count()
        last = run(site.project, *OPTIONS)
        assert last.code == 1, last.err

    assert busy < ROWS
    assert contents() == expected_of_celery["contents"]
    assert Run.objects.latest("pk").status == "partial"


@pytest.fixture
def expected_of_celery(celery_site: Site) -> dict[str, Any]:
    assert run(celery_site.project, "--on-error", "continue").code == 1
    found = {"contents": contents()}
    clear()
    return found
