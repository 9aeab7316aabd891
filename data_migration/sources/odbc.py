"""Anything with an ODBC driver, through pyodbc.

OPTIONS name the ``driver`` or the ``dsn``; every further one goes into the connection string as
it is. HOST, PORT, NAME, USER and PASSWORD become the keywords that the driver has for them. For
SQL Server only the text of the connection string is tested, not a server.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ..conf import settings
from ..exceptions import SpecError
from .base import SERVER_KEYS, Source, import_driver, prepared
from .sessions import prepare_mysql, prepare_postgresql
from .waiting import CONNECT_TIMEOUT

KEYS = SERVER_KEYS
#: The standard lists more, but some drivers do not take the braces off again.
_NEEDS_QUOTES = re.compile(r"^[\s{]|\s$|[;}]")
REQUIRED: tuple[str, ...] = ()
_NAMES = {
    "HOST": "SERVER",
    "PORT": "PORT",
    "NAME": "DATABASE",
    "USER": "UID",
    "PASSWORD": "PWD",
}


def connect(source: Source) -> Any:
    """Open the connection and make it read-only in the way its database has."""
    driver = import_driver(source, "odbc", "pyodbc")
    text = connection_string(source, driver.dataSources())
    connection = driver.connect(text, readonly=True, autocommit=False, timeout=CONNECT_TIMEOUT)
    _read_text_whole(connection, driver)
    return prepared(connection, lambda opened: _make_read_only(opened, driver))


def connection_string(source: Source, dsn_drivers: Mapping[str, str]) -> str:
    """``KEY=value;...`` for the driver manager; SpecError without a driver and a DSN.

    ``dsn_drivers`` tells the driver of each DSN, for the keywords that depend on it.
    """
    options = {str(key).upper(): value for key, value in source.options.items()}
    if not options.keys() & {"DRIVER", "DSN", "FILEDSN"}:
        raise SpecError(
            f"{source.where}: OPTIONS has neither driver nor dsn. "
            'Add one, such as {"driver": "ODBC Driver 18 for SQL Server"}.'
        )
    named = str(options.pop("DRIVER", "")).strip("{}")
    driver = (named or dsn_drivers.get(str(options.get("DSN")), "")).upper()
    server = source.renamed(_NAMES)
    if "SQL SERVER" in driver and "PORT" in server:
        server["SERVER"] = f"{server.get('SERVER', 'localhost')},{server.pop('PORT')}"
    parts = {**server, **_defaults(driver), **options}
    strings = [f"{key}={_written(value, driver)}" for key, value in parts.items()]
    return ";".join([f"DRIVER={{{named}}}", *strings] if named else strings)


def _defaults(driver: str) -> Mapping[str, Any]:
    """What keeps a driver from loading the whole result, from writing, from creating a file."""
    if "POSTGRES" in driver:
        return {"USEDECLAREFETCH": 1, "FETCH": settings.batch_size}
    if "MARIADB" in driver:
        # Streams from Connector/ODBC 3.2 on; does not know the time-out of ODBC itself.
        return {"FORWARDONLY": 1, "STREAMRS": 1, "CONN_TIMEOUT": CONNECT_TIMEOUT}
    if "MYSQL" in driver:
        return {"NO_CACHE": 1, "FORWARD_CURSOR": 1}
    if "SQLITE" in driver:
        return {"NOCREAT": 1}
    return {}


def _written(value: Any, driver: str) -> str:
    """The value as a connection string of the driver has it."""
    if isinstance(value, bool):
        words = ("no", "yes") if "SQL SERVER" in driver else ("0", "1")
        return words[value]
    text = str(value)
    return "{" + text.replace("}", "}}") + "}" if _NEEDS_QUOTES.search(text) else text


def _read_text_whole(connection: Any, driver: Any) -> None:
    """MariaDB's driver 3.1 takes the letters Ø to Û for half a character each when it makes
    UTF-16, and cuts off as many at the end of the text. As UTF-8 the text arrives whole.
    """
    if "maodbc" not in connection.getinfo(driver.SQL_DRIVER_NAME).lower():
        return
    (charset,) = connection.execute("SELECT @@character_set_results").fetchone()
    if str(charset).startswith("utf8"):
        for kind in (driver.SQL_CHAR, driver.SQL_WCHAR):
            connection.setdecoding(kind, encoding="utf-8", ctype=driver.SQL_CHAR)


def _make_read_only(connection: Any, driver: Any) -> None:
    """``readonly=True`` is a hint that many drivers ignore, so the database itself is told.

    A server too old for a statement goes on without it.
    """
    database = connection.getinfo(driver.SQL_DBMS_NAME)
    if database in ("MySQL", "MariaDB"):
        prepare_mysql(connection)
    elif database == "PostgreSQL":
        prepare_postgresql(connection)
    for statement in _READ_ONLY.get(database, ()):
        with suppress(driver.ProgrammingError, driver.NotSupportedError):
            connection.execute(statement).close()
    if database == "PostgreSQL":
        connection.commit()  # what was set holds for the transactions from now on


_MYSQL = (
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "SET SESSION TRANSACTION READ ONLY",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT",
)
_READ_ONLY = {
    "SQLite": ("PRAGMA query_only = ON",),
    "PostgreSQL": (
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    ),
    "MySQL": _MYSQL,
    "MariaDB": _MYSQL,
}
