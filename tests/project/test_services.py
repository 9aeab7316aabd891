"""Throwaway servers: known by a URL, used when given, gone when done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests import services
from tests.support.legacy import connect, execute
from tests.support.paths import ROOT
from tests.support.servers import SERVERS
from tests.support.system import LIBRARIES, missing_packages
from tests.support.urls import SERVICES, ServerURL
from tests.support.waiting import PATIENCE, wait_until

GIVEN = {
    "postgresql": "postgresql://someone:secret@127.0.0.1:1/legacy",
    "mysql": "mysql://someone:secret@127.0.0.1:2/legacy",
    "redis": "redis://default:secret@127.0.0.1:3/0",
}
needs_programs = pytest.mark.skipif(
    any(server.missing() for server in SERVERS),
    reason="PostgreSQL, MariaDB or Redis is not installed",
)


def test_a_url_survives_being_written_and_read() -> None:
    url = ServerURL("mysql", "o'neil", "p@ss/w:rd %", "127.0.0.1", 3307, "old shop")
    assert ServerURL.parse(str(url)) == url


@pytest.mark.parametrize("text", ["oracle://u:secret@h/d", "mysql://u:secret@h", "mysql://h/d"])
def test_a_wrong_url_is_refused_without_repeating_its_password(text: str) -> None:
    with pytest.raises(ValueError, match=r"test server|must look like") as caught:
        ServerURL.parse(text)
    assert "secret" not in str(caught.value)


def test_a_password_is_not_shown_with_its_url() -> None:
    assert "secret" not in repr(ServerURL.parse(GIVEN["mysql"]))


def test_servers_that_the_environment_names_are_used_as_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for engine, url in GIVEN.items():
        monkeypatch.setenv(SERVICES[engine], url)
    with services.running() as variables:
        assert variables == {SERVICES[engine]: url for engine, url in GIVEN.items()}


def test_no_package_is_asked_for_what_is_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def program(name: str) -> None:
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)

    program("dpkg-query")  # says nothing: no package is installed
    monkeypatch.setenv("PATH", str(tmp_path))
    for engine in GIVEN:
        monkeypatch.delenv(SERVICES[engine], raising=False)
    servers = [server.package for server in SERVERS]
    assert missing_packages() == [*servers, "chromium", *LIBRARIES]
    program("google-chrome")
    for engine, url in GIVEN.items():
        monkeypatch.setenv(SERVICES[engine], url)
    assert missing_packages() == [*LIBRARIES]


@pytest.mark.parametrize("engine", ["postgresql", "mysql"])
def test_a_fresh_database_is_empty_and_nobody_elses(
    engine: str, request: pytest.FixtureRequest
) -> None:
    fresh: Callable[[], ServerURL] = request.getfixturevalue(f"fresh_{engine}_database")
    one, other = fresh(), fresh()
    execute(one, "CREATE TABLE only_here (id INTEGER)")
    tables = "SELECT COUNT(*) FROM information_schema.tables WHERE table_name = 'only_here'"
    schema = "table_catalog" if engine == "postgresql" else "table_schema"
    with closing(connect(other)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f"{tables} AND {schema} = %s", [other.database])
        assert cursor.fetchone()[0] == 0


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder that the servers' own user can get to, which pytest's ``tmp_path`` is not."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


@pytest.mark.slow
@needs_programs
def test_the_exit_code_is_that_of_the_command_and_the_servers_are_gone(temporary: Path) -> None:
    names = list(SERVICES.values())
    program = f"import os; exit(7 if set({names}) <= set(os.environ) else 1)"
    with _python(temporary, "-m", "tests.services", "--", sys.executable, "-c", program) as run:
        assert run.wait(PATIENCE) == 7
    assert list(temporary.iterdir()) == []


@pytest.mark.slow
@needs_programs
def test_sigterm_ends_the_command_and_the_servers(temporary: Path) -> None:
    program = f"import time; print('up', flush=True); time.sleep({PATIENCE})"
    with _python(temporary, "-m", "tests.services", "--", sys.executable, "-c", program) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"up\n"
        run.send_signal(signal.SIGTERM)
        assert run.wait(PATIENCE) == 128 + signal.SIGTERM
    assert list(temporary.iterdir()) == []


@pytest.mark.slow
@needs_programs
def test_the_servers_of_a_pytest_run_go_when_it_is_killed(temporary: Path) -> None:
    program = f"""
import time
from tests.support import throwaway
print(throwaway.server("redis"), throwaway.server("redis"), flush=True)
time.sleep({PATIENCE})
"""
    with _python(temporary, "-c", program) as run:
        assert run.stdout is not None
        one, other = run.stdout.readline().split()
        assert one == other
        assert list(temporary.iterdir()) != []
        run.kill()
    wait_until(lambda: list(temporary.iterdir()) == [])


def _python(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """A Python that starts its servers below ``folder``, whatever servers there are."""
    plain = {name: value for name, value in os.environ.items() if name not in SERVICES.values()}
    plain.pop("PYTEST_XDIST_WORKER", None)
    environment = plain | {"TMPDIR": str(folder)}
    command = [sys.executable, *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE)
