"""What drivers make of the values of real servers: never in silence, never the end of a run."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from data_migration.migration import Migration
from data_migration.outcomes import OnError
from data_migration.sources import Reader, connect
from data_migration.sources import postgresql as postgresql_source
from data_migration.spec.columns import is_a
from tests.apps.shop.models import Everything, Product, Tag
from tests.support.engine import Result, migrate_source
from tests.support.legacy import connect as connect_to_server
from tests.support.legacy import execute
from tests.support.urls import ServerURL

pytestmark = pytest.mark.django_db


def everything(query: str, **attributes: Any) -> type[Migration]:
    defaults = {"model": Everything, "query": query, "source": "legacy", "legacy_key": "id"}
    return type("EverythingMigration", (Migration,), defaults | attributes)


def values(name: str) -> dict[int, Any]:
    return dict(Everything.objects.values_list("pk", name))


def told(result: Result) -> dict[tuple[str, str], tuple[str, str, str]]:
    """(key, column) of each message -> its kind, value and cause."""
    return {(m.key, m.column): (m.kind, m.value, m.cause) for m in result.messages}


@pytest.fixture(scope="module")
def postgresql_url(fresh_postgresql_database: Any) -> ServerURL:
    url: ServerURL = fresh_postgresql_database()
    return url


@pytest.fixture(params=["psycopg2", "psycopg"])
def postgresql(
    request: pytest.FixtureRequest,
    legacy_sources: dict[str, Any],
    postgresql_url: ServerURL,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """A PostgreSQL source, read through each of its drivers."""
    driver = pytest.importorskip(request.param, exc_type=ImportError)
    monkeypatch.setattr(postgresql_source, "import_driver", lambda *names: driver)
    legacy_sources["legacy"] = postgresql_url.source()
    return str(request.param)


@pytest.fixture(scope="module")
def mysql_url(fresh_mysql_database: Any) -> ServerURL:
    url: ServerURL = fresh_mysql_database()
    return url


@pytest.fixture
def mysql(legacy_sources: dict[str, Any], mysql_url: ServerURL) -> ServerURL:
    legacy_sources["legacy"] = mysql_url.source()
    return mysql_url


class TestWhatPythonCannotHave:
    """Values of PostgreSQL that no driver can make."""

    QUERY = """
        SELECT 1 AS id, DATE '2014-07-19' AS date, NULL::timestamptz AS date_time,
            INTERVAL '1 day' AS duration
        UNION ALL SELECT 2, '0044-03-15 BC', NULL, NULL
        UNION ALL SELECT 3, NULL, '294000-01-01 00:00:00+00', NULL
        UNION ALL SELECT 4, NULL, NULL, INTERVAL '100000000 years'
        UNION ALL SELECT 5, '2015-07-19', NULL, NULL
        ORDER BY id
    """

    def test_it_is_a_failed_row_with_its_column(self, postgresql: str) -> None:
        result = migrate_source(everything(self.QUERY))
        assert (result.step.status, result.counts) == ("partial", {"created": 2, "failed": 3})
        assert values("date") == {1: dt.date(2014, 7, 19), 5: dt.date(2015, 7, 19)}
        kinds = {key: (kind, value) for key, (kind, value, _) in told(result).items()}
        assert kinds == {
            ("2", "date"): ("failure", "'0044-03-15 BC'"),
            ("3", "date_time"): ("failure", "'294000-01-01 01:00:00+01'"),
            ("4", "duration"): ("failure", "'100000000 years'"),
        }
        assert all(cause.startswith("Python has no such value") for cause in result.causes)

    def test_it_ends_a_run_that_stops_at_failures_like_any_other(self, postgresql: str) -> None:
        result = migrate_source(everything(self.QUERY), on_error=OnError.STOP)
        assert "key 2: column date, value '0044-03-15 BC'" in str(result.error)

    def test_a_hook_may_mend_it(self, postgresql: str) -> None:
        def hook_before_transformation(self: Any, row: dict[str, Any]) -> None:
            if isinstance(row["date"], str):
                row["date"] = None

        mended = everything(
            f"SELECT id, date FROM ({self.QUERY}) q WHERE id < 3",
            hook_before_transformation=hook_before_transformation,
        )
        result = migrate_source(mended)
        assert result.counts == {"created": 2, "warnings": 1}
        assert values("date") == {1: dt.date(2014, 7, 19), 2: None}

    def test_a_text_field_takes_the_text_of_the_database(self, postgresql: str) -> None:
        result = migrate_source(everything("SELECT 1 AS id, DATE '0044-03-15 BC' AS text"))
        assert values("text") == {1: "0044-03-15 BC"}
        assert result.counts == {"created": 1, "warnings": 1}

    def test_inside_of_a_list_it_is_one_as_well(self, postgresql: str) -> None:
        query = "SELECT 1 AS id, ARRAY[DATE '0044-03-15 BC'] AS long_text"
        assert migrate_source(everything(query)).counts == {"created": 1, "warnings": 1}
        assert values("long_text") == {1: '{"0044-03-15 BC"}'}

    def test_it_is_read_again_until_it_is_mended(
        self, postgresql: str, postgresql_url: ServerURL
    ) -> None:
        execute(
            postgresql_url,
            "DROP TABLE IF EXISTS person",
            "CREATE TABLE person (id int, date date)",
            "INSERT INTO person VALUES (1, '0044-03-15 BC'), (2, '2001-01-01')",
        )
        migration = everything("SELECT id, date FROM person")
        assert migrate_source(migration).counts == {"created": 1, "failed": 1}
        assert migrate_source(migration, retry_failed=True).counts == {"failed": 1}
        execute(postgresql_url, "UPDATE person SET date = '1044-03-15' WHERE id = 1")
        assert migrate_source(migration, retry_failed=True).counts == {"created": 1}


# Django's converters take the place of Python's where its SQLite backend is loaded.
@pytest.mark.filterwarnings("ignore:The default date converter is deprecated")
def test_what_detect_types_cannot_convert_is_a_failed_row(
    legacy_sources: dict[str, Any], sqlite_file: Path
) -> None:
    with closing(sqlite3.connect(sqlite_file)) as connection:
        connection.executescript(
            "CREATE TABLE person (id int, date date);"
            "INSERT INTO person VALUES (1, '2004-02-31'), (2, '2004-01-31'), (3, NULL)"
        )
    options = {"detect_types": sqlite3.PARSE_DECLTYPES}
    source = {"ENGINE": "sqlite", "NAME": sqlite_file, "OPTIONS": options}
    legacy_sources["legacy"] = source
    result = migrate_source(everything("SELECT id, date FROM person"))
    assert result.counts == {"created": 2, "failed": 1}
    assert result.told == [("1", "date", "'2004-02-31'")]
    assert values("date") == {2: dt.date(2004, 1, 31), 3: None}


class TestWhatComesAsSomethingElse:
    """Values that a driver gives as others: a warning that says so."""

    def test_infinity_months_and_the_end_of_a_day(self, postgresql: str) -> None:
        query = """
            SELECT 1 AS id, DATE 'infinity' AS date, INTERVAL '1 month 3 days' AS duration,
                TIME '24:00' AS time, 'null'::jsonb AS json
            UNION ALL
            SELECT 2, DATE '-infinity', INTERVAL '3 days', TIME '23:59', '{}'::jsonb
            ORDER BY id
        """
        result = migrate_source(everything(query))
        assert result.counts == {"created": 2, "warnings": 5}
        assert values("date") == {1: dt.date.max, 2: dt.date.min}
        assert values("duration") == {1: dt.timedelta(days=33), 2: dt.timedelta(days=3)}
        assert values("time") == {1: dt.time(), 2: dt.time(23, 59)}
        assert values("json") == {1: None, 2: {}}
        infinite = "infinity, which comes as the first or the last day that Python has"
        assert told(result) == {
            ("1", "date"): ("warning", "'infinity'", infinite),
            ("2", "date"): ("warning", "'-infinity'", infinite),
            ("1", "duration"): (
                "warning",
                "'1 mon 3 days'",
                "months and years have no fixed length: they come as 30 and 365 days",
            ),
            ("1", "time"): (
                "warning",
                "'24:00:00'",
                "the midnight that ends a day, which comes as the one that begins it",
            ),
            ("1", "json"): ("warning", "'null'", "the null of JSON, which comes as NULL"),
        }

    def test_json_with_more_digits_than_python_keeps(self, postgresql: str) -> None:
        query = """
            SELECT 1 AS id, '{"rate": [0.12345678901234567890]}'::jsonb AS json
            UNION ALL SELECT 2, '{"rate": [0.5, 100000000000000000000]}'
        """
        result = migrate_source(everything(query))
        assert result.counts == {"created": 2, "warnings": 1}
        assert [key for key, _, _ in result.told] == ["1"]
        assert values("json")[2] == {"rate": [0.5, 10**20]}

    def test_a_rerun_without_changes_says_nothing_again(self, postgresql: str) -> None:
        migration = everything("SELECT 1 AS id, DATE 'infinity' AS date", allow_updates=True)
        assert migrate_source(migration).counts == {"created": 1, "warnings": 1}
        assert migrate_source(migration).counts == {"unchanged": 1}

    @pytest.mark.parametrize("through", ["ours", "alias", "theirs"])
    def test_zero_and_impossible_dates_of_mysql(
        self, through: str, mysql: ServerURL, legacy_sources: dict[str, Any]
    ) -> None:
        execute(
            mysql,
            "SET sql_mode = 'ALLOW_INVALID_DATES'; "
            "CREATE OR REPLACE TABLE day (id int, date date, date_time datetime); "
            "INSERT INTO day VALUES (1, '2004-02-31', '0000-00-00'), (2, '2004-01-31', NULL)",
        )
        attributes = {}
        if through == "theirs":
            attributes["open_db_connection"] = lambda self: connect_to_server(mysql)
        with _alias(mysql if through == "alias" else None, legacy_sources):
            result = migrate_source(everything("SELECT * FROM day", **attributes))
        assert values("date") == {1: None, 2: dt.date(2004, 1, 31)}
        assert result.counts == {"created": 2, "warnings": 2}
        assert told(result) == {
            ("1", "date"): (
                "warning",
                "'2004-02-31'",
                "no such day or time exists, so it comes as NULL",
            ),
            ("1", "date_time"): (
                "warning",
                "'0000-00-00 00:00:00'",
                "a zero date, which comes as NULL",
            ),
        }

    def test_where_null_is_refused_the_failure_says_what_it_was(self, mysql: ServerURL) -> None:
        query = "SELECT 1 AS id, 'a' AS sku, DATE '0000-00-00' AS name"
        result = migrate_source(everything(query, model=Product))
        assert result.told == [("1", "name", "'0000-00-00'")]
        assert result.causes[0].startswith("a zero date, which comes as NULL (name may not be")


class TestJSON:
    """JSON that a driver has read already."""

    def test_a_text_inside_of_it_is_not_read_again(self, postgresql: str) -> None:
        texts = ["123", "null", "plain", "[1]", ""]
        rows = " UNION ALL ".join(
            f"SELECT {n} AS id, '\"{text}\"'::{('json', 'jsonb')[n % 2]}::jsonb AS json"
            for n, text in enumerate(texts)
        )
        assert migrate_source(everything(rows)).counts == {"created": 5}
        assert values("json") == dict(enumerate(texts))

    def test_a_column_of_text_is_read_once(self, postgresql: str) -> None:
        query = """SELECT 1 AS id, '{"a": [1]}'::text AS json UNION ALL SELECT 2, '"123"'"""
        assert migrate_source(everything(query)).counts == {"created": 2}
        assert values("json") == {1: {"a": [1]}, 2: "123"}

    def test_in_a_text_field_it_is_json_and_no_python(self, postgresql: str) -> None:
        query = """
            SELECT 1 AS id, '{"a": [true, null, "ä"]}'::jsonb AS long_text, '"x"'::jsonb AS text
            UNION ALL SELECT 2, '[1, {"b": 2.5}]', '"123"'
        """
        assert migrate_source(everything(query)).counts == {"created": 2}
        assert values("long_text") == {1: '{"a": [true, null, "ä"]}', 2: '[1, {"b": 2.5}]'}
        assert values("text") == {1: "x", 2: "123"}

    def test_so_are_arrays(self, postgresql: str) -> None:
        query = """
            SELECT 1 AS id, ARRAY[1, 2] AS text, ARRAY['a''b', NULL] AS long_text
            UNION ALL SELECT 2, ARRAY[]::int[], ARRAY['2001-01-01'::date::text]
        """
        assert migrate_source(everything(query)).counts == {"created": 2}
        assert values("text") == {1: "[1, 2]", 2: "[]"}
        assert values("long_text") == {1: '["a\'b", null]', 2: '["2001-01-01"]'}


def test_mysqls_time_in_a_text_field_is_what_mysql_says(mysql: ServerURL) -> None:
    times = ["08:30:00", "-00:00:01", "838:59:59", "08:30:00.250000", "00:00:00"]
    rows = " UNION ALL ".join(
        f"SELECT {n} AS id, CAST('{time}' AS TIME({6 * ('.' in time)})) AS text"
        for n, time in enumerate(times)
    )
    for n, time in enumerate(times):
        one = everything(f"SELECT * FROM ({rows}) all_times WHERE id = {n}")
        assert migrate_source(one, full=True).counts["created"] == 1, time
    plain = {n: time.removesuffix(".000000") for n, time in values("text").items()}
    assert list(plain.values()) == times


class TestLongLists:
    """GROUP_CONCAT returns 1,024 bytes, unless somebody says more."""

    QUERY = "SELECT 1 AS id, 's' AS sku, 'n' AS name, GROUP_CONCAT(id) AS tags FROM tag"

    @pytest.fixture(autouse=True)
    def many_tags(self, mysql: ServerURL) -> Iterator[None]:
        Tag.objects.bulk_create(Tag(pk=pk, name="t") for pk in range(1000, 1300))
        rows = ", ".join(f"({pk})" for pk in range(1000, 1300))
        execute(
            mysql,
            "CREATE OR REPLACE TABLE tag (id int)",
            f"INSERT INTO tag VALUES {rows}",
        )
        with closing(connect_to_server(mysql)) as connection, closing(connection.cursor()) as c:
            c.execute("SELECT @@GLOBAL.group_concat_max_len")
            (former,) = c.fetchone()
            c.execute("SET GLOBAL group_concat_max_len = 1024")
            yield
            c.execute(f"SET GLOBAL group_concat_max_len = {former}")

    @pytest.mark.parametrize("through", ["ours", "alias", "theirs", "odbc"])
    def test_none_is_cut(
        self, through: str, mysql: ServerURL, legacy_sources: dict[str, Any]
    ) -> None:
        described = {"tags": is_a(Tag, "id", m2m=True, delimiter=",")}
        attributes: dict[str, Any] = {"column_description": described, "model": Product}
        if through == "theirs":
            attributes["open_db_connection"] = lambda self: connect_to_server(mysql)
        if through == "odbc":
            driver = _odbc_driver("MariaDB Unicode")
            legacy_sources["legacy"] |= {"ENGINE": "odbc", "OPTIONS": {"driver": driver}}
        with _alias(mysql if through == "alias" else None, legacy_sources):
            result = migrate_source(everything(self.QUERY, **attributes))
        assert result.error is None, result.error
        assert result.counts == {"created": 1}
        assert Product.objects.get().tags.count() == 300


def _odbc_driver(name: str) -> str:
    pyodbc = pytest.importorskip("pyodbc", exc_type=ImportError)
    if name not in pyodbc.drivers():
        pytest.skip(f"the ODBC driver {name} is not registered")
    return name


class _alias:
    """The database as DATABASES["old"], and the source as its alias; nothing where it is None."""

    def __init__(self, url: ServerURL | None, sources: dict[str, Any]) -> None:
        self._url, self._sources = url, sources

    def __enter__(self) -> None:
        if self._url is not None:
            configured = connections.configure_settings({"default": {}, "old": self._url.django()})
            connections.settings["old"] = configured["old"]
            self._sources["legacy"] = {"ENGINE": "django", "ALIAS": "old"}

    def __exit__(self, *error: object) -> None:
        connections.settings.pop("old", None)


def test_a_reader_of_ours_keeps_the_conversions_of_an_owner(mysql: ServerURL) -> None:
    with closing(connect("legacy")) as connection:
        connection.converter = {**connection.converter, 10: str}
        reader = Reader(connection, "shop.Item")
        reader.execute("SELECT DATE '2004-01-31' AS day")
        assert [row for rows in reader.rows(9) for row in rows.dicts()] == [{"day": "2004-01-31"}]
