"""Memory does not grow with the table: many rows, from each legacy database."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.settings import TARGET
from tests.support.urls import ServerURL

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to measure"),
    pytest.mark.django_db(transaction=True),
]

ROWS = 300_000
#: Far less than the rows would take: 300,000 dicts of two values are 100 MiB.
MIB_ABOVE_DJANGO = 60

#: Rows that the database makes up while it is read. Two columns and a text of some length.
QUERIES = {
    "sqlite": f"""
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})
        SELECT i AS id, 'Artist number ' || i AS name FROM n""",
    "postgresql": f"""
        SELECT i AS id, 'Artist number ' || i AS name FROM generate_series(1, {ROWS}) AS n(i)""",
    "mysql": f"""
        SELECT seq AS id, CONCAT('Artist number ', seq) AS name FROM seq_1_to_{ROWS}""",
}

PROGRAM = """
import json, sys
from pathlib import Path
import django
django.setup()
from django.test.utils import override_settings
from data_migration import Migration
from data_migration.plan.graph import build_plan
from data_migration.ledger import Ledger
from data_migration.options import RunOptions
from data_migration.outcomes import Mode
from data_migration.run.runner import run_import
from tests.apps.music.models import Artist


def peak():
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


class ArtistMigration(Migration):
    source = "legacy"
    query = sys.argv[2]
    model = Artist


before = peak()
with override_settings(DATA_MIGRATION_SOURCES={"legacy": json.loads(sys.argv[1])}):
    plan = build_plan({"music.ArtistMigration": ArtistMigration})
    done = run_import(plan, RunOptions(mode=Mode.COMMIT), Ledger("default"))
if done.error:
    raise done.error
print(json.dumps([done.steps[0].created, before, peak()]))
"""


def test_many_rows_need_no_more_memory_than_a_few(
    request: pytest.FixtureRequest, sqlite_file: Path, target_environment: dict[str, str]
) -> None:
    # Each target is fed from a source of its own kind, so the three targets cover the three.
    config: object = {"ENGINE": "sqlite", "NAME": str(sqlite_file)}
    if TARGET != "sqlite":
        server: ServerURL = request.getfixturevalue(f"fresh_{TARGET}_database")()
        config = server.source()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(config), QUERIES[TARGET]],
        env=target_environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    created, before, after = json.loads(done.stdout)
    assert created == ROWS
    assert after - before < MIB_ABOVE_DJANGO, f"{before:.0f} MiB grew to {after:.0f} MiB"
