"""Legacy databases for the time of a run: files, or databases of their own on a server."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from benchmarks import legacy
from tests.support.urls import VARIABLES, ServerURL

ENGINES = ("sqlite", *VARIABLES)


@contextmanager
def built(engine: str, sizes: dict[str, int], bad: dict[str, int]) -> Iterator[dict[str, str]]:
    """Name -> address of a database with so many rows, so many of them ``bad``."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmarks-")))
        found = {}
        for name, rows in sizes.items():
            if engine == "sqlite":
                found[name] = str(folder / f"{name}.sqlite3")
            else:
                found[name] = stack.enter_context(_on_server(engine, name))
            legacy.build(found[name], rows, bad=bad.get(name, 0))
        yield found


@contextmanager
def _on_server(engine: str, name: str) -> Iterator[str]:
    server = ServerURL.from_environment(engine)
    if server is None:
        raise SystemExit(f"{engine}: no server. Run: python -m tests.services -- make bench")
    database = f"bench_legacy_{name}_{os.getpid()}"
    _execute(server, f"CREATE DATABASE {database}")
    try:
        yield str(server.with_database(database))
    finally:
        _execute(server, f"DROP DATABASE {database}")


def _execute(server: ServerURL, statement: str) -> None:
    with closing(legacy.connect(str(server))) as connection:
        if server.engine == "postgresql":
            connection.autocommit = True
        connection.cursor().execute(statement)
