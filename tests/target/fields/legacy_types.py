"""Every type of column of three legacy servers: values of it, and what each of them means.

A value is (what it means, how SQL writes it). Meanings are told apart by kind, so that nothing of
what a driver makes of a value is believed.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import uuid
from collections.abc import Callable
from decimal import Context, Decimal
from typing import Any, NamedTuple

from hypothesis import strategies as st


class Value(NamedTuple):
    """``kind`` is one of those of :mod:`.accepted`, ``meaning`` its value as Python has it."""

    kind: str
    meaning: Any
    sql: str


class LegacyType(NamedTuple):
    """A type as CREATE TABLE has it."""

    server: str
    sql: str
    values: st.SearchStrategy[Value]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _mysql_quoted(text: str) -> str:
    return f"_utf8mb4 x'{text.encode().hex()}'" if text else "''"


def _values(
    kind: str,
    meanings: st.SearchStrategy[Any],
    sql: Callable[[Any], str] = str,
    kept: Callable[[Any], Any] = lambda meaning: meaning,
) -> st.SearchStrategy[Value]:
    """``kept`` is what the server's type makes of what is written."""
    return meanings.map(lambda each: Value(kind, kept(each), sql(each)))


def _whole(bits: int, *, signed: bool = True) -> st.SearchStrategy[Value]:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    some = st.sampled_from([each for each in (0, 1, 2, low, high, 2014, 20140719) if each <= high])
    return _values("number", (some | st.integers(low, high)).map(Decimal), lambda d: str(int(d)))


#: Python's own context rounds what has more than 28 digits.
_WIDE = Context(prec=100)


def _decimal(digits: int, places: int) -> st.SearchStrategy[Value]:
    most = 10**digits - 1
    some = [0, 1, 10**places, 15 * 10 ** max(places - 1, 0), -most, most, 5]
    wholes = st.sampled_from(some) | st.integers(-most, most)
    return _values(
        "number", wholes.map(lambda n: Decimal(n).scaleb(-places, _WIDE)), "{:f}".format
    )


_REALS = st.sampled_from(
    [0.0, 1.0, 8010.0, 0.1, 0.1 + 0.2, 19.999, 1e22, 2.5, -7.5, 1e-7, 123456789.125]
)
_SINGLES = st.sampled_from([0.0, 1.0, 8010.0, 0.1, 19.999, 2.5, -7.5, 1e-7])
_DOUBLES = _REALS | st.floats(-1e300, 1e300, allow_subnormal=False)


_WORDS = [
    *("", " ", "plain", "Käse 😀", "x" * 100, "x" * 99 + "  ", "x" * 101, "yes", "t", "f", "True"),
    *("0", "1", "007", " 7 ", "7.5", "7.50", "1_000", "1e3", "-0", "1e400", "nan", "0.00049", "½"),
    *("12345678901234567890.12345", "0.12345678901234567890", "9007199254740993", "١٢"),
    *("2014-07-19", "2014-07-19 00:00:00", "2014-07-19 10:30", "20140719", "1210010500123"),
    *("2014-07-19T10:30:00.1234567Z", "2014-07-19 10:30:00+02:00", "0000-00-00", "2014-02-30"),
    *("0001-01-01", "0001-01-01 00:00:00", "9999-12-31 23:59:59", "2024-03-31 02:30:00"),
    *("10:30", "10:30:00.1234567", "10:30+02:00", "24:00", "1 02:03:04", "-00:30:00", "P1DT2H"),
    *("12345678-1234-5678-1234-567812345678", "{12345678123456781234567812345678}"),
    *("127.0.0.1", " ::1 ", "2001:0db8::0001", "::ffff:10.0.0.1", "2130706433"),
    *('{"a": 1, "a": 2}', '{"b": 0.1, "a": [null, true]}', "[0.12345678901234567]", '"x"', "null"),
]


def _texts(longest: int, quoted: Callable[[str], str]) -> st.SearchStrategy[str]:
    letters = st.characters(exclude_categories=["Cs", "Cc"])
    return (st.sampled_from(_WORDS) | st.text(letters, max_size=20)).filter(
        lambda text: len(text) <= longest
    )


