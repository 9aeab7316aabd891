"""A driver's value -> the field's value: the repairs, the refusals, and what comes back."""

from __future__ import annotations

import datetime as dt
import json
import uuid
import warnings
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from data_migration.exceptions import ConversionError
from data_migration.fields.converters import Conversion
from data_migration.fields.losses import Changed
from data_migration.migration import Migration
from tests.apps.shop.models import Custom, Everything
from tests.support.engine import migrate, undone
from tests.support.writers import WRITERS

BERLIN = ZoneInfo("Europe/Berlin")
AN_ID = uuid.UUID("12345678-1234-5678-1234-567812345678")


def convert(name: str, value: Any) -> Any:
    return conversion(Everything._meta.get_field(name))(value)


def conversion(field: Any) -> Conversion:
    return Conversion(field, "legacy_column", database="default")


REPAIRS = [
    ("text", "as it is", "as it is"),
    ("text", b"Caf\xc3\xa9", "Café"),
    ("text", bytearray(b"abc"), "abc"),
    ("long_text", memoryview(b"abc"), "abc"),
    ("text", 7, "7"),
    ("text", 8010.0, "8010"),
    ("text", 0.1, "0.1"),
    ("text", 1e22, "1e+22"),
    ("text", Decimal("0E-10"), "0.0000000000"),
    ("file", b"a.png", "a.png"),
    ("integer", "7", 7),
    ("integer", 7.0, 7),
    ("integer", Decimal("7.00"), 7),
    ("integer", True, 1),
    ("big", "-9000000000", -9000000000),
    ("real", "1.5", 1.5),
    ("real", 2, 2.0),
    ("decimal", "12.340", Decimal("12.340")),
    ("decimal", 12, Decimal(12)),
    ("decimal", 0.1, Decimal("0.1")),
    ("decimal", 0.1 + 0.2, Decimal("0.300000000000000")),
    ("decimal", "1.5000000", Decimal("1.5000000")),
    ("boolean", 1, True),
    ("boolean", 0, False),
    ("boolean", "t", True),
    ("boolean", "False", False),
    ("boolean", "0", False),
    ("boolean", b"\x01", True),
    ("boolean", memoryview(b"\x00"), False),
    ("date", "1962-02-18", dt.date(1962, 2, 18)),
    ("date", "1962-02-18 00:00:00", dt.date(1962, 2, 18)),
    ("date", dt.datetime(1962, 2, 18), dt.date(1962, 2, 18)),
    ("date", "20140719", dt.date(2014, 7, 19)),
    ("date_time", "2020-07-01 12:00:00", dt.datetime(2020, 7, 1, 12, tzinfo=BERLIN)),
    ("date_time", dt.datetime(2020, 7, 1, 12), dt.datetime(2020, 7, 1, 12, tzinfo=BERLIN)),
    ("date_time", dt.date(2020, 7, 1), dt.datetime(2020, 7, 1, tzinfo=BERLIN)),
    ("date_time", "2020-07-01T12:00:00Z", dt.datetime(2020, 7, 1, 12, tzinfo=dt.UTC)),
    ("time", dt.timedelta(hours=13, minutes=5), dt.time(13, 5)),
    ("time", "13:05:00", dt.time(13, 5)),
    ("duration", "1 02:03:04", dt.timedelta(days=1, hours=2, minutes=3, seconds=4)),
    ("uuid", str(AN_ID), AN_ID),
    ("uuid", AN_ID.hex, AN_ID),
    ("uuid", AN_ID.bytes, AN_ID),
    ("uuid", memoryview(AN_ID.bytes), AN_ID),
    ("uuid", AN_ID.int, AN_ID),
    ("binary", "Café", b"Caf\xc3\xa9"),
    ("binary", memoryview(b"ab"), b"ab"),
    ("json", '{"a": [1, null]}', {"a": [1, None]}),
    ("json", b"[1]", [1]),
    ("json", memoryview(b"[1.10, 1e3]"), [1.1, 1000.0]),
    ("json", {"a": 1}, {"a": 1}),
    ("address", "2001:0db8:0000::0001", "2001:db8::1"),
]


