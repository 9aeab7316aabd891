"""The servers of one pytest run: given by the environment, else started when first asked for.

A pytest plugin, named in pyproject.toml. The servers belong to a process of their own, a
``python -m tests.services``, which stops them when this one ends, whatever ends it. The workers of
pytest-xdist share those of the process that starts them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.support.paths import ROOT
from tests.support.urls import SERVICES, ServerURL

#: Says where the servers are, and waits until its stdin is closed: by us, or because we are gone.
_KEEPER = f"""
import json, os, sys
names = set(os.environ) & {set(SERVICES.values())}
print(json.dumps({{name: os.environ[name] for name in names}}), flush=True)
sys.stdin.read()
"""
_keepers: list[subprocess.Popen[str]] = []


def server(engine: str) -> ServerURL | None:
    """The server of this run; ``None`` where there is none and none can be started."""
    if not os.environ.get(SERVICES[engine]) and "PYTEST_XDIST_WORKER" not in os.environ:
        _start()
    return ServerURL.from_environment(engine)


def _start() -> None:
    """Start what the environment does not name, once, and name it there."""
    if _keepers:
        return
    command = [sys.executable, "-m", "tests.services", "--", sys.executable, "-c", _KEEPER]
    # A session of its own: Ctrl-C is for the tests, which still need their servers to tidy up.
    keeper = subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    _keepers.append(keeper)
    assert keeper.stdout is not None
    os.environ |= json.loads(keeper.stdout.readline() or "{}")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Before pytest-django reads the settings, which need the target's server."""
    target = os.environ.get("DATA_MIGRATION_TEST_TARGET", "sqlite")
    if target in SERVICES:
        server(target)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Before pytest-xdist starts its workers, which inherit the environment."""
    if session.config.getoption("numprocesses", None):
        _start()


def pytest_unconfigure() -> None:
    """Stop what was started, and wait until it is gone."""
    for keeper in _keepers:
        keeper.communicate()
    _keepers.clear()
