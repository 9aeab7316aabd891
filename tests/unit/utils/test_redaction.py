"""No password survives in a text."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from data_migration.sources.base import Source, cannot_connect
from data_migration.sources.odbc import connection_string
from data_migration.utils.redaction import redact, without_configured
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
        # addresses
        ("postgres://joe:s3/c?@db/shop", "postgres://joe:***@db/shop"),
        ("GET https://tok3n@api.example.org/x", "GET https://***@api.example.org/x"),
        ("https://key:x-oauth@api.example.org/x", "https://***@api.example.org/x"),
        ("https://example.org/@anna and a@b.org", "https://example.org/@anna and a@b.org"),
        ("for url: https://api/x?api_key=s3c", "for url: https://api/x?api_key=***"),
        ("/export?key=s3c&amp;sig=a%2Fb&n=5 failed", "/export?key=***&amp;sig=***&n=*** failed"),
        ("https://app/#id_token=ey.J.x", "https://app/#id_token=***"),
        # headers
        ("Authorization: Bearer s3.c-r_t", "Authorization: ***"),
        ("Authorization: Basic am9lOnMzYw==", "Authorization: ***"),
        ("authorization=s3c, Host: api", "authorization=***, Host: api"),
        (
            "{'Authorization': 'Bearer s3c', 'Host': 'api'}",
            "{'Authorization': '***', 'Host': 'api'}",
        ),
        ('Authorization: Digest username="joe", response="6629f"', "Authorization: ***"),
        ("Proxy-Authorization: Basic eDp5\nHost: api", "Proxy-Authorization: ***\nHost: api"),
        ("X-Api-Key: s3c", "X-Api-Key: ***"),
        ("X-Amz-Signature=s3c", "X-Amz-Signature=***"),
        ("Cookie: sessionid=s3c; csrf=x, GET", "Cookie: ***, GET"),
        ("sent Bearer s3cr3t-word twice", "sent Bearer *** twice"),
        ("sent Basic am9lOnMzYw== twice", "sent Basic *** twice"),
        # assignments
        ("password: s3c", "password: ***"),
        ("password : 's 3 c', user: joe", "password : ***, user: joe"),
        ('{"password": "s 3 c", "user": "joe"}', '{"password": ***, "user": "joe"}'),
        ("{'db_token': b'x', 'user': 'joe'}", "{'db_token': ***, 'user': 'joe'}"),
        ("api_key=s3c", "api_key=***"),
        ("API-Key: s3c", "API-Key: ***"),
        ("apikey: s3c", "apikey: ***"),
        ("AWS_SECRET_ACCESS_KEY=s3c", "AWS_SECRET_ACCESS_KEY=***"),
        ("user=joe pass=s3c", "user=joe pass=***"),
        ("db_pass: s3c", "db_pass: ***"),
        ("mysqldump --password=s3c shop", "mysqldump --password=*** shop"),
        # not secrets
        ("denied for 'joe' (using password: YES)", "denied for 'joe' (using password: YES)"),
        ("{'password': ['It may not be blank.']}", "{'password': ['It may not be blank.']}"),
        ("Basic information is missing", "Basic information is missing"),
        ("a Bearer token is needed", "a Bearer token is needed"),
        ("bypass: no, compass=east", "bypass: no, compass=east"),
        ("WHERE a = ? AND b = 5", "WHERE a = ? AND b = 5"),
        ("at 10:30:00 in http://db:3306/shop", "at 10:30:00 in http://db:3306/shop"),
        ("key 7, legacy key: id", "key 7, legacy key: id"),
    ],
)
def test_what_looks_like_a_password_is_masked(
    text: str, masked: str, legacy_sources: dict[str, Any]
) -> None:
    assert redact(text) == masked
    assert redact(masked) == masked


@pytest.mark.parametrize(
    "text", ["x" * 500_000, "x_" * 250_000, "a://" * 100_000, "?a" * 200_000, "x-key" * 100_000]
)
def test_a_long_text_is_looked_through_once(text: str, legacy_sources: dict[str, Any]) -> None:
    begun = time.process_time()
    assert redact(text) == text
    assert time.process_time() - begun < 5


@pytest.mark.parametrize(
    "entry",
    [
        {"NAME": "postgresql://joe:hid/den@db/shop"},
        {"NAME": "postgresql://joe:hid%2Fden@db/shop"},
        {"NAME": "host=db user=joe password=hid/den"},
        {"NAME": "host=db user=joe password='hid/den'"},
        {"NAME": "joe:hid/den@db/shop"},
        {"HOST": "joe:hid/den@db"},
        {"USER": "joe:hid/den"},
        {"USER": "joe/hid/den"},
        {"OPTIONS": {"dsn": "DSN=old;UID=joe;PWD={hid/den}"}},
        {"OPTIONS": {"dsn": "mysql://joe:hid/den@db"}},
    ],
)
def test_a_password_inside_another_entry_is_a_secret_too(
    entry: dict[str, Any], legacy_sources: dict[str, Any]
) -> None:
    legacy_sources["legacy"] = {"ENGINE": "postgresql", **entry}
    assert redact("denied <hid/den> for joe") == "denied <***> for joe"
    source = Source("legacy", legacy_sources["legacy"])
    assert "den" not in str(cannot_connect(source, Exception("no hid/den")))


@pytest.mark.parametrize(
    "entry",
    [
        {"NAME": "C:\\data\\old.mdb", "HOST": "::1", "USER": "SHOP\\joe", "PORT": 5432},
        {"NAME": "file:old.db?mode=ro", "HOST": "/var/run/db", "USER": "joe@server"},
    ],
)
def test_what_holds_no_password_is_told(
    entry: dict[str, Any], legacy_sources: dict[str, Any]
) -> None:
    legacy_sources["legacy"] = entry
    text = " ".join(str(value) for key, value in entry.items() if key != "NAME")
    assert without_configured(f"{text} {entry['NAME']}") == f"{text} {entry['NAME']}"


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
            "DRIVER={MariaDB Unicode};FORWARDONLY=1;STREAMRS=0;CONN_TIMEOUT=10",
        ),
        (
            {"OPTIONS": {"driver": "MySQL ODBC 8.0 Unicode Driver"}},
            "DRIVER={MySQL ODBC 8.0 Unicode Driver};NO_CACHE=1;FORWARD_CURSOR=1",
        ),
        (
            {"NAME": "/data/a b.db", "OPTIONS": {"driver": "SQLite3"}},
            "DRIVER={SQLite3};DATABASE=/data/a b.db;NOCREAT=1",
        ),
        (
            {"OPTIONS": {"dsn": "old"}, "USER": "joe"},
            "UID=joe;FORWARDONLY=1;STREAMRS=1;CONN_TIMEOUT=10;DSN=old",
        ),
        ({"OPTIONS": {"dsn": "unknown"}}, "DSN=unknown"),
    ],
)
def test_odbc_connection_strings(entry: dict[str, Any], text: str) -> None:
    source = Source("legacy", {"ENGINE": "odbc", **entry})
    assert connection_string(source, {"old": "MariaDB Unicode"}) == text