@pytest.mark.parametrize(("name", "value", "expected"), REPAIRS)
def test_value_becomes_the_fields_own(name: str, value: Any, expected: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        converted = convert(name, value)
    assert converted == expected
    assert type(converted) is type(expected)


LOSSES = [
    ("decimal", Decimal("19.9996"), Decimal("20.000"), "rounded to 3 decimal places"),
    ("decimal", 0.0004, Decimal("0.000"), "rounded to 3 decimal places"),
    ("decimal", "0.0005", Decimal("0.001"), "rounded to 3 decimal places"),
    ("real", 2**53 + 1, float(2**53), "about 16 digits"),
    ("real", Decimal("0.12345678901234567890"), 0.12345678901234568, "about 16 digits"),
    ("real", "0.12345678901234567890", 0.12345678901234568, "about 16 digits"),
    ("real", b"1.5", 1.5, "BIT column"),
    ("integer", b"7", 7, "BIT column"),
    ("decimal", b"1.5", Decimal("1.5"), "BIT column"),
    ("date", dt.datetime(1962, 2, 18, 23, 59), dt.date(1962, 2, 18), "time of day"),
    ("date", "1962-02-18 00:01", dt.date(1962, 2, 18), "time of day"),
    (
        "date",
        dt.datetime(2020, 7, 1, 23, tzinfo=dt.UTC),
        dt.date(2020, 7, 2),
        "time of day",
    ),
    (
        "date_time",
        "2020-07-01 12:00:00.1234567",
        dt.datetime(2020, 7, 1, 12, 0, 0, 123456, tzinfo=BERLIN),
        "six decimal places",
    ),
    ("time", dt.datetime(1899, 12, 30, 13, 5), dt.time(13, 5), "date is left out"),
    ("time", "13:05+02:00", dt.time(13, 5), "zone is left out"),
    ("time", dt.time(13, 5, tzinfo=dt.UTC), dt.time(13, 5), "zone is left out"),
    ("time", "13:05:00.1234567", dt.time(13, 5, 0, 123456), "six decimal places"),
    ("duration", "13:05:00.1234567", dt.timedelta(0, 47100, 123456), "six decimal places"),
    ("json", '{"a": 0.1234567890123456789}', {"a": 0.12345678901234568}, "JSON is rounded"),
    ("json", '[{"a": 1, "a": 2}]', [{"a": 2}], "stands twice"),
]


@pytest.mark.parametrize(("name", "value", "kept", "cause"), LOSSES)
def test_value_that_loses_something_is_told_from_one_that_does_not(
    name: str, value: Any, kept: Any, cause: str
) -> None:
    made = convert(name, value)
    assert type(made) is Changed, made
    assert made.value == kept
    assert type(made.value) is type(kept)
    assert cause in made.cause
    assert conversion(Everything._meta.get_field(name)).of_all([value]) == [made]


@pytest.mark.parametrize("field", Everything._meta.concrete_fields, ids=lambda field: field.name)
def test_null_stays_null_in_every_field(field: Any) -> None:
    assert conversion(field)(None) is None


REFUSALS = [
    ("text", b"\xff\xfe", "UnicodeDecodeError"),
    ("integer", "seven", "integer"),
    ("integer", 7.5, "whole number"),
    ("integer", Decimal("0.001"), "whole number"),
    ("integer", float("nan"), "NaN"),
    ("integer", float("inf"), "infinity"),
    ("integer", [1], "a list is no number"),
    ("real", "1,5", "float"),
    ("decimal", "1,5", "decimal"),
    ("decimal", float("nan"), "decimal"),
    ("decimal", "1_000", "underscores"),
    ("integer", "1_000", "underscores"),
    ("real", "1_000", "underscores"),
    ("real", "1e999", "too large"),
    ("boolean", 2, "True"),
    ("boolean", "yes", "True"),
    ("date", "0000-00-00", "date"),
    ("date", "2021-02-29", "date"),
    (
        "date",
        20140719,
        "number is no date. Say in the query what it counts",
    ),
    ("date", "1210010500123", "number is no date"),
    ("date_time", "yesterday", "format"),
    ("date_time", 1405728000, "number is no moment. Say in the query what it counts"),
    ("date_time", "1210010500123", "number is no date"),
    ("date_time", "0001-01-01 00:00", "outside of the years 1 to 9999"),
    ("date_time", dt.datetime(1, 1, 1), "outside of the years 1 to 9999"),
    ("date_time", "2021-02-29 10:00", "date"),
    ("time", dt.timedelta(hours=25), "time of day"),
    ("time", dt.timedelta(seconds=-1), "time of day"),
    ("time", "25:00", "time"),
    ("time", 1030, "number is no time of day"),
    ("time", dt.date(2020, 1, 1), "no time of day"),
    ("integer", AN_ID, "UUID is no number"),
    ("decimal", (0, (1, 2), -1), "tuple is no number"),
    ("boolean", [], "neither true nor false"),
    ("boolean", {}, "neither true nor false"),
    ("uuid", False, "a boolean is no UUID"),
    ("time", "00000001", "four or six"),
    ("duration", "", "empty text is no duration"),
    ("duration", 90, "number is no duration"),
    ("duration", dt.time(1, 30), "no duration"),
    ("duration", "long", "format"),
    ("uuid", "nothing", "UUID"),
    ("uuid", b"short", "a UUID has 16 bytes, and these are 5"),
    ("binary", 1.5, ""),
    ("json", "{broken", "JSONDecodeError"),
    ("address", "::nonsense::", "address"),
    ("address", 2130706433, "INET_NTOA"),
    ("address", b"\x7f\x00\x00\x01", "INET6_NTOA"),
    ("address", dt.date(2020, 1, 1), "no address"),
]


@pytest.mark.parametrize(("name", "value", "cause"), REFUSALS)
def test_wrong_value_is_refused_with_column_and_value(name: str, value: Any, cause: str) -> None:
    with pytest.raises(ConversionError) as caught:
        convert(name, value)
    assert caught.value.column == "legacy_column"
    assert caught.value.value is value
    assert cause in caught.value.cause
    assert isinstance(caught.value, ValueError)


def test_binary_refuses_a_number_instead_of_making_that_many_zero_bytes() -> None:
    with pytest.raises(ConversionError):
        convert("binary", 3)


def test_users_own_field_converts_even_values_of_its_own_type() -> None:
    assert conversion(Custom._meta.get_field("upper"))("abc") == "ABC"


def test_naive_times_stay_naive_without_time_zones(settings: Any) -> None:
    settings.USE_TZ = False
    noon = dt.datetime(2020, 7, 1, 12)
    assert convert("date_time", noon) == noon
    aware = dt.datetime(2020, 7, 1, 10, tzinfo=dt.UTC)
    assert convert("date_time", aware) == noon


def _text(**options: Any) -> st.SearchStrategy[str]:
    # NUL and lone surrogates have no place in a database's text.
    return st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), **options)