def _text(
    longest: int, quoted: Callable[[str], str], kept: Callable[[str], str] = str
) -> st.SearchStrategy[Value]:
    return _values("text", _texts(longest, quoted), quoted, kept)


_BYTES = st.sampled_from(
    [b"", b"\x00", b"\x01", b"7", b"1.5", b"\xff", b"abc", b"::1", b"[1]"]
) | st.binary(max_size=20)
_DATES = (
    st.sampled_from([dt.date(1, 1, 1), dt.date(9999, 12, 31), dt.date(2024, 2, 29)]) | st.dates()
)
_TIMES = st.sampled_from([dt.time(), dt.time(8, 30), dt.time(23, 59, 59, 999999)]) | st.times()
_MOMENTS = (
    st.sampled_from(
        [
            *(dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, 10, 30), dt.datetime(1, 1, 1)),
            *(dt.datetime(9999, 12, 31, 23, 59, 59), dt.datetime(2024, 3, 31, 2, 30)),
            *(dt.datetime(2024, 10, 27, 2, 30), dt.datetime(1899, 12, 30, 13, 5)),
        ]
    )
    | st.datetimes()
)
_EARLY = st.sampled_from([dt.datetime(2024, 1, 1), dt.datetime(2024, 10, 27, 0, 30)])
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**31), 2**31)
    | st.sampled_from(["", "x", "é", "123", "null"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=4,
)
_DURATIONS = st.sampled_from(
    [
        dt.timedelta(),
        dt.timedelta(hours=8, minutes=30),
        dt.timedelta(days=400),
        -dt.timedelta(hours=1),
    ]
)
_UUIDS = st.sampled_from([uuid.UUID("12345678-1234-4678-9234-567812345678")]) | st.uuids(version=4)
_ADDRESSES = st.sampled_from(["127.0.0.1", "::1", "2001:db8::1", "::ffff:10.0.0.1"])


def _no_microseconds(moment: Any) -> Any:
    return moment.replace(microsecond=0)


def _sqlite() -> dict[str, st.SearchStrategy[Value]]:
    # NUL and what is no number have no literals.
    return {
        "INTEGER": _whole(63),
        "REAL": _values("real", _DOUBLES, repr),
        "TEXT": _text(200, _quoted),
        "BLOB": _values("bytes", _BYTES, lambda each: f"x'{each.hex()}'"),
    }


def _postgresql() -> dict[str, st.SearchStrategy[Value]]:
    def cast(name: str) -> Callable[[Any], str]:
        return lambda each: f"{_quoted(str(each))}::{name}"

    odd_reals = st.sampled_from([float("nan"), float("inf"), float("-inf")])
    instants = _MOMENTS.filter(lambda each: 1 < each.year < 9999)  # of others its driver tells
    return {
        "smallint": _whole(16),
        "integer": _whole(32),
        "bigint": _whole(64),
        "numeric": _decimal(30, 12) | _values("number", st.just(Decimal("NaN")), cast("numeric")),
        "numeric(12,3)": _decimal(12, 3),
        # Six digits are what it keeps, and what PostgreSQL shows of it.
        "real": _values("real", _SINGLES, lambda each: f"'{each!r}'"),
        "double precision": _values("real", _DOUBLES | odd_reals, lambda each: f"'{each!r}'"),
        "boolean": _values("bool", st.booleans()),
        "text": _text(200, _quoted),
        "varchar(120)": _text(120, _quoted),
        "char(12)": _text(12, _quoted, lambda text: text.ljust(12)),
        "bytea": _values("bytes", _BYTES, lambda each: f"'\\x{each.hex()}'"),
        "date": _values("date", _DATES, lambda each: f"'{each.isoformat()}'"),
        "timestamp": _values("moment", _MOMENTS, lambda each: f"'{each.isoformat()}'"),
        "timestamptz": _values(
            "instant",
            instants.map(lambda m: m.replace(tzinfo=dt.UTC)),
            lambda m: f"'{m.isoformat()}'",
        ),
        "time": _values("time", _TIMES, lambda each: f"'{each.isoformat()}'"),
        "timetz": _values(
            "time with zone",
            _TIMES.map(lambda each: each.replace(tzinfo=dt.timezone(dt.timedelta(hours=2)))),
            lambda each: f"'{each.isoformat()}'",
        ),
        "interval": _values(
            "duration", _DURATIONS, lambda d: f"'{d.days} days {d.seconds} seconds'"
        ),
        "uuid": _values("uuid", _UUIDS, cast("uuid")),
        "json": _values("json", _JSON, lambda each: _quoted(json.dumps(each))),
        "jsonb": _values("json", _JSON, lambda each: _quoted(json.dumps(each))),
        "inet": _values("address", _ADDRESSES, cast("inet"), ipaddress.ip_address),
        "macaddr": _values("text", st.just("08:00:2b:01:02:03"), _quoted),
        "integer[]": _values(
            "list", st.lists(st.integers(0, 3), max_size=3), lambda each: f"ARRAY{each}::integer[]"
        ),
        "bit(8)": _values("text", st.sampled_from(["00000001", "01010101"]), lambda b: f"B'{b}'"),
    }


def _mariadb() -> dict[str, st.SearchStrategy[Value]]:
    # What is older may work, says the manual.
    real_dates = _DATES.map(lambda each: max(each, dt.date(1000, 1, 1)))
    moments = _MOMENTS.map(lambda each: max(each, dt.datetime(1000, 1, 1)))
    stamps = _EARLY | st.datetimes(dt.datetime(1971, 1, 2), dt.datetime(2037, 12, 30))
    quoted = lambda each: f"'{each}'"  # noqa: E731
    iso = lambda each: f"'{each.isoformat(' ')}'"  # noqa: E731
    return {
        "tinyint(1)": _whole(8),
        "smallint": _whole(16),
        "mediumint": _whole(24),
        "int": _whole(32),
        "bigint": _whole(64),
        "bigint unsigned": _whole(64, signed=False),
        "decimal(12,3)": _decimal(12, 3),
        "decimal(30,10)": _decimal(30, 10),
        "double": _values("real", _DOUBLES, repr),
        "bit(1)": _values(
            "number", st.sampled_from([Decimal(0), Decimal(1)]), lambda n: f"b'{int(n)}'"
        ),
        "bit(8)": _values("number", st.integers(0, 255).map(Decimal), lambda n: f"b'{int(n):b}'"),
        "char(12)": _text(12, _mysql_quoted, lambda text: text.rstrip(" ")),
        "varchar(120)": _text(120, _mysql_quoted),
        "varchar(120) COLLATE utf8mb4_bin": _text(120, _mysql_quoted),
        "text": _text(200, _mysql_quoted),
        "varbinary(50)": _values("bytes", _BYTES, lambda each: f"x'{each.hex()}'"),
        "blob": _values("bytes", _BYTES, lambda each: f"x'{each.hex()}'"),
        "date": _values("date", real_dates, quoted)
        | _values("no date", st.sampled_from(["0000-00-00", "2004-02-31"]), quoted),
        "datetime": _values("moment", moments.map(_no_microseconds), iso)
        | _values("no date", st.just("0000-00-00 00:00:00"), quoted),
        "datetime(6)": _values("moment", moments, iso),
        "time": _values("duration", _DURATIONS.filter(lambda d: abs(d.days) < 2), quoted_duration),
        "year": _values("number", st.sampled_from([Decimal(1999), Decimal(2024)]), quoted),
        "enum('a', 'b')": _values("text", st.sampled_from(["a", "b"]), quoted),
        "set('a', 'b')": _values("text", st.sampled_from(["a", "b", "a,b"]), quoted),
        "json": _values("text", _JSON.map(json.dumps), _mysql_quoted),
        "timestamp(6)": _values(
            "instant", stamps, iso, lambda moment: moment.replace(tzinfo=dt.UTC)
        ),
    }


def quoted_duration(each: dt.timedelta) -> str:
    """As MySQL writes a TIME."""
    sign, rest = ("-", -each) if each < dt.timedelta() else ("", each)
    hours, seconds = divmod(int(rest.total_seconds()), 3600)
    return f"'{sign}{hours:02}:{seconds // 60:02}:{seconds % 60:02}'"


TYPES = [
    LegacyType(server, sql, values)
    for server, types in (
        ("sqlite", _sqlite()),
        ("postgresql", _postgresql()),
        ("mysql", _mariadb()),
    )
    for sql, values in types.items()
]
