"""MySQL's user variables in a query: ``SELECT @n := @n + 1 AS id``.

They live as long as the session, and a query is read more than once: counted, looked at, narrowed
to some keys. Each of these has to begin with the values that the first one found, or rows are
numbered from where the one before ended.
"""

from __future__ import annotations

import re
from contextlib import closing, suppress
from typing import Any

from . import streaming

_ASSIGNED = re.compile(r"""(?<!@)@(`[^`]+`|'[^']+'|"[^"]+"|[\w.$]+)\s*:=""")


class Variables:
    """Those of the session of ``connection`` which one query assigns, at any depth."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        #: Names as they are written -> the variable that keeps the value of before.
        self._kept: dict[str, str] = {}

    def restore(self, query: str) -> None:
        """Give the variables in ``query`` the values that they had when they were first seen.

        Never raises: what is no variable of MySQL's is left to the database to judge.
        """
        if ":=" not in query:
            return
        for name in dict.fromkeys(_ASSIGNED.findall(query)):
            if name not in self._kept:
                self._kept[name] = f"@data_migration_{len(self._kept)}"
                self._set(f"{self._kept[name]} = @{name}")
            # At first as well: one that was never set is a constant to MariaDB.
            self._set(f"@{name} = {self._kept[name]}")

    def _set(self, assignment: str) -> None:
        with (
            suppress(Exception),
            streaming.protected(self._connection),
            closing(self._connection.cursor()) as cursor,
        ):
            cursor.execute(f"SET {assignment}")
