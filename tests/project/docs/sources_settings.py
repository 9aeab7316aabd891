"""The entries that docs/howto/sources.rst shows; the tests check each of them."""

from __future__ import annotations

import os

# begin sqlite
DATA_MIGRATION_SOURCES = {
    "legacy": {"ENGINE": "sqlite", "NAME": "/srv/legacy/shop.sqlite3"},
}
# end sqlite

SQLITE = DATA_MIGRATION_SOURCES["legacy"]

POSTGRESQL = {
    # begin postgresql
    "ENGINE": "postgresql",
    "NAME": "shop",
    "USER": "reader",
    "PASSWORD": os.environ.get("LEGACY_PASSWORD", ""),
    "HOST": "old.example.com",
    "PORT": 5432,
    "OPTIONS": {"connect_timeout": 10, "sslmode": "require"},
    # end postgresql
}

MYSQL = {
    # begin mysql
    "ENGINE": "mysql",
    "NAME": "shop",
    "USER": "reader",
    "PASSWORD": os.environ.get("LEGACY_PASSWORD", ""),
    "HOST": "127.0.0.1",
    "PORT": 3306,
    "OPTIONS": {"charset": "latin1"},
    # end mysql
}

ODBC = {
    # begin odbc
    "ENGINE": "odbc",
    "NAME": "shop",
    "USER": "reader",
    "PASSWORD": os.environ.get("LEGACY_PASSWORD", ""),
    "HOST": "old.example.com",
    "PORT": 1433,
    "OPTIONS": {"driver": "ODBC Driver 18 for SQL Server", "TrustServerCertificate": True},
    # end odbc
}

DJANGO = {
    # begin django
    "ENGINE": "django",
    "ALIAS": "old",
    # end django
}
