"""Which process is still there, also where numbers are given out twice."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_migration.utils import processes

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="the system has no /proc"
)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits for the end of its stdin."""
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
    )
    yield process
    process.kill()
    process.communicate()


def test_a_process_that_is_there_is_alive(sleeper: subprocess.Popen[bytes]) -> None:
    for number in (os.getpid(), sleeper.pid):
        assert processes.is_alive(number, processes.started(number)) is True


def test_a_process_that_ended_is_dead(sleeper: subprocess.Popen[bytes]) -> None:
    begun = processes.started(sleeper.pid)
    sleeper.kill()
    sleeper.wait()

    assert processes.is_alive(sleeper.pid, begun) is False
    assert processes.is_alive(sleeper.pid, "") is False
    assert processes.started(sleeper.pid) == ""


@needs_proc
def test_a_process_whose_parent_does_not_care_that_it_ended_is_dead(
    sleeper: subprocess.Popen[bytes],
) -> None:
    begun = processes.started(sleeper.pid)
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)

    assert processes.started(sleeper.pid) == begun
    assert processes.is_alive(sleeper.pid, begun) is False


@needs_proc
def test_another_process_with_the_same_number_is_not_it() -> None:
    assert processes.is_alive(os.getpid(), f"{processes.started(os.getpid())}0") is False


def test_without_a_known_start_the_number_decides() -> None:
    assert processes.is_alive(os.getpid(), "") is True


@needs_proc
def test_of_another_process_table_nothing_can_be_told() -> None:
    ticks = processes.started(os.getpid()).partition(":")[2]

    assert processes.is_alive(os.getpid(), f"0123456789abcdef:{ticks}") is None


@needs_proc
def test_two_processes_share_the_table_and_differ_in_their_start(
    sleeper: subprocess.Popen[bytes],
) -> None:
    own, other = processes.started(os.getpid()), processes.started(sleeper.pid)

    assert own.partition(":")[0] == other.partition(":")[0]
    assert own != other
    assert len(own) <= 64  # what the ledger has room for


@needs_proc
@pytest.mark.skipif(os.geteuid() != 0, reason="needs to be root to become somebody else")
def test_the_process_of_another_user_is_alive(sleeper: subprocess.Popen[bytes]) -> None:
    program = (
        "import os, sys; from data_migration.utils import processes; os.setuid(65534);"
        "print(processes.is_alive(int(sys.argv[1]), ''))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(sleeper.pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "True\n", done.stderr


def test_host_and_owner_are_those_of_the_system() -> None:
    assert processes.host() == socket.gethostname()
    assert processes.owner() == getpass.getuser()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to be root to become somebody else")
def test_a_user_without_a_name_is_empty() -> None:
    program = (
        "import os; [os.environ.pop(n, 0) for n in ('LOGNAME', 'USER', 'LNAME', 'USERNAME')];"
        "from data_migration.utils import processes; os.setuid(54321); print([processes.owner()])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout == "['']\n", done.stderr
