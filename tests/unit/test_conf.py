"""The settings: names, defaults, and that they are read when asked for."""

from __future__ import annotations

from typing import Any

import pytest

from data_migration.conf import NAMES, PREFIX, Settings
from data_migration.conf import settings as ours

DEFAULTS = {
    "DATA_MIGRATION_BACKGROUND": "auto",
    "DATA_MIGRATION_BATCH_SIZE": 2000,
    "DATA_MIGRATION_CONNECTORS": {},
    "DATA_MIGRATION_HEARTBEAT_INTERVAL": 5.0,
    "DATA_MIGRATION_LOCK_TIMEOUT": 60.0,
    "DATA_MIGRATION_PATCHES_ON_MIGRATE": False,
    "DATA_MIGRATION_PROGRESS_INTERVAL": 10.0,
    "DATA_MIGRATION_RELATION_CACHE_SIZE": 500_000,
    "DATA_MIGRATION_SOURCES": {},
    "DATA_MIGRATION_SOURCE_TIMEOUT": 3600.0,
}


def value(name: str) -> Any:
    return getattr(ours, name.removeprefix(PREFIX).lower())


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_setting_has_a_default(settings: Any, name: str) -> None:
    if hasattr(settings, name):
        delattr(settings, name)
    assert value(name) == DEFAULTS[name]


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_setting_is_read_when_asked_for(settings: Any, name: str) -> None:
    for wanted in (object(), object()):
        setattr(settings, name, wanted)
        assert value(name) is wanted


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_setting_says_its_own_name(name: str) -> None:
    explained = getattr(Settings, name.removeprefix(PREFIX).lower()).__doc__
    assert f"``{name}``" in explained


def test_every_default_is_tested() -> None:
    assert set(DEFAULTS) == NAMES


def test_the_settings_cannot_be_set_past_django() -> None:
    with pytest.raises(AttributeError):
        ours.batch_size = 5  # type: ignore[misc]
