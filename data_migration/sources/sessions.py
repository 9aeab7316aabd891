"""What a session of a server is told before it is read: Django's time zone, and patience."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing, suppress
from typing import Any

from django.utils.timezone import get_default_timezone

#: A day. While a batch is written the server waits for us, by default for 60 seconds; the time of
#: a statement runs on meanwhile.
_PATIENCE_OF_MYSQL = (
    "SET SESSION net_write_timeout = 86400",
    "SET SESSION wait_timeout = 86400",
    "SET SESSION max_statement_time = 0",  # MariaDB
    "SET SESSION max_execution_time = 0",  # MySQL
)
_PATIENCE_OF_POSTGRESQL = (
    "SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN"
    " ('idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout')"
)


def prepare_mysql(connection: Any) -> bool:
    """Whether the clock of the session shows what Django's would show, once it is patient.

    A zone that was chosen for this session stays, and is taken for the right one.
    """
    for statement in _PATIENCE_OF_MYSQL:
        _answer(connection, statement)
    zone = get_default_timezone()
    zones = _answer(connection, "SELECT @@session.time_zone, @@global.time_zone")
    if not zones or zones[0] != zones[1]:
        return True
    name = "+00:00" if str(zone) in ("UTC", "Etc/UTC") else str(zone)
    if _answer(connection, f"SET SESSION time_zone = '{name}'") is not None:
        return True
    # The server does not know the name; its own zone may be that one all the same.
    moments = [
        dt.datetime(year, month, 15, 12, tzinfo=dt.UTC)
        for year in range(1971, 2038)
        for month in (1, 7)
    ]
    calls = ", ".join(f"FROM_UNIXTIME({moment.timestamp():.0f})" for moment in moments)
    shown = _answer(connection, f"SELECT {calls}") or ()
    return [*shown] == [moment.astimezone(zone).replace(tzinfo=None) for moment in moments]


def prepare_postgresql(
    connection: Any, *, chosen: Collection[str] = ("client", "session")
) -> None:
    """Set the zone, unless it was ``chosen`` by one of these (as ``pg_settings`` names them)."""
    kept = ", ".join(f"'{each}'" for each in chosen)
    zone = (
        f"SELECT set_config('TimeZone', '{get_default_timezone()}', false) FROM pg_settings"
        f" WHERE name = 'TimeZone' AND source NOT IN ({kept})"
    )
    for statement in (_PATIENCE_OF_POSTGRESQL, zone):
        done = _answer(connection, statement) is not None
        # What was set holds for the transactions from now on.
        (connection.commit if done else connection.rollback)()


def _answer(connection: Any, statement: str) -> Sequence[Any] | None:
    """The first row; empty where there is none, None where the server refuses.

    A server that is lost will say so to the next statement, which is not one of these.
    """
    with suppress(Exception), closing(connection.cursor()) as cursor:
        cursor.execute(statement)
        row = cursor.fetchone() if cursor.description else ()
        return tuple(row.values()) if isinstance(row, Mapping) else tuple(row or ())
    return None
