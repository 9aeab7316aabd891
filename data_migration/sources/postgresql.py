"""PostgreSQL through psycopg2 or, where that is missing, psycopg 3.

psycopg2 comes first because it still speaks to servers that psycopg 3 refuses (before 10).
OPTIONS are passed to libpq: ``sslmode``, ``connect_timeout``, ``client_encoding``, ``options``,
``service`` and so on.
"""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ..fields.json_text import JSONText, has_long_number
from ..rows.remarks import Remark, Unequal
from .base import SERVER_KEYS, Source, import_driver, prepared
from .sessions import prepare_postgresql
from .waiting import CONNECT_TIMEOUT

KEYS = SERVER_KEYS
REQUIRED: tuple[str, ...] = ("NAME",)
_NAMES = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}


def connect(source: Source) -> Any:
    """Open a session that can only read and sees one snapshot."""
    driver = import_driver(source, "postgresql", "psycopg2", "psycopg")
    defaults = {"connect_timeout": CONNECT_TIMEOUT, **source.renamed(_NAMES)}
    connection = driver.connect(**{**defaults, **source.options})
    return prepared(connection, _prepare)


def _prepare(connection: Any) -> None:
    make_read_only(connection)
    prepare_postgresql(connection)


def make_read_only(connection: Any) -> None:
    """READ ONLY and REPEATABLE READ for every transaction of the connection."""
    if hasattr(connection, "set_session"):
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True, autocommit=False)
    else:
        from psycopg import IsolationLevel  # noqa: PLC0415 - optional driver

        connection.autocommit = False
        connection.read_only = True
        connection.isolation_level = IsolationLevel.REPEATABLE_READ


# ------------------------------------------------------------------ what is lost of values

#: What the database has -> what the driver made of it -> what the row gets.
_Tell = Callable[[str, Any], Any]

#: Besides the drivers' own.
_UNREAD = (ValueError, OverflowError, NotImplementedError)


def watch_psycopg2(cursor: Any, found: list[Remark]) -> None:
    """Let the cursor say, and put into ``found``, what the driver makes of a value in silence.

    Values are converted as the owner of the connection wants; the connection stays as it is.
    """
    extensions = sys.modules["psycopg2.extensions"]
    unread = (*_UNREAD, sys.modules["psycopg2"].Error)
    own = cursor.connection.string_types or {}
    for oid, tell in _TELLING.items():
        inner = own.get(oid) or extensions.string_types.get(oid)
        if inner is not None:
            cast = _psycopg2_cast(inner, tell, found, unread)
            extensions.register_type(extensions.new_type((oid,), "WATCHED", cast), cursor)


def _psycopg2_cast(
    inner: Any, tell: _Tell, found: list[Remark], unread: tuple[type[Exception], ...]
) -> Callable[[Any, Any], Any]:
    def cast(text: Any, cursor: Any) -> Any:
        if text is None:
            return inner(None, cursor)
        try:
            value = tell(text, inner(text, cursor))
        except unread:
            value = _unread(text, tell)
        if type(value) is Remark:
            found.append(value)
        return value

    return cast


def watch_psycopg(cursor: Any, found: list[Remark]) -> None:
    """:func:`watch_psycopg2` for psycopg 3."""
    from psycopg import Error  # noqa: PLC0415 - optional driver
    from psycopg.adapt import Loader  # noqa: PLC0415 - optional driver
    from psycopg.pq import Format  # noqa: PLC0415 - optional driver

    def watched(inner_type: Any, tell: _Tell) -> type[Loader]:
        class Watched(Loader):
            def __init__(self, oid: int, context: Any = None) -> None:
                super().__init__(oid, context)
                self._load = inner_type(oid, context).load

            def load(self, data: Any) -> Any:
                text, known = str(data, "utf-8", "replace"), len(found)
                try:
                    value = tell(text, self._load(data))
                except (*_UNREAD, Error):
                    value = _unread(text, tell)
                if len(found) > known:  # inside of a list or a range
                    del found[known:]
                    value = Unequal.BEYOND_PYTHON(text, text)
                if type(value) is Remark:
                    found.append(value)
                return value

        return Watched

    adapters = cursor.adapters
    for oid, tell in _TELLING.items():
        inner_type = adapters.get_loader(oid, Format.TEXT)
        if inner_type is not None:
            adapters.register_loader(oid, watched(inner_type, tell))


def _unread(text: str, tell: _Tell) -> Any:
    """For what the driver cannot read: infinity where it has none, else the text."""
    value = tell(text, text)
    return value if type(value) is Remark else Unequal.BEYOND_PYTHON(text, text)


def _tell_bounds(kind: Any, text: str, value: Any) -> Any:
    if text[-1] != "y":
        return value
    return Unequal.INFINITE(kind.min if text[0] == "-" else kind.max, text)


_LAST, _FIRST = (each.replace(tzinfo=dt.UTC) for each in (dt.datetime.max, dt.datetime.min))


def _tell_bounds_of_moment(text: str, value: Any) -> Any:
    if text[-1] != "y":
        return value
    return Unequal.INFINITE(_FIRST if text[0] == "-" else _LAST, text)


def _tell_time(text: str, value: Any) -> Any:
    return Unequal.END_OF_DAY(dt.time(), text) if text[:2] == "24" else value


def _tell_interval(text: str, value: Any) -> Any:
    if isinstance(value, dt.timedelta) and ("mon" in text or "year" in text):
        return Unequal.MONTHS(value, text)
    return value


def _tell_json(text: str, value: Any) -> Any:
    if value is None:
        return Unequal.JSON_NULL(None, text)
    if type(value) is str:
        return value if value == text else JSONText(value)
    if type(value) is not int and has_long_number(text):
        return Unequal.JSON_NUMBER(value, text)
    return value


def _tell_in(word: str, cause: Unequal, text: str, value: Any) -> Any:
    return cause(value, text) if word in text and value is not text else value


_in_infinite = partial(_tell_in, "infinity", Unequal.INFINITE)

#: The number of a type -> what is to be told of its values. Lists and ranges are among them.
_TELLING: Mapping[int, _Tell] = {
    1082: partial(_tell_bounds, dt.date),
    1114: partial(_tell_bounds, dt.datetime),
    1184: _tell_bounds_of_moment,
    1083: _tell_time,
    1266: _tell_time,
    1186: _tell_interval,
    114: _tell_json,
    3802: _tell_json,
    **dict.fromkeys((1182, 1115, 1185, 3908, 3910, 3912), _in_infinite),
    **dict.fromkeys((1183, 1270), partial(_tell_in, "24:00", Unequal.END_OF_DAY)),
    1187: partial(_tell_in, "mon", Unequal.MONTHS),
}
