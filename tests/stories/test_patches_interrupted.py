"""A patch that is stopped in the terminal, and gone on with in the background and by workers."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from django.db import connection

from data_migration.models import PatchRecord, Run
from tests.apps.ledger.models import Customer
from tests.apps.library.testing import make_project
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor == "sqlite", reason="run and worker would wait for each other"
    ),
]

ROWS = 400

PATCHES = """
import os
from data_migration.patches import Patch
from tests.apps.ledger.models import Customer

class Mark(Patch):
    batch_size = 10
    def queryset(self):
        return Customer.objects.all()
    def process(self, customer):
        customer.name += "!"
    def throttle(self):
        return float(os.environ.get("PAUSE", "0"))
"""


def test_ctrl_c_then_the_background_then_workers(
    tmp_path: Path, target_environment: dict[str, str]
) -> None:
    Customer.objects.bulk_create(
        Customer(name=f"{number}", email=f"{number}@example.org") for number in range(ROWS)
    )
    project = make_project(
        tmp_path,
        {**target_environment, "PAUSE": "0.05"},
        spec="",
        settings=[
            'DATA_MIGRATION_BACKGROUND = "process"',
            "DATA_MIGRATION_HEARTBEAT_INTERVAL = 0.2",
        ],
    )
    (tmp_path / "job" / "patches.py").write_text(PATCHES)

    begun = project.start("run_patches", "job", "--commit", "--no-progress")
    wait_until(lambda: PatchRecord.objects.filter(processed__gte=20).exists(), begun)
    begun.send_signal(signal.SIGINT)
    out, err = begun.communicate()
    assert begun.returncode == 1
    assert "Traceback" not in err
    assert "Stopping after this batch. Press Ctrl-C again to stop at once.\n" in err
    assert f"Run {Run.objects.get().pk}: committed a part of job.mark.\n" in out
    record = PatchRecord.objects.get()
    assert (record.state, record.processed < ROWS) == ("partial", True)

    handed = project.run("run_patches", "job", "--commit", "--background")
    run = Run.objects.latest("pk")
    assert (handed.code, handed.err) == (0, "")
    assert handed.out.startswith(f"Run {run.pk} was handed over.")
    wait_until(lambda: Run.objects.get(pk=run.pk).finished_at is not None)
    assert Run.objects.get(pk=run.pk).status == "done"
    assert set(Customer.objects.values_list("name", flat=True)) == {f"{n}!" for n in range(ROWS)}

    shared = project.run("run_patches", "--force", "job.mark", "--commit", "--workers", "2")
    assert (shared.code, shared.err) == (0, "")
    assert shared.out.splitlines()[1].split()[:3] == ["job.mark", str(ROWS), str(ROWS)]
    assert set(Customer.objects.values_list("name", flat=True)) == {f"{n}!!" for n in range(ROWS)}
