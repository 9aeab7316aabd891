"""Settings of the examples. ``EXAMPLES`` names the folder of their databases."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(os.environ.get("EXAMPLES", "."))

SECRET_KEY = "only for the examples"
INSTALLED_APPS = ["data_migration", "shop", "blog", "stores"]
ROOT_URLCONF = "stores.urls"
ALLOWED_HOSTS = ["*"]
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": FOLDER / "new.sqlite3"},
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "Europe/Vienna"

# begin sources
DATA_MIGRATION_SOURCES = {
    "legacy": {"ENGINE": "sqlite", "NAME": FOLDER / "legacy.sqlite3"},
    "archive": {"ENGINE": "sqlite", "NAME": FOLDER / "archive.sqlite3"},
}
# end sources
