"""MySQL and MariaDB through mysqlclient.

The connection speaks utf8mb4 unless OPTIONS says otherwise; BIT columns are numbers. OPTIONS are
passed to ``MySQLdb.connect``: ``charset``, ``unix_socket``, ``ssl``, ``connect_timeout`` and
so on.
"""

from __future__ import annotations

import datetime as dt
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..rows.remarks import Remark, Unequal
from .base import SERVER_KEYS, Source, import_driver, prepared
from .sessions import prepare_mysql
from .waiting import CONNECT_TIMEOUT

KEYS = SERVER_KEYS
REQUIRED: tuple[str, ...] = ("NAME",)
_NAMES = {
    "NAME": "database",
    "USER": "user",
    "PASSWORD": "password",
    "HOST": "host",
    "PORT": "port",
}

#: As many bytes as a packet may have at most. The default is 1,024 on MySQL.
LONG_LISTS = "SET SESSION group_concat_max_len = 1073741824"

#: Each stands alone: servers before 5.6 know the second only, or none.
_SNAPSHOTS = (
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT",
)


def connect(source: Source) -> Any:
    """Open a session that can only read and sees one snapshot, where the server knows them."""
    driver = import_driver(source, "mysql", "MySQLdb")
    from MySQLdb.constants import FIELD_TYPE  # noqa: PLC0415 - optional driver
    from MySQLdb.converters import conversions  # noqa: PLC0415 - optional driver

    converters = {**conversions, FIELD_TYPE.BIT: lambda value: int.from_bytes(value, "big")}
    arguments = {
        "charset": "utf8mb4",
        "conv": converters,
        "connect_timeout": CONNECT_TIMEOUT,
        **source.renamed(_NAMES),
    }
    if "port" in arguments:
        arguments["port"] = int(arguments["port"])
    connection = driver.connect(**{**arguments, **source.options})
    return prepared(connection, make_read_only)


def make_read_only(connection: Any) -> None:
    """Refuse writes and take the snapshot; an old server that knows neither goes on without."""
    connection.data_migration_unread = []  # marks it as ours: see streaming.close_cursor
    connection.autocommit(False)
    if not prepare_mysql(connection):
        # Then TIMESTAMPs are moments at least. DATETIMEs do not depend on the session's zone.
        connection.data_migration_in_utc = _try(connection, "SET SESSION time_zone = '+00:00'")
    _try(connection, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    _try(connection, "SET SESSION TRANSACTION READ ONLY")
    any(_try(connection, statement) for statement in _SNAPSHOTS)


def _try(connection: Any, statement: str) -> bool:
    """Whether the server took the statement; only a refusal counts as a no, not a lost server."""
    cursor = connection.cursor()
    try:
        cursor.execute(statement)
    except (connection.ProgrammingError, connection.NotSupportedError):
        return False
    finally:
        cursor.close()
    return True


# ------------------------------------------------------------------ what is lost of values


@contextmanager
def watched(connection: Any, found: list[Remark]) -> Iterator[None]:
    """Let what is executed inside put into ``found`` what the driver gives as NULL in silence.

    Conversions that the owner of the connection chose stay, and so does the connection.
    """
    times = sys.modules["MySQLdb.times"]
    own = connection.converter
    quick = {
        times.Date_or_None: dt.date.fromisoformat,
        times.DateTime_or_None: dt.datetime.fromisoformat,
        times.TimeDelta_or_None: None,
    }
    telling = {
        kind: _telling(convert, quick[convert], found)
        for kind, convert in own.items()
        if type(kind) is int and convert in quick
    }
    if is_in_utc(connection):
        telling[_TIMESTAMP] = _telling(times.DateTime_or_None, _moment, found)
    connection.converter = {**own, **telling}
    try:
        yield
    finally:
        connection.converter = own


def is_in_utc(connection: Any) -> bool:
    """Whether the session keeps UTC, since the server does not know Django's zone."""
    return getattr(connection, "data_migration_in_utc", False) is True


_TIMESTAMP = 7


def _moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(f"{text}+00:00")


#: What depends on the zone of the session, apart from TIMESTAMPs.
ZONED = re.compile(
    r"\b(FROM_UNIXTIME|UNIX_TIMESTAMP(?=\s*\(\s*[^\s)])|(?:NOW|SYSDATE|CURDATE|CURTIME)(?=\s*\()"
    r"|CURRENT_(?:TIMESTAMP|DATE|TIME)|LOCALTIME(?:STAMP)?)\b",
    re.IGNORECASE,
)


def _telling(
    convert: Callable[[str], Any], quick: Callable[[str], Any] | None, found: list[Remark]
) -> Callable[[str], Any]:
    """``convert``, which gives None for what it cannot read; ``quick`` raises ValueError then."""

    def slowly(text: str) -> Any:
        value = convert(text)
        if value is not None:
            return value
        is_zero = not text.strip("0-: .")
        remark = (Unequal.ZERO_DATE if is_zero else Unequal.IMPOSSIBLE_DATE)(None, text)
        found.append(remark)
        return remark

    def told(text: str) -> Any:
        try:
            return quick(text)  # type: ignore[misc]
        except ValueError:
            return slowly(text)

    return slowly if quick is None else told