_MILLIS = st.integers(0, 10**6 - 1)
_DATE_TIMES = st.datetimes(dt.datetime(1971, 1, 2), dt.datetime(2037, 12, 30))
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | _text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text(max_size=3), inner),
    max_leaves=5,
)
_DECIMALS = st.decimals(-(10**8), 10**8, places=3)
_WORDS = st.from_regex(r"[a-z0-9-]{1,20}", fullmatch=True)
#: What a legacy driver may return for each field, in all its disguises.
LEGACY_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": _text(max_size=100) | _text(max_size=20).map(str.encode) | st.integers(),
    "long_text": _text() | _text().map(str.encode),
    "slug": _WORDS,
    "email": _WORDS.map("{}@example.org".format),
    "url": _WORDS.map("https://example.org/{}".format),
    "file": _WORDS,
    "integer": (whole := st.integers(-(2**31), 2**31 - 1)) | whole.map(str) | whole.map(float),
    "small": st.integers(-(2**15), 2**15 - 1),
    "big": (st.integers(-(2**63), 2**63 - 1)) | st.integers(-(2**63), 2**63 - 1).map(str),
    "positive": st.integers(0, 2**31 - 1),
    "positive_small": st.integers(0, 2**15 - 1),
    "positive_big": st.integers(0, 2**63 - 1),
    "real": st.floats(-1e15, 1e15, allow_subnormal=False) | whole,
    "decimal": _DECIMALS | _DECIMALS.map(str) | st.integers(-(10**8), 10**8),
    "boolean": st.booleans() | st.sampled_from([0, 1, "t", "f", "True", "False", "0", "1"]),
    "date": (dates := st.dates(dt.date(1000, 1, 1))) | dates.map(str) | _DATE_TIMES,
    "date_time": _DATE_TIMES | _DATE_TIMES.map(str) | _DATE_TIMES.map(dt.datetime.date),
    "time": st.times() | st.times().map(str) | _MILLIS.map(lambda n: dt.timedelta(microseconds=n)),
    "duration": st.timedeltas(dt.timedelta(days=-9999), dt.timedelta(days=9999)),
    # MariaDB takes real ones only, with a version and a variant.
    "uuid": (ids := st.uuids(version=4)) | ids.map(str) | ids.map(lambda each: each.bytes),
    "binary": st.binary(max_size=50) | st.binary(max_size=50).map(memoryview),
    "json": st.dictionaries(_text(max_size=3), _JSON).flatmap(
        lambda value: st.sampled_from([value, json.dumps(value)])
    ),
    "address": st.ip_addresses().map(str),
}


