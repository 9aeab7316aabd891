"""The package's settings: every ``DATA_MIGRATION_*`` name, its default, read when asked for.

The only reader of ``django.conf.settings`` for them, so that tests and projects may change a
setting at any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from django.conf import settings as django_settings

T = TypeVar("T")

PREFIX = "DATA_MIGRATION_"


_NO_SOURCES: Mapping[str, Mapping[str, Any]] = {}


#: What ``DATA_MIGRATION_BACKGROUND`` can be.
BACKGROUNDS = ("auto", "django", "celery", "process")


class Settings:
    """Typed access to the settings; one property each."""

    @property
    def sources(self) -> Mapping[str, Mapping[str, Any]]:
        """``DATA_MIGRATION_SOURCES``: name -> how to open that legacy database."""
        return self._get("SOURCES", _NO_SOURCES)

    @property
    def connectors(self) -> Any:
        """``DATA_MIGRATION_CONNECTORS``: name -> how to speak to that remote system.

        Or the dotted path of a function that returns such a mapping.
        """
        return self._get("CONNECTORS", _NO_SOURCES)

    @property
    def batch_size(self) -> int:
        """``DATA_MIGRATION_BATCH_SIZE``: rows read, transformed and written together."""
        return self._get("BATCH_SIZE", 2000)

    @property
    def relation_cache_size(self) -> int:
        """``DATA_MIGRATION_RELATION_CACHE_SIZE``: keys remembered per relation in a step.

        Where hooks need the objects themselves, a tenth as many objects.
        """
        return self._get("RELATION_CACHE_SIZE", 500_000)

    @property
    def progress_interval(self) -> float:
        """``DATA_MIGRATION_PROGRESS_INTERVAL``: seconds between two plain progress lines."""
        return self._get("PROGRESS_INTERVAL", 10.0)

    @property
    def heartbeat_interval(self) -> float:
        """``DATA_MIGRATION_HEARTBEAT_INTERVAL``: seconds between two signs of life of a run."""
        return self._get("HEARTBEAT_INTERVAL", 5.0)

    @property
    def lock_timeout(self) -> float:
        """``DATA_MIGRATION_LOCK_TIMEOUT``: seconds without a sign of life after which a run of
        another host counts as dead.
        """
        return self._get("LOCK_TIMEOUT", 60.0)

    @property
    def source_timeout(self) -> float:
        """``DATA_MIGRATION_SOURCE_TIMEOUT``: seconds without an answer of a legacy server after
        which it is given up.
        """
        return self._get("SOURCE_TIMEOUT", 3600.0)

    @property
    def background(self) -> str:
        """``DATA_MIGRATION_BACKGROUND``: who carries out runs that are started from the admin.

        ``"django"`` (django.tasks), ``"celery"``, ``"process"``, or ``"auto"``: the first of the
        first two that is set up.
        """
        return self._get("BACKGROUND", "auto")

    @property
    def patches_on_migrate(self) -> bool:
        """``DATA_MIGRATION_PATCHES_ON_MIGRATE``: whether ``migrate`` runs patches."""
        return self._get("PATCHES_ON_MIGRATE", False)

    def _get(self, name: str, default: T) -> T:
        value: T = getattr(django_settings, PREFIX + name, default)
        return value


settings = Settings()

#: Every setting's full name, for the check that finds misspelt ones and for the docs test.
NAMES = frozenset(
    PREFIX + name.upper() for name, kind in vars(Settings).items() if isinstance(kind, property)
)
