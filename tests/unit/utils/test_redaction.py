"""No password survives in a text."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from data_migration.sources.base import Source
from data_migration.sources.odbc import connection_string
from data_migration.utils.redaction import redact
from data_migration.utils.wording import printable_cause, words

SECRET = "p@ss;w}rd 100%'\\"


@pytest.mark.parametrize(
    "spelling",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        SECRET.replace("}", "}}"),
        repr(SECRET)[1:-1],
        SECRET.replace("'", "''"),
    ],
)
@pytest.mark.parametrize(
    "entry",
    [
        {"PASSWORD": SECRET},
        {"OPTIONS": {"passwd": SECRET}},
        {"OPTIONS": {"ssl": {"key_password": SECRET}}},
        {"OPTIONS": {"AccessToken": SECRET}},
    ],
)
def test_configured_secrets_are_masked_however_they_are_spelt(
    entry: dict[str, Any], spelling: str, legacy_sources: dict[str, Any]
) -> None:
    legacy_sources["legacy"] = entry
    assert redact(f"denied <{spelling}> for joe") == "denied <***> for joe"


def test_short_secrets_are_masked_as_words(legacy_sources: dict[str, Any]) -> None:
    legacy_sources["legacy"] = {"PASSWORD": "ab"}
    assert redact("table 'ab' is no table of cab") == "table '***' is no table of cab"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("UID=joe;PWD=s3c;DATABASE=x", "UID=joe;PWD=***;DATABASE=x"),
        ("UID=joe;PWD={s3;}}c};DATABASE=x", "UID=joe;PWD=***;DATABASE=x"),
        ("host=db password='it\\'s me' user=joe", "host=db password=*** user=joe"),
        ("password = s3c, user = joe", "password = ***, user = joe"),
        ("mysql://joe:s3c@db/shop", "mysql://joe:***@db/shop"),
        ("no password here: just words", "no password here: just words"),
    ],
)
def test_what_looks_like_a_password_is_masked(
    text: str, masked: str, legacy_sources: dict[str, Any]
) -> None:
    assert redact(text) == masked


def test_words_are_one_line_without_full_stop(legacy_sources: dict[str, Any]) -> None:
    assert words(Exception("first\n  second.\n")) == "first second"
    assert words(ValueError()) == "ValueError"
    assert words(Exception(1045, "Access denied")) == "Access denied (1045)"
    assert words(Exception("42S02", "[42S02] no such table")) == "[42S02] no such table"


def test_a_cause_that_would_print_a_secret_is_left_out(legacy_sources: dict[str, Any]) -> None:
    legacy_sources["legacy"] = {"PASSWORD": "hidden-word"}
    harmless, inner, outer = Exception("no"), Exception("hidden-word"), Exception("outer")
    outer.__context__ = inner
    assert printable_cause(harmless) is harmless
    assert printable_cause(inner) is None
    assert printable_cause(outer) is None


SERVER = {"HOST": "db", "PORT": 1433, "NAME": "shop", "USER": "joe", "PASSWORD": "a;b}c"}


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (
            {
                **SERVER,
                "OPTIONS": {"driver": "ODBC Driver 18 for SQL Server", "Encrypt": False},
            },
            "DRIVER={ODBC Driver 18 for SQL Server};SERVER=db,1433;DATABASE=shop;UID=joe;"
            "PWD={a;b}}c};ENCRYPT=no",
        ),
        (
            {**SERVER, "OPTIONS": {"driver": "{PostgreSQL Unicode}", "fetch": 500}},
            "DRIVER={PostgreSQL Unicode};SERVER=db;PORT=1433;DATABASE=shop;UID=joe;"
            "PWD={a;b}}c};USEDECLAREFETCH=1;FETCH=500",
        ),
        (
            {"OPTIONS": {"driver": "MariaDB Unicode", "STREAMRS": False}},
            "DRIVER={MariaDB Unicode};FORWARDONLY=1;STREAMRS=0",
        ),
        (
            {"OPTIONS": {"driver": "MySQL ODBC 8.0 Unicode Driver"}},
            "DRIVER={MySQL ODBC 8.0 Unicode Driver};NO_CACHE=1;FORWARD_CURSOR=1",
        ),
        (
            {"NAME": "/data/a b.db", "OPTIONS": {"driver": "SQLite3"}},
            "DRIVER={SQLite3};DATABASE=/data/a b.db;NOCREAT=1",
        ),
        ({"OPTIONS": {"dsn": "old"}, "USER": "joe"}, "UID=joe;FORWARDONLY=1;STREAMRS=1;DSN=old"),
        ({"OPTIONS": {"dsn": "unknown"}}, "DSN=unknown"),
    ],
)
def test_odbc_connection_strings(entry: dict[str, Any], text: str) -> None:
    source = Source("legacy", {"ENGINE": "odbc", **entry})
    assert connection_string(source, {"old": "MariaDB Unicode"}) == text