def test_property_tests_cover_every_field_type() -> None:
    names = {field.name for field in Everything._meta.concrete_fields} - {"id"}
    assert set(LEGACY_VALUES) == names


def _rows() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({name: st.none() | each for name, each in LEGACY_VALUES.items()})


@settings(max_examples=40)
@given(_rows())
def test_conversion_is_idempotent(row: dict[str, Any]) -> None:
    for name, value in row.items():
        once = kept(name, value)
        twice = convert(name, once)
        assert twice == once
        assert type(twice) is type(once)


def kept(name: str, value: Any) -> Any:
    made = convert(name, value)
    return made.value if type(made) is Changed else made


class EverythingMigration(Migration):
    model = Everything


@pytest.mark.django_db
@settings(max_examples=25)
@given(_rows(), st.sampled_from(WRITERS))
def test_conversion_equals_what_django_reads_back(row: dict[str, Any], writer: str) -> None:
    class Chosen(EverythingMigration):
        pass

    Chosen.writer = writer
    with undone():
        assert migrate(Chosen, [row]).counts["created"] == 1
        stored = Everything.objects.get()
        for name, value in row.items():
            expected, found = kept(name, value), getattr(stored, name)
            if name == "file":
                expected, found = expected or "", found.name or ""
            assert _comparable(found) == _comparable(expected), name


def _comparable(value: Any) -> Any:
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, float) and connection.vendor == "mysql":
        return float(f"{value:.14g}")  # what the driver sends
    return value


@pytest.mark.django_db
def test_each_wrong_value_is_reported_with_key_column_and_value() -> None:
    rows = [
        {"id": 1, "integer": 5, "date": "2020-01-31"},
        {"id": 2, "integer": "five", "date": "2020-01-31"},
        {"id": 3, "integer": 5, "date": "0000-00-00"},
    ]
    result = migrate(EverythingMigration, rows)
    assert result.told == [("2", "integer", "'five'"), ("3", "date", "'0000-00-00'")]
    assert result.counts == {"created": 1, "failed": 2}
