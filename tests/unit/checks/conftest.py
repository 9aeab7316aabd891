"""The sources that the migrations of these tests name."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(autouse=True)
def sources(settings: Any) -> dict[str, Any]:
    """``DATA_MIGRATION_SOURCES``, to be changed."""
    entry = {"ENGINE": "sqlite", "NAME": "old.sqlite3"}
    settings.DATA_MIGRATION_SOURCES = {"legacy": entry, "chinook": entry}
    return settings.DATA_MIGRATION_SOURCES  # type: ignore[no-any-return]
