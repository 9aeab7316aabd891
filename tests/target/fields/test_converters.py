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
from data_migration.fields.converters import converter
from data_migration.migration import Migration
from tests.apps.shop.models import Custom, Everything
from tests.support.engine import migrate, migrate_fine, undone
from tests.support.writers import WRITERS

BERLIN = ZoneInfo("Europe/Berlin")
AN_ID = uuid.UUID("12345678-1234-5678-1234-567812345678")


def convert(name: str, value: Any) -> Any:
    return converter(Everything._meta.get_field(name), "legacy_column")(value)


REPAIRS = [
    ("text", "as it is", "as it is"),
    ("text", b"Caf\xc3\xa9", "Café"),
    ("text", bytearray(b"abc"), "abc"),
    ("long_text", memoryview(b"abc"), "abc"),
    ("text", 7, "7"),
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
    ("boolean", 1, True),
    ("boolean", 0, False),
    ("boolean", "t", True),
    ("boolean", "False", False),
    ("boolean", "0", False),
    ("date", "1962-02-18", dt.date(1962, 2, 18)),
    ("date", "1962-02-18 00:00:00", dt.date(1962, 2, 18)),
    ("date", dt.datetime(1962, 2, 18, 23, 59), dt.date(1962, 2, 18)),
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
    ("uuid", AN_ID.int, AN_ID),
    ("binary", "Café", b"Caf\xc3\xa9"),
    ("binary", memoryview(b"ab"), b"ab"),
    ("json", '{"a": [1, null]}', {"a": [1, None]}),
    ("json", b"[1]", [1]),
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


@pytest.mark.parametrize("field", Everything._meta.concrete_fields, ids=lambda field: field.name)
def test_null_stays_null_in_every_field(field: Any) -> None:
    assert converter(field, "legacy_column")(None) is None


REFUSALS = [
    ("text", b"\xff\xfe", "UnicodeDecodeError"),
    ("integer", "seven", "integer"),
    ("integer", 7.5, "whole number"),
    ("integer", Decimal("0.001"), "whole number"),
    ("integer", float("nan"), "NaN"),
    ("integer", float("inf"), "infinity"),
    ("integer", [1], "integer"),
    ("real", "1,5", "float"),
    ("decimal", "1,5", "decimal"),
    ("decimal", float("nan"), "decimal"),
    ("boolean", 2, "True"),
    ("boolean", "yes", "True"),
    ("date", "0000-00-00", "date"),
    ("date", "2021-02-29", "date"),
    ("date", 5, ""),
    ("date_time", "yesterday", "format"),
    ("date_time", 5, ""),
    ("date_time", "2021-02-29 10:00", "date"),
    ("time", dt.timedelta(hours=25), "time of day"),
    ("time", dt.timedelta(seconds=-1), "time of day"),
    ("time", "25:00", "time"),
    ("duration", "long", "format"),
    ("uuid", "nothing", "UUID"),
    ("uuid", b"short", ""),
    ("binary", 1.5, ""),
    ("json", "{broken", "JSONDecodeError"),
    ("address", "::nonsense::", "address"),
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
    assert converter(Custom._meta.get_field("upper"), "upper")("abc") == "ABC"


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
        once = convert(name, value)
        twice = convert(name, once)
        assert twice == once
        assert type(twice) is type(once)


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
        migrate_fine(Chosen, [row])
        stored = Everything.objects.get()
        for name, value in row.items():
            expected, found = convert(name, value), getattr(stored, name)
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
