"""The two database files of the demo: marked when made, so that nothing else gets deleted."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

#: SQLite keeps this number in the file's header for its application; Django leaves it alone.
MARK = 0x4D4C4447
MARK_AT = slice(68, 72)


class NotOurs(Exception):
    """The file was not made by the demo; the message says what to do."""


def create(path: Path) -> None:
    """Put an empty, marked SQLite file at ``path``, in place of an earlier one of the demo.

    Raises :exc:`NotOurs` if another file is there, which is left untouched.
    """
    check(path)
    for suffix in ("", "-journal", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA application_id = {MARK}")


def check(path: Path) -> None:
    """Raise :exc:`NotOurs` if there is something at ``path`` that the demo did not make."""
    if not path.exists() or (path.is_file() and _is_marked_or_empty(path)):
        return
    raise NotOurs(
        f"{path} is there already and was not made by the demo, so it is left alone. Move it"
        " away, or let the demo use other files: DEMO_DATABASE and DEMO_LEGACY name them."
    )


def _is_marked_or_empty(path: Path) -> bool:
    # Django leaves an empty file behind when it looks into a database that is not there.
    with path.open("rb") as file:
        header = file.read(100)
    return not header or header[MARK_AT] == MARK.to_bytes(4, "big")
