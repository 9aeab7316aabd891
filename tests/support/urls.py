"""The URL by which a test server is known, and the forms in which others want it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, unquote, urlsplit

#: Database engine -> the environment variable that holds the URL of its server.
VARIABLES = {
    "postgresql": "DATA_MIGRATION_TEST_POSTGRESQL",
    "mysql": "DATA_MIGRATION_TEST_MYSQL",
}
#: The same for every server: the databases, and the broker between Celery and its workers.
SERVICES = {**VARIABLES, "redis": "DATA_MIGRATION_TEST_REDIS"}
PORTS = {"postgresql": 5432, "mysql": 3306, "redis": 6379}


@dataclass(frozen=True)
class ServerURL:
    """One database on a test server: ``engine://user:password@host:port/database``."""

    engine: str
    user: str
    password: str = field(repr=False)
    host: str
    port: int
    database: str

    @classmethod
    def parse(cls, text: str) -> ServerURL:
        """Read ``text``. Raises ``ValueError``, which never repeats the password."""
        parts = urlsplit(text)
        if parts.scheme not in SERVICES:
            raise ValueError(f"a test server's URL starts with one of {', '.join(SERVICES)}")
        database = parts.path.lstrip("/")
        if not (parts.hostname and parts.username and database):
            variable = SERVICES[parts.scheme]
            raise ValueError(
                f"{variable} must look like {parts.scheme}://user:password@host:port/database"
            )
        return cls(
            engine=parts.scheme,
            user=unquote(parts.username),
            password=unquote(parts.password or ""),
            host=parts.hostname,
            port=parts.port or PORTS[parts.scheme],
            database=unquote(database),
        )

    @classmethod
    def from_environment(cls, engine: str) -> ServerURL | None:
        """The server that the environment names for ``engine``, or ``None``."""
        text = os.environ.get(SERVICES[engine], "")
        return cls.parse(text) if text else None

    def __str__(self) -> str:
        """The whole URL with its password: for the environment, not for messages."""
        user, password, database = (
            quote(part, safe="") for part in (self.user, self.password, self.database)
        )
        return f"{self.engine}://{user}:{password}@{self.host}:{self.port}/{database}"

    def with_database(self, name: str) -> ServerURL:
        """Another database on the same server."""
        return replace(self, database=name)

    def source(self) -> dict[str, Any]:
        """An entry of ``DATA_MIGRATION_SOURCES``."""
        return {"ENGINE": self.engine, **self._connection(), "PORT": self.port}

    def django(self) -> dict[str, Any]:
        """An entry of ``DATABASES``."""
        engine = f"django.db.backends.{self.engine}"
        return {"ENGINE": engine, **self._connection(), "PORT": str(self.port)}

    def _connection(self) -> dict[str, Any]:
        return {
            "NAME": self.database,
            "USER": self.user,
            "PASSWORD": self.password,
            "HOST": self.host,
        }
