"""The library with its legacy database, ready to be migrated; test modules import the fixture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.apps.library import legacy


class Library:
    """The legacy database at ``path``, and the spec's classes for a test to change."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
        self.path = path
        self.settings = settings
        self._monkeypatch = monkeypatch
        legacy.build(path)
        settings.DATA_MIGRATION_SOURCES = {"legacy": {"ENGINE": "sqlite", "NAME": str(path)}}

    def set(self, migration: str, **attributes: Any) -> None:
        """Give ``library.<migration>Migration`` these attributes until the end of the test."""
        from tests.apps.library import data_migration_spec as spec

        for name, value in attributes.items():
            cls = getattr(spec, f"{migration}Migration")
            self._monkeypatch.setattr(cls, name, value, raising=False)

    def hook(self, migration: str, hook: Callable[..., Any]) -> None:
        """Let the migration have this function as the hook of the same name."""
        self.set(migration, **{hook.__name__: hook})

    def source(self, **entry: Any) -> None:
        """Read from this source instead."""
        self.settings.DATA_MIGRATION_SOURCES = {"legacy": entry}

    def change(self, statement: str) -> None:
        legacy.change(self.path, statement)

    def spoil_books(self) -> None:
        legacy.spoil_books(self.path)

    def spoil_members(self) -> None:
        """Two members with one address, which the database refuses."""
        self.change("UPDATE members SET email = 'member1@example.org' WHERE id = 3")


@pytest.fixture(name="library")
def library_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Library:
    return Library(tmp_path / "library.sqlite3", monkeypatch, settings)


def counts() -> dict[str, int]:
    """How many objects of each model the target holds."""
    from tests.apps.library.models import Author, Book, Genre, Member

    return {model.__name__: model.objects.count() for model in (Author, Genre, Book, Member)}


NOTHING = {"Author": 0, "Genre": 0, "Book": 0, "Member": 0}
EVERYTHING = {
    "Author": legacy.AUTHORS,
    "Genre": legacy.GENRES,
    "Book": legacy.BOOKS,
    "Member": legacy.MEMBERS,
}
