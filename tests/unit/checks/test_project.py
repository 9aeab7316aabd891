"""The other settings."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.checking import check, only


@pytest.mark.parametrize("name", ["BATCH_SIZE", "RELATION_CACHE_SIZE", "PROGRESS_INTERVAL"])
@pytest.mark.parametrize("value", [0, -1, "2000", None, True])
def test_e070_a_setting_that_is_no_number(settings: Any, name: str, value: Any) -> None:
    setattr(settings, f"DATA_MIGRATION_{name}", value)
    assert f"DATA_MIGRATION_{name} has to be a" in only("E070", check())


@pytest.mark.parametrize("value", ["yes", 1, None])
def test_e070_a_setting_that_is_neither_true_nor_false(settings: Any, value: Any) -> None:
    settings.DATA_MIGRATION_PATCHES_ON_MIGRATE = value
    assert "DATA_MIGRATION_PATCHES_ON_MIGRATE has to be " in only("E070", check())


def test_w071_a_setting_that_does_not_exist(settings: Any) -> None:
    settings.DATA_MIGRATION_BATCHSIZE = 5
    assert "Did you mean DATA_MIGRATION_BATCH_SIZE?" in only("W071", check())


def test_e072_a_background_that_does_not_exist(settings: Any) -> None:
    settings.DATA_MIGRATION_BACKGROUND = "cron"
    message = only("E072", check())
    assert '\'cron\', which is not one of "auto", "django", "celery", "process"' in message


@pytest.mark.parametrize("value", ["auto", "django", "celery", "process"])
def test_every_background_that_exists_is_fine(settings: Any, value: str) -> None:
    settings.DATA_MIGRATION_BACKGROUND = value
    assert not [each for each in check() if each.id == "data_migration.E072"]
