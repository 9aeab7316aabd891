"""The Django project in which the tests run.

``DATA_MIGRATION_TEST_TARGET``
    The database that migrations write to: ``sqlite`` (default), ``postgresql`` or ``mysql``. The
    servers are named by ``DATA_MIGRATION_TEST_POSTGRESQL`` and ``DATA_MIGRATION_TEST_MYSQL``.
``DATA_MIGRATION_TEST_SUFFIX``
    Ends the test database's name, so that several test runs may share one server.
``DATA_MIGRATION_TEST_DATABASE``
    For a process that a test starts: the name of the database which that test uses.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from tests.support.paths import ROOT
from tests.support.urls import VARIABLES, ServerURL

TESTS = ROOT / "tests"
TARGET = os.environ.get("DATA_MIGRATION_TEST_TARGET", "sqlite")


def _sqlite() -> dict[str, Any]:
    # A file, since threads and other processes cannot share a database in memory; one for each
    # process, since test runs go on side by side.
    folder = Path(tempfile.gettempdir())
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": folder / f"data-migration-{os.getpid()}.sqlite3",
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "init_command": "PRAGMA synchronous=OFF"},
        "TEST": {"NAME": str(folder / f"data-migration-tests-{os.getpid()}.sqlite3")},
    }


def _server(engine: str) -> dict[str, Any]:
    url = ServerURL.from_environment(engine)
    if url is None:
        raise ImproperlyConfigured(
            f"DATA_MIGRATION_TEST_TARGET is {engine}, but {VARIABLES[engine]} names no server, "
            "and none is installed. Install them: python -m tests.services install (as root)"
        )
    suffix = os.environ.get("DATA_MIGRATION_TEST_SUFFIX", "")
    test: dict[str, Any] = {"NAME": f"test_{url.database}{suffix}"}
    options: dict[str, Any] = {}
    if engine == "mysql":
        test |= {"CHARSET": "utf8mb4", "COLLATION": "utf8mb4_bin"}
        options["charset"] = "utf8mb4"
    return {**url.django(), "TEST": test, "OPTIONS": options}


def _target() -> dict[str, Any]:
    if TARGET not in ("sqlite", *VARIABLES):
        known = ", ".join(("sqlite", *VARIABLES))
        raise ImproperlyConfigured(f"DATA_MIGRATION_TEST_TARGET is {TARGET!r}, not one of {known}")
    database = _sqlite() if TARGET == "sqlite" else _server(TARGET)
    if name := os.environ.get("DATA_MIGRATION_TEST_DATABASE"):
        database["NAME"] = name
    return database


def _test_apps() -> list[str]:
    """Every folder of tests/apps that is an app."""
    modules = [*TESTS.glob("apps/*/apps.py"), *TESTS.glob("apps/*/models.py")]
    return sorted({module.parent.name for module in modules})


SECRET_KEY = "only for tests"
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
TIME_ZONE = "Europe/Berlin"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": _target()}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STATIC_URL = "/static/"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "data_migration",
    *(f"tests.apps.{name}" for name in _test_apps()),
]
#: Each test names its own.
DATA_MIGRATION_SOURCES: dict[str, dict[str, Any]] = {}
#: That of tests/apps/exchange.
DATA_MIGRATION_CONNECTORS = {
    "atlas": {"CONNECTOR": "tests.support.memory_remote.MemoryRemote", "HOST": "atlas"}
}
#: The test apps have no schema migrations: their tables come from the models as they are.
MIGRATION_MODULES = dict.fromkeys(_test_apps())
MIDDLEWARE = [
    "tests.support.csp.strict",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
if (TESTS / "urls.py").exists():
    ROOT_URLCONF = "tests.urls"
