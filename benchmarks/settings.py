"""The Django project in which the benchmarks run; the target is chosen by the environment."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from tests.support.urls import ServerURL

TARGET = os.environ.get("DATA_MIGRATION_TEST_TARGET", "sqlite")
SECRET_KEY = "benchmarks-only"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["data_migration", "benchmarks.people"]


def _database() -> dict[str, object]:
    if TARGET == "sqlite":
        folder = Path(tempfile.gettempdir())
        name = str(folder / f"bench-{os.getpid()}.sqlite3")
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": name, "TEST": {"NAME": name}}
    url = ServerURL.from_environment(TARGET)
    if url is None:
        raise SystemExit(f"{TARGET}: no server. Run: python -m tests.services -- make bench")
    return {**url.django(), "TEST": {"NAME": f"bench_{os.getpid()}"}}


DATABASES = {"default": _database()}
