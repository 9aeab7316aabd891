"""Which process this is, whether another one is still there, and signals that ask to stop."""

from __future__ import annotations

import getpass
import hashlib
import os
import socket
from functools import cache
from pathlib import Path

_ENDED = ("Z", "X", "x")


def host() -> str:
    return socket.gethostname()


def owner() -> str:
    """The name of the user that the process belongs to; empty where the system has none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no entry in the password database, as in some containers
        return ""


def started(process: int) -> str:
    """When the process began: process table and ticks; empty where that cannot be told.

    A process number is given out again; number and start together are not.
    """
    fields = _stat(process)
    return f"{_table()}:{fields[19]}" if fields else ""


def is_alive(process: int, begun: str) -> bool | None:
    """Whether the process that had this number and start is still there.

    None where it cannot be told: the process is not in the process table that is seen from here.
    """
    if begun and _table() and begun.partition(":")[0] != _table():
        return None
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's, so it is there
    fields = _stat(process)
    if fields and fields[0] in _ENDED:
        return False  # it ended, and its parent has not asked how
    return not begun or started(process) in ("", begun)


def _stat(process: int) -> list[str]:
    """What the system tells of a process, from its state on (field 3 of proc(5))."""
    try:
        # The name in brackets, field 2, may hold spaces and brackets.
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


@cache
def _table() -> str:
    """Stands for the process table seen from here; empty where the system has no name for it.

    Two containers may bear the same host name and number their processes each for itself, and so
    may one machine before and after it was started anew.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
        numbers = os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""
    return hashlib.blake2s(f"{boot} {numbers}".encode(), digest_size=8).hexdigest()
