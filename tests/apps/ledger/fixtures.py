"""The legacy database of the app, ready to be migrated; test modules import the fixture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.apps.ledger import legacy


class Keyed:
    """The legacy database at ``path``, and the spec's classes for a test to change."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
        self.path = path
        self._monkeypatch = monkeypatch
        legacy.build(path)
        settings.DATA_MIGRATION_SOURCES = {"legacy": {"ENGINE": "sqlite", "NAME": str(path)}}

    def set(self, migration: str, **attributes: Any) -> None:
        """Give ``ledger.<migration>Migration`` these attributes until the end of the test."""
        from tests.apps.ledger import data_migration_spec as spec

        for name, value in attributes.items():
            cls = getattr(spec, f"{migration}Migration")
            self._monkeypatch.setattr(cls, name, value, raising=False)

    def change(self, *statements: str) -> None:
        legacy.change(self.path, *statements)


@pytest.fixture(name="keyed")
def keyed_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Keyed:
    return Keyed(tmp_path / "keyed.sqlite3", monkeypatch, settings)
