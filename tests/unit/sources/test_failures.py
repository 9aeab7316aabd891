"""What breaks while rows are read: the server goes away, text that cannot be decoded."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from data_migration.exceptions import SourceError
from data_migration.sources import Reader, connect
from tests.support.legacy import execute, sqlite
from tests.support.urls import ServerURL
from tests.unit.sources.conftest import TOTAL, Way, dicts_of, reading, rows_of

MILLION = "SELECT a.id, a.name FROM item a, item b WHERE b.id <= 100"
STREAMING = [
    "postgresql-ours",
    "postgresql-alias",
    "postgresql-odbc",
    "postgresql-psycopg2_dicts",
    "postgresql-psycopg2_autocommit",
    "postgresql-psycopg_dicts",
    "postgresql-psycopg_autocommit",
    "mysql-ours",
    "mysql-alias",
    "mysql-tuples_buffered",
    "mysql-dicts_buffered",
]
SESSION = {
    "postgresql": ("SELECT pg_backend_pid() AS id", "SELECT pg_terminate_backend({})"),
    "mysql": ("SELECT CONNECTION_ID() AS id", "KILL {}"),
}


def session_of(reader: Reader, kind: str) -> int:
    with closing(reader.cursor()) as cursor:
        cursor.execute(SESSION[kind][0])
        row = cursor.fetchone()
    return int(row["id"] if isinstance(row, dict) else row[0])


@pytest.mark.parametrize("way", STREAMING, indirect=True)
def test_a_server_that_goes_away_is_reported_with_the_rows_read(way: Way) -> None:
    assert way.url is not None
    with reading(way) as reader:
        session = session_of(reader, way.kind)
        reader.execute(MILLION)
        batches = dicts_of(reader, 2000)
        for _ in range(3):
            next(batches)
        assert reader.rows_read == 6000
        execute(way.url, SESSION[way.kind][1].format(session))
        with pytest.raises(SourceError) as caught:
            list(batches)
        message = str(caught.value)
        read = f"{reader.rows_read:,}"
        assert message.startswith(f"shop.ItemMigration: reading stopped after {read} rows: ")
        assert message.endswith(
            ". Check that the legacy database still runs, then run the same command again."
        )
        assert 6000 <= reader.rows_read < 1_000_000
        assert way.kind == "mysql" or read == "6,000"
        assert "\n" not in message
        assert reader.count(MILLION) is None


IMPATIENT = {
    "mysql": (
        {"init_command": "SET SESSION net_write_timeout = 1"},
        "SELECT REPEAT('x', 10000) AS text FROM item",
    ),
    "postgresql": (
        {"options": "-c idle_in_transaction_session_timeout=500"},
        "SELECT id FROM item",
    ),
}


@pytest.mark.parametrize("engine", IMPATIENT)
def test_a_server_without_patience_waits_until_a_batch_is_written(
    engine: str, request: pytest.FixtureRequest, legacy_sources: dict[str, Any]
) -> None:
    options, query = IMPATIENT[engine]
    url: ServerURL = request.getfixturevalue(f"{engine}_url")
    legacy_sources["legacy"] = {**url.source(), "OPTIONS": options}
    with closing(connect("legacy")) as connection:
        reader = Reader(connection, "shop.Item")
        reader.execute(query)
        batches = reader.rows(2000)
        rows = len(next(batches))
        time.sleep(2.5)
        rows += sum(map(len, batches))
    assert rows == TOTAL


ADVICE = (
    "The text is not in the encoding that the connection assumes. Name the right one in the "
    "OPTIONS of the source: charset for mysql, client_encoding for postgresql, text_factory for "
    'sqlite (such as "latin-1").'
)


def _fails_to_decode(query: str) -> str:
    with closing(connect("legacy")) as connection:
        reader = Reader(connection, "shop.Item")
        with pytest.raises(SourceError) as caught:
            rows_of(reader, query)
        reader.close()
    return str(caught.value)


def test_undecodable_text_in_sqlite(legacy_sources: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "latin.db"
    with closing(sqlite(path)) as connection:
        connection.execute("CREATE TABLE t AS SELECT CAST(x'4BE473' AS TEXT) AS name")
    legacy_sources["legacy"] = {"ENGINE": "sqlite", "NAME": path}
    message = _fails_to_decode("SELECT name FROM t")
    assert message.startswith(
        "shop.Item: reading stopped after 0 rows: Could not decode to UTF-8 column 'name'"
    )
    assert message.endswith(ADVICE)


def test_undecodable_text_in_mysql(legacy_sources: dict[str, Any], mysql_url: ServerURL) -> None:
    legacy_sources["legacy"] = {**mysql_url.source(), "OPTIONS": {"charset": "latin1"}}
    message = _fails_to_decode("SELECT CONVERT(UNHEX('81') USING latin1) AS name")
    assert message.startswith("shop.Item: reading stopped after 0 rows: ")
    assert "can't decode byte 0x81" in message
    assert message.endswith(ADVICE)


def test_undecodable_text_in_postgresql(
    legacy_sources: dict[str, Any], postgresql_url: ServerURL
) -> None:
    options = {"client_encoding": "SQL_ASCII"}
    legacy_sources["legacy"] = {**postgresql_url.source(), "OPTIONS": options}
    message = _fails_to_decode("SELECT name FROM item WHERE id = 3")
    assert message.startswith("shop.Item: reading stopped after 0 rows: 'ascii' codec can't")
    assert message.endswith(ADVICE)
