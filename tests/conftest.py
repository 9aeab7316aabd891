"""Fixtures for every test: the database servers, legacy databases on them, shared data."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from tests.support import throwaway
from tests.support.absence import absent
from tests.support.flushing import quick_flushes
from tests.support.legacy import execute
from tests.support.paths import SHARED_DATA
from tests.support.remotes import Kinto, Roundup, missing, roundup_template, serving
from tests.support.specs import frappe_shaped, new_app  # noqa: F401  fixtures for every test
from tests.support.urls import SERVICES, ServerURL
from tests.support.writers import USUAL, forced

# A shell lets what it runs in its background ignore Ctrl-C; tests send it to what they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says more of the machine than of us. That the examples of one test
# share its fixtures is meant: what they write is undone.
hypothesis_settings.register_profile(
    "tests",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
hypothesis_settings.load_profile("tests")


@pytest.fixture(scope="session")
def postgresql_server() -> ServerURL:
    """The PostgreSQL server for tests; skips where there is none."""
    return _server("postgresql")


@pytest.fixture(scope="session")
def mysql_server() -> ServerURL:
    """The MySQL or MariaDB server for tests; skips where there is none."""
    return _server("mysql")


@pytest.fixture(scope="session")
def redis_server() -> ServerURL:
    """The Redis for tests; skips where there is none."""
    return _server("redis")


@pytest.fixture(scope="session")
def fresh_postgresql_database(postgresql_server: ServerURL) -> Iterator[Callable[[], ServerURL]]:
    """``fresh_postgresql_database()`` is a new empty legacy database, dropped at the end."""
    yield from _databases(postgresql_server, "DROP DATABASE IF EXISTS {} WITH (FORCE)")


@pytest.fixture(scope="session")
def fresh_mysql_database(mysql_server: ServerURL) -> Iterator[Callable[[], ServerURL]]:
    """``fresh_mysql_database()`` is a new empty legacy database, dropped at the end."""
    yield from _databases(mysql_server, "DROP DATABASE IF EXISTS {}")


@pytest.fixture(scope="session")
def kinto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Kinto, a process of this test run; skips where it is not installed."""
    _look_for_remotes()
    with serving("kinto", "0", tmp_path_factory.mktemp("kinto")) as address:
        yield address


@pytest.fixture
def kinto(kinto_server: str) -> Kinto:
    """A new bucket of a Kinto, as another user of it would use it."""
    return Kinto(kinto_server)


@pytest.fixture(scope="session")
def fresh_roundup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Roundup]]:
    """``fresh_roundup(calls_per_minute=0)`` is a new tracker of a Roundup, a process of this test
    run; skips where it is not installed.
    """
    _look_for_remotes()
    folder = tmp_path_factory.mktemp("roundup")
    template = roundup_template(folder)
    with serving("roundup", str(folder), folder) as address:
        yield lambda calls_per_minute=0: Roundup(address, template, calls_per_minute)


@pytest.fixture
def roundup(fresh_roundup: Callable[..., Roundup]) -> Roundup:
    """A new tracker of a Roundup, as another user of it would use it."""
    return fresh_roundup()


@pytest.fixture(params=USUAL)
def writer(request: pytest.FixtureRequest) -> str:
    """A writer's name: the test runs with each of the usual ones."""
    return str(request.param)


@pytest.fixture(autouse=True, scope="session")
def _forced_writer() -> Iterator[None]:
    with forced():
        yield


@pytest.fixture(autouse=True, scope="session")
def _quick_flushes() -> Iterator[None]:
    with quick_flushes():
        yield


@pytest.fixture
def legacy_sources(settings: LazySettings) -> dict[str, Any]:
    """DATA_MIGRATION_SOURCES, empty, to be filled by the test."""
    settings.DATA_MIGRATION_SOURCES = {}
    return settings.DATA_MIGRATION_SOURCES  # type: ignore[no-any-return]


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Path:
    """An empty file for a legacy SQLite database."""
    path = tmp_path / "legacy.sqlite3"
    path.touch()
    return path


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real legacy databases beside the project; skips where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the folder ../shared/data with the real legacy databases is not there")
    return SHARED_DATA


@pytest.fixture
def target_environment() -> dict[str, str]:
    """The environment in which a process of its own works on this test's database.

    Only of use in a test that really commits: ``@pytest.mark.django_db(transaction=True)``.
    """
    from django.db import connection

    name = str(connection.settings_dict["NAME"])
    return {**os.environ, "DATA_MIGRATION_TEST_DATABASE": name}


def _server(engine: str) -> ServerURL:
    reason = f"{SERVICES[engine]} names no {engine} server, and none is installed"
    return throwaway.server(engine) or absent(reason)


def _look_for_remotes() -> None:
    if names := missing():
        absent(f"{', '.join(names)} of the extra `test` is not installed")


def _databases(server: ServerURL, drop: str) -> Iterator[Callable[[], ServerURL]]:
    made: list[str] = []

    def fresh() -> ServerURL:
        name = f"legacy_{secrets.token_hex(6)}"
        execute(server, f"CREATE DATABASE {name}")
        made.append(name)
        return server.with_database(name)

    yield fresh
    for name in made:
        execute(server, drop.format(name))
