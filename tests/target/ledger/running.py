"""Runs for the tests of the lock: in this process, or in one of their own."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from data_migration.ledger.lock import IMPORTS, Lock
from data_migration.models import Run, RunStep
from data_migration.outcomes import Mode, RunStatus
from data_migration.utils import processes
from tests.support.paths import ROOT
from tests.support.waiting import PATIENCE

ON_SQLITE = connection.vendor == "sqlite"
only_sqlite = pytest.mark.skipif(not ON_SQLITE, reason="servers let others write meanwhile")
only_servers = pytest.mark.skipif(ON_SQLITE, reason="on SQLite one connection writes at a time")
committing = pytest.mark.django_db(transaction=True)

LIVE = {"migration": "shop.CustomerMigration", "read": 12000, "total": 50000, "failed": 0}
WORDS_OF_LIVE = "shop.CustomerMigration 12,000 of 50,000 rows, 0 failed"


def begin(lock: Lock, **fields: Any) -> Run:
    """A run of this process that holds the lock, with one step going on."""
    now = timezone.now()
    defaults: dict[str, Any] = {
        "status": RunStatus.RUNNING,
        "mode": Mode.COMMIT,
        "lane": lock.lane,
        "owner": "alice",
        "host": processes.host(),
        "process": os.getpid(),
        "process_started": processes.started(os.getpid()),
        "heartbeat": now,
        "started_at": now,
    }
    with transaction.atomic():
        run = Run.objects.create(**{**defaults, **fields})
        lock.acquire(run)
        RunStep.objects.create(run=run, position=1, migration="shop.A", status="running")
    return run


def finish(lock: Lock, run: Run) -> None:
    with transaction.atomic():
        Run.objects.filter(pk=run.pk).update(status=RunStatus.DONE, finished_at=timezone.now())
        lock.release()


def change(run: Run, **fields: Any) -> None:
    Run.objects.filter(pk=run.pk).update(**fields)


def seconds_ago(seconds: float) -> Any:
    return timezone.now() - timedelta(seconds=seconds)


#: With a short interval, and without the many apps that take a process long to load.
SETTINGS = """
from tests.settings import *
DATA_MIGRATION_HEARTBEAT_INTERVAL = 0.1
INSTALLED_APPS = [f"django.contrib.{name}" for name in ("auth", "contenttypes")]
INSTALLED_APPS += ["data_migration", "tests.apps.music"]
"""
PROGRAM = """
import os, sys, time
from contextlib import nullcontext
import django
django.setup()
from django.db import transaction
from data_migration.exceptions import RunRefused
from data_migration.ledger.heartbeat import Heartbeat
from data_migration.ledger.lock import Lock
from data_migration.run.rehearsal import rehearse
from tests.apps.music.models import Artist
from tests.target.ledger.running import LIVE, begin, finish

mode, when, lane = sys.argv[1:]
lock = Lock("default", lane)
time.sleep(max(0, float(when) - time.time()))
try:
    lock.refuse_second()
    run = begin(lock, mode=mode)
except RunRefused as error:
    print(f"refused: {error}", flush=True)
    raise SystemExit(1)
with lock.beating(run, lambda: LIVE):
    with rehearse("default") if mode == "rehearsal" else nullcontext():
        Artist.objects.create(name="of the other process")
        print(run.pk, flush=True)
        for line in sys.stdin:
            print(eval(line), flush=True)
    finish(lock, run)
"""


class Other:
    """A run in a process of its own, which evaluates what it is told until its stdin ends."""

    def __init__(self, process: subprocess.Popen[str], *, hears: bool = True) -> None:
        self.process = process
        self.pid = process.pid
        self.said = self.hear() if hears else ""

    def hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def is_silent(self, seconds: float) -> bool:
        """Whether it says nothing for so long."""
        return not select.select([self.process.stdout], [], [], seconds)[0]

    def do(self, expression: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{expression}\n")
        self.process.stdin.flush()
        return self.hear()

    def end(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(PATIENCE)

    @property
    def run(self) -> Run:
        return Run.objects.get(pk=int(self.said))


Start = Callable[..., Other]


@pytest.fixture(name="start")
def start_fixture(target_environment: dict[str, str], tmp_path: Any) -> Iterator[Start]:
    """``start(mode="commit", when=0)`` is a run in a process of its own, when it has begun."""
    begun: list[subprocess.Popen[str]] = []
    settings = tmp_path / "quick_settings.py"
    settings.write_text(SETTINGS)
    environment = {
        **target_environment,
        "DJANGO_SETTINGS_MODULE": "quick_settings",
        "PYTHONPATH": f"{tmp_path}:{ROOT}",
    }

    def started(
        mode: str = "commit", when: float = 0, wait: bool = True, lane: str = IMPORTS
    ) -> Any:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", PROGRAM, mode, str(when), lane],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        begun.append(process)
        return Other(process) if wait else process

    yield started
    for process in begun:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            stream.close()
