"""Memory does not grow with the table: 1,000,000 rows, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.sources.conftest import TOTAL, Way

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to measure"),
]

PROGRAM = """
import json, sys
from pathlib import Path
from django.conf import settings
config = json.loads(sys.argv[1])
settings.configure(DATA_MIGRATION_SOURCES={"legacy": config}, DATABASES={})
from data_migration.sources import Reader, close_connection, connect
connection = connect("legacy")
query = "SELECT a.id, a.name, b.name AS other FROM item a, item b WHERE b.id <= 100"


def memory():  # the peak of this program; ru_maxrss would begin with that of its parent
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def read(query):
    reader = Reader(connection, "shop.Item")
    reader.execute(query)
    rows = sum(len(batch.dicts()) for batch in reader.rows(2000))
    reader.close()
    return rows, memory()


few, before = read(query + " LIMIT 10000")
rows, after = read(query)
close_connection(connection)
print(json.dumps([few, before / 1024, rows, after / 1024]))
"""

# The ODBC drivers of SQLite and of MariaDB before 3.2 hold the whole result; see the docs.
WAYS = ["sqlite-ours", "postgresql-ours", "postgresql-odbc", "mysql-ours"]


@pytest.mark.parametrize("way", WAYS, indirect=True)
def test_memory_stays_flat(way: Way, legacy_sources: dict[str, Any]) -> None:
    config = json.dumps(legacy_sources["legacy"], default=str)
    command = [sys.executable, "-c", PROGRAM, config]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    few, before, rows, after = json.loads(done.stdout)
    print(f"{way.name}: {before:.0f} MiB after {few:,} rows, {after:.0f} MiB after {rows:,}")
    assert (few, rows) == (TOTAL, 100 * TOTAL)
    assert after < before + 8
