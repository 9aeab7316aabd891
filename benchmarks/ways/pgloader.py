"""pgloader: copies the legacy tables as they are, through no model and into tables of its own."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from django.db import connection

from benchmarks import legacy
from benchmarks.cases import Case
from benchmarks.job import Absent
from tests.support.urls import ServerURL

_COMMAND = """
LOAD DATABASE FROM sqlite://{legacy} INTO {target}
WITH include drop, create tables, create no indexes, reset no sequences
INCLUDING ONLY TABLE NAMES LIKE {tables};
"""


def _tables(case: Case) -> list[str]:
    """Its lists are rows: where the others take a list of departments, it takes the pairs."""
    return [case.table, "dept_emp"] if case.m2m else [case.table]


def prepare(case: Case) -> None:
    if not shutil.which("pgloader"):
        raise Absent("not installed: apt-get install pgloader")
    if connection.vendor != "postgresql" or legacy.engine(legacy.here()) != "sqlite":
        raise Absent("measured from SQLite to PostgreSQL")
    drop(case)


def drop(case: Case) -> None:
    with connection.cursor() as cursor:
        for table in _tables(case):
            cursor.execute(f"DROP TABLE IF EXISTS {table}")


def run(case: Case) -> None:
    server = ServerURL.from_environment("postgresql")
    assert server is not None
    target = server.with_database(str(connection.settings_dict["NAME"]))
    tables = ", ".join(f"'{table}'" for table in _tables(case))
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "load")  # the password is in a file that only we can read
        script.write_text(_COMMAND.format(legacy=legacy.here(), target=target, tables=tables))
        command = ["pgloader", "--quiet", "--root-dir", folder, str(script)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"pgloader: {(done.stdout + done.stderr)[-2000:]}")


def count(case: Case) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {case.table}")
        (found,) = cursor.fetchone()
    drop(case)
    return int(found)
