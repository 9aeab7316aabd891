"""Statements that would end the transaction of a patch are refused before they are sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections

from ..exceptions import SpecError

#: Statements that end a transaction on every database; Django has methods of its own for them.
_ENDS = re.compile(r"(?:COMMIT|END|ROLLBACK(?!\s+(?:WORK\s+)?TO\b)|ABORT)\b", re.IGNORECASE)
#: Those that MySQL and MariaDB commit together with everything before them ("Statements That Cause
#: an Implicit Commit"). Temporary tables are not among them.
_COMMITS = re.compile(
    r"(?:(?:CREATE|DROP)\s+(?!TEMPORARY\b)|(?:ALTER|RENAME|TRUNCATE|GRANT|REVOKE|LOCK|UNLOCK"
    r"|ANALYZE|CHECK|OPTIMIZE|REPAIR|FLUSH|RESET|INSTALL|UNINSTALL|BEGIN|START)\b"
    r"|SET\s+(?:PASSWORD|AUTOCOMMIT)\b)",
    re.IGNORECASE,
)
#: What may have a ; that ends no statement, where a database takes several statements at once:
#: texts, names, comments, bodies of functions.
_OPAQUE = {
    "mysql": re.compile(
        r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|`[^`]*`|--[^\n]*|#[^\n]*|/\*.*?\*/", re.DOTALL
    ),
    "postgresql": re.compile(
        r"\$(\w*)\$.*?\$\1\$|'[^']*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/|\bBEGIN\s+ATOMIC\b.*?\bEND\b",
        re.DOTALL | re.IGNORECASE,
    ),
}
_BEFORE_IT = re.compile(r"\A(?:\s|\(|--[^\n]*\n|#[^\n]*\n|/\*.*?\*/)*", re.DOTALL)


@contextmanager
def no_implicit_commits(label: str, database: str) -> Iterator[None]:
    """Refuse, before it is sent, a statement of the block that would end our transaction.

    Outside of a transaction every statement is welcome.
    """
    connection = connections[database]
    commits_ddl = not connection.features.can_rollback_ddl

    def refuse(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        if connection.in_atomic_block:
            for statement in _beginnings(str(sql), connection.vendor):
                if not (_ENDS.match(statement) or (commits_ddl and _COMMITS.match(statement))):
                    continue
                first = " ".join(statement.split()[:3])
                raise SpecError(
                    f"{label}: the statement {first} ... would end the transaction that holds the"
                    f" patch together{_ON[commits_ddl].format(connection.display_name)}. It was"
                    " not sent. Say atomic = False if the patch is to do without a transaction of"
                    " ours, or leave the change of tables to a schema migration."
                )
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse):
        yield


def _beginnings(sql: str, vendor: str) -> Iterator[str]:
    """Of each statement in it; the first one is there as a whole."""
    yield _BEFORE_IT.sub("", sql)
    if ";" in sql and vendor in _OPAQUE:
        _, *others = _OPAQUE[vendor].sub(" ", sql).split(";")
        yield from (_BEFORE_IT.sub("", each) for each in others)


_ON = {True: ", since {} commits it at once", False: ""}
