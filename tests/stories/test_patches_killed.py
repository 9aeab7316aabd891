"""A patch whose processes are killed again and again processes each object exactly once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from django.db import connection

from data_migration.models import PatchRecord, RowError, Run, RunStep, StepRange
from tests.apps.library.testing import Project, make_project
from tests.apps.shop.models import Custom
from tests.support.waiting import PATIENCE

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

OBJECTS = 20_000
KILLS = 5

PATCHES = """
from django.db.models import F
from data_migration.patches import Patch
from tests.apps.shop.models import Custom


class CountOne(Patch):
    batch_size = 250

    def queryset(self):
        return Custom.objects.all()

    def process(self, item):
        item.width += 1


class CountBatches(Patch):
    batch_size = 250

    def queryset(self):
        return Custom.objects.filter(width=0)  # it shrinks

    def process_batch(self, queryset):
        queryset.update(width=F("width") + 1)
"""


@pytest.fixture
def project(tmp_path: Path, target_environment: dict[str, str]) -> Project:
    Custom.objects.bulk_create((Custom(pk=n * 2) for n in range(1, OBJECTS + 1)), batch_size=5000)
    project = make_project(
        tmp_path, target_environment, spec="", settings=["DATA_MIGRATION_HEARTBEAT_INTERVAL = 0.2"]
    )
    (tmp_path / "job" / "patches.py").write_text(PATCHES)
    return project


def start(project: Project, name: str) -> subprocess.Popen[str]:
    """``run_patches`` in a process group of its own; by three processes, but for SQLite."""
    workers = [] if connection.vendor == "sqlite" else ["--workers", "3"]
    return project.start("run_patches", f"job.{name}", "--commit", "--no-progress", *workers)


def processed() -> int:
    return Custom.objects.filter(width__gt=0).count()


def kill_somebody(coordinator: subprocess.Popen[str], chance: random.Random) -> bool:
    """Kill the coordinator, or one of its workers; whether it was the coordinator."""
    at_work = StepRange.objects.filter(status="running").values_list("process", flat=True)
    workers = [each for each in at_work if each != coordinator.pid]
    victim = chance.choice([coordinator.pid, *workers])
    with suppress(ProcessLookupError):  # it has just ended
        os.kill(victim, signal.SIGKILL)
    return victim == coordinator.pid


@pytest.mark.parametrize("name", ["count_one", "count_batches"])
def test_each_object_is_processed_once_whoever_is_killed(project: Project, name: str) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    moments = sorted(chance.sample(range(OBJECTS * 9 // 10), KILLS))
    coordinator = start(project, name)
    deadline = time.monotonic() + 3 * PATIENCE
    for moment in moments:
        while processed() < moment and coordinator.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        if kill_somebody(coordinator, chance):
            coordinator.communicate()
            coordinator = start(project, name)
    out, err = coordinator.communicate(timeout=PATIENCE)

    assert coordinator.returncode == 0, out + err
    widths = set(Custom.objects.values_list("width", flat=True))
    assert widths == {1}
    record = PatchRecord.objects.get()
    assert (record.label, record.state) == (f"job.{name}", "done")
    assert (record.processed, record.total, record.is_walked) == (OBJECTS, OBJECTS, True)
    assert not RowError.objects.exists()
    assert Run.objects.filter(status="running").count() == 0
    assert RunStep.objects.order_by("-pk")[0].status == "done"
