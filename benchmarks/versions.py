"""When and where a run took place: what a reader needs to judge its numbers."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime

from benchmarks import legacy
from data_migration import __version__
from tests.support.urls import VARIABLES

_PACKAGES = (
    "Django",
    "psycopg",
    "psycopg2-binary",
    "psycopg2",
    "mysqlclient",
    "django-import-export",
    "dlt",
)


def versions(targets: Sequence[str]) -> dict[str, str]:
    """Name -> version or value, in the order in which they are printed."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "django-migrate-legacy": __version__,
        "Python": platform.python_version(),
        **dict(_packages()),
        **{target: _server(target) for target in targets},
        **_pgloader(),
        "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
    }


def _packages() -> Iterator[tuple[str, str]]:
    for name in _PACKAGES:
        try:
            yield name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue


def _server(target: str) -> str:
    address = os.environ[VARIABLES[target]] if target in VARIABLES else ":memory:"
    function = "sqlite_version()" if target == "sqlite" else "version()"
    with closing(legacy.connect(address)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f"SELECT {function}")
        text = str(cursor.fetchone()[0])
    return " ".join(text.split()[:2]) if target == "postgresql" else text


def _pgloader() -> dict[str, str]:
    if not shutil.which("pgloader"):
        return {}
    done = subprocess.run(["pgloader", "--version"], capture_output=True, text=True, check=False)
    return {"pgloader": done.stdout.split("\n")[0].split()[-1].strip('"')}
