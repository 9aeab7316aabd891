"""The Django project in which the benchmarks run; the databases are named by the environment."""

from __future__ import annotations

import os

from benchmarks import legacy
from tests.support.urls import ServerURL

#: The environment variable with the path or the name of the target database.
DATABASE = "BENCHMARK_DATABASE"

TARGET = os.environ.get("DATA_MIGRATION_TEST_TARGET", "sqlite")
SECRET_KEY = "benchmarks-only"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["data_migration", "benchmarks.people"]


def _database(name: str) -> dict[str, object]:
    if TARGET == "sqlite":
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": name, "TEST": {"NAME": name}}
    url = ServerURL.from_environment(TARGET)
    if url is None:
        raise SystemExit(f"{TARGET}: no server. Run: python -m tests.services -- make bench")
    # The database is made by the process that measures a target, used by those that it starts.
    return {**url.with_database(name or url.database).django(), "TEST": {"NAME": name or None}}


DATABASES = {"default": _database(os.environ.get(DATABASE, ""))}
if legacy.VARIABLE in os.environ:
    DATA_MIGRATION_SOURCES = {"legacy": legacy.source(legacy.here())}
