"""Throwaway database servers around a command.

::

    python -m tests.services -- COMMAND ...   run COMMAND with PostgreSQL, MariaDB and Redis
    python -m tests.services install          install the system packages they need (as root)

COMMAND finds the servers in ``DATA_MIGRATION_TEST_POSTGRESQL``, ``DATA_MIGRATION_TEST_MYSQL`` and
``DATA_MIGRATION_TEST_REDIS``. A server that one of them already names is used as it is: not
started, not stopped. One whose programs are not installed is left out; with ``CI=true`` that is an
error. Everything lives in a temporary folder and is gone afterwards, however COMMAND ends.
Needs the standard library only.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from tests.support.servers import REQUIRED, SERVERS, Server, ServerProblem
from tests.support.system import install
from tests.support.urls import SERVICES

SECONDS_TO_END = 15


@contextmanager
def running() -> Iterator[dict[str, str]]:
    """Start the servers that the environment does not name; yields the variables for them.

    Raises ``ServerProblem``. SIGTERM ends the block like Ctrl-C does: the servers go too.
    """
    previous = signal.signal(signal.SIGTERM, _terminate)
    folder = Path(tempfile.mkdtemp(prefix="data-migration-servers-"))
    folder.chmod(0o711)  # the servers run as another user and must get to their own folder
    started: list[Server] = []
    try:
        yield _start(folder, started)
    finally:
        # A second Ctrl-C must not leave servers behind; stopping takes seconds.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
        for server in started:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)
        signal.signal(signal.SIGINT, interrupt)
        signal.signal(signal.SIGTERM, previous)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _start(folder: Path, started: list[Server]) -> dict[str, str]:
    variables = {}
    for kind in SERVERS:
        name = SERVICES[kind.engine]
        if os.environ.get(name):
            variables[name] = os.environ[name]
            continue
        if kind.missing() and not REQUIRED:
            print(f"tests.services: {kind.engine} is not installed: left out", file=sys.stderr)
            continue
        server = kind(folder / kind.engine)
        started.append(server)  # before it starts: a half-started server is stopped too
        server.start()
        variables[name] = str(server.url)
    return variables


def run(command: Sequence[str]) -> int:
    """Run ``command`` with the servers and return its exit code (128 + signal if killed)."""
    with running() as variables, subprocess.Popen(command, env=os.environ | variables) as child:
        try:
            code = child.wait()
        except KeyboardInterrupt:
            code = _end(child)  # the terminal has sent Ctrl-C to the command as well
        except SystemExit:
            child.terminate()
            _end(child)
            raise
    return code if code >= 0 else 128 - code


def _end(child: subprocess.Popen[bytes]) -> int:
    try:
        return child.wait(SECONDS_TO_END)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        child.kill()
        return child.wait()


def main(arguments: Sequence[str]) -> int:
    """The command line: see the head of this file."""
    if list(arguments) == ["install"]:
        return install()
    if len(arguments) < 2 or arguments[0] != "--":
        print(__doc__, file=sys.stderr)
        return 2
    try:
        return run(arguments[1:])
    except (ServerProblem, FileNotFoundError) as problem:
        print(f"tests.services: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
