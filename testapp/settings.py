"""Settings of the demo project. For trying things out on one machine, never for a server."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).resolve().parent

DEBUG = True
SECRET_KEY = "demo-only"
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
ROOT_URLCONF = "testapp.urls"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "data_migration",
    "testapp",
    "testapp.customers",
    "testapp.catalogue",
    "testapp.orders",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
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

# The new database: where the objects go.
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("DEMO_DATABASE", str(FOLDER / "demo.sqlite3")),
        # A run writes while the admin's pages read, and they wait for each other when both write.
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    },
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# The legacy databases: where the rows come from. They are only ever read.
DATA_MIGRATION_SOURCES = {
    "legacy": {
        "ENGINE": "sqlite",
        "NAME": os.environ.get("DEMO_LEGACY", str(FOLDER / "legacy.sqlite3")),
    },
}

# The remote systems that models are kept equal with; see testapp/market.py.
DATA_MIGRATION_CONNECTORS = {
    "market": {
        "CONNECTOR": "testapp.catalogue.connectors.Market",
        "HOST": os.environ.get("DEMO_MARKET", "http://127.0.0.1:8765"),
        "TOKEN": "demo",
    },
}

# Who carries out what is started in the admin: a process for each run. A site with workers names
# them instead; see docs/howto/admin.rst.
DATA_MIGRATION_BACKGROUND = "process"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
USE_TZ = True
# The old shop wrote its dates in local time; testapp.dates reads them in this zone.
TIME_ZONE = "Europe/Vienna"
STATIC_URL = "static/"
