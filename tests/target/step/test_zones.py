"""Times of real servers, whose zone is not Django's: what is a moment, and what a clock showed.

The servers of the tests keep UTC and know no other zone; the project is in Berlin.
"""

from __future__ import annotations

import datetime as dt
from contextlib import closing
from typing import Any

import pytest
from django.conf import LazySettings

from data_migration.migration import Migration
from data_migration.sources import connect
from tests.apps.shop.models import Everything
from tests.support.engine import migrate, migrate_source
from tests.support.legacy import execute
from tests.support.urls import ServerURL

pytestmark = pytest.mark.django_db
#: 2024-07-03 11:46:40 in Berlin.
SUMMER = dt.datetime(2024, 7, 3, 9, 46, 40, tzinfo=dt.UTC)


def everything(query: str) -> type[Migration]:
    attributes = {"model": Everything, "query": query, "source": "legacy", "legacy_key": "id"}
    return type("EverythingMigration", (Migration,), attributes)


def moments() -> dict[int, Any]:
    return dict(Everything.objects.values_list("pk", "date_time"))


@pytest.fixture(scope="module")
def mysql_url(fresh_mysql_database: Any) -> ServerURL:
    url: ServerURL = fresh_mysql_database()
    execute(
        url,
        "SET time_zone = '+00:00'; CREATE TABLE visit (id int, moment timestamp, clock datetime);"
        "INSERT INTO visit VALUES (1, FROM_UNIXTIME(1720000000), '2024-07-03 11:46:40'),"
        " (2, FROM_UNIXTIME(1729989000), NULL), (3, FROM_UNIXTIME(1729992600), NULL)",
    )
    return url


@pytest.fixture
def mysql(legacy_sources: dict[str, Any], mysql_url: ServerURL) -> ServerURL:
    legacy_sources["legacy"] = mysql_url.source()
    return mysql_url


def session_zone() -> str:
    with closing(connect("legacy")) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("SELECT @@time_zone")
        return str(cursor.fetchone()[0])


class TestMySQL:
    @pytest.mark.parametrize("column", ["moment", "clock"])
    def test_a_timestamp_and_the_datetime_beside_it_agree(
        self, column: str, mysql: ServerURL
    ) -> None:
        query = f"SELECT id, {column} AS date_time FROM visit WHERE id = 1"
        assert migrate_source(everything(query)).counts == {"created": 1}
        assert moments() == {1: SUMMER}

    def test_of_the_hour_that_comes_twice_a_timestamp_knows_which(self, mysql: ServerURL) -> None:
        query = "SELECT id, moment AS date_time FROM visit WHERE id > 1"
        assert migrate_source(everything(query)).counts == {"created": 2}
        first = dt.datetime(2024, 10, 27, 0, 30, tzinfo=dt.UTC)
        assert moments() == {2: first, 3: first + dt.timedelta(hours=1)}

    def test_what_the_servers_clock_would_show_is_refused_where_it_is_another(
        self, mysql: ServerURL
    ) -> None:
        result = migrate_source(everything("SELECT 1 AS id, FROM_UNIXTIME(1720000000) AS time"))
        assert str(result.error).startswith(
            "shop.EverythingMigration: the query calls FROM_UNIXTIME, which depends on the time"
            " zone of the session, and the server does not know Europe/Berlin."
        )
        assert not Everything.objects.exists()

    def test_where_the_zone_can_be_set_it_is(
        self, mysql: ServerURL, settings: LazySettings
    ) -> None:
        settings.TIME_ZONE = "UTC"
        execute(mysql, "SET GLOBAL time_zone = 'SYSTEM'")
        assert session_zone() == "+00:00"
        query = "SELECT 1 AS id, FROM_UNIXTIME(1720000000) AS date_time"
        assert migrate_source(everything(query)).counts == {"created": 1}
        assert moments() == {1: SUMMER}

    def test_the_servers_own_zone_stays_where_its_clock_shows_the_same(
        self, mysql: ServerURL, settings: LazySettings
    ) -> None:
        settings.TIME_ZONE = "Africa/Abidjan"
        assert session_zone() == "SYSTEM"

    def test_a_zone_of_the_options_stays(
        self, mysql: ServerURL, legacy_sources: dict[str, Any]
    ) -> None:
        command = "SET time_zone = '+09:00'"
        legacy_sources["legacy"] |= {"OPTIONS": {"init_command": command}}
        assert session_zone() == "+09:00"


class TestPostgreSQL:
    def test_what_the_session_makes_of_a_moment_is_in_djangos_zone(
        self, fresh_postgresql_database: Any, legacy_sources: dict[str, Any]
    ) -> None:
        legacy_sources["legacy"] = fresh_postgresql_database().source()
        query = """
            SELECT 1 AS id, moment AS date_time, moment::date AS date, moment::text AS text
            FROM (SELECT TIMESTAMPTZ '2024-07-03 22:30+00' AS moment) q
        """
        assert migrate_source(everything(query)).counts == {"created": 1}
        (stored,) = Everything.objects.all()
        assert stored.date_time == dt.datetime(2024, 7, 3, 22, 30, tzinfo=dt.UTC)
        assert (stored.date, stored.text) == (dt.date(2024, 7, 4), "2024-07-04 00:30:00+02")


class TestClocks:
    """Times without a zone are what a clock in Django's zone showed."""

    ROWS = (
        {"id": 1, "date_time": dt.datetime(2024, 3, 31, 2, 30)},
        {"id": 2, "date_time": dt.datetime(2024, 10, 27, 2, 30)},
        {"id": 3, "date_time": "2024-10-27 02:59:59"},
        {"id": 4, "date_time": dt.datetime(2024, 10, 27, 3, 0)},
        {"id": 5, "date_time": dt.datetime(2024, 10, 27, 0, 30, tzinfo=dt.UTC)},
        {"id": 6, "date_time": "2024-07-03"},
    )
    GAP = "no clock showed this time when summer time began: it is taken for an hour later"
    TWICE = "clocks showed this time twice when summer time ended: the first one is taken"

    def test_a_time_that_never_was_or_was_twice_is_a_warning(self) -> None:
        result = migrate(everything(""), self.ROWS)
        assert result.counts == {"created": 6, "warnings": 3}
        assert [(m.key, m.column, m.cause) for m in result.messages] == [
            ("1", "date_time", self.GAP),
            ("2", "date_time", self.TWICE),
            ("3", "date_time", self.TWICE),
        ]
        taken = {1: (3, 31, 1, 30, 0), 2: (10, 27, 0, 30, 0), 3: (10, 27, 0, 59, 59)}
        for pk, parts in taken.items():
            assert moments()[pk] == dt.datetime(2024, *parts, tzinfo=dt.UTC), pk

    def test_without_zones_in_django_it_is_a_moment_that_loses_which(
        self, settings: LazySettings
    ) -> None:
        settings.USE_TZ = False
        result = migrate(everything(""), self.ROWS[3:])
        assert result.counts == {"created": 3, "warnings": 1}
        assert [(m.key, m.cause) for m in result.messages] == [
            ("5", "clocks showed this time twice when summer time ended: which one is left out")
        ]
