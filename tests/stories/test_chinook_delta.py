"""A rerun over Chinook after both sides went on: what changed, came, went, and what people did."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from data_migration.models import RowError, RowLink
from tests.apps.library.testing import Result, migrate
from tests.apps.music import data_migration_spec as spec
from tests.apps.music.dialects import SOURCE
from tests.apps.music.models import Artist, Customer, Genre, InvoiceLine, Track

pytestmark = pytest.mark.django_db

CHANGES = """
UPDATE Track SET UnitPrice = 1.49 WHERE TrackId BETWEEN 101 AND 114;
UPDATE Track SET Name = 'Renamed in the old shop' WHERE TrackId = 1;
UPDATE Customer SET City = 'Bergen' WHERE CustomerId BETWEEN 3 AND 7;
INSERT INTO Artist VALUES (901, 'New One'), (902, 'New Two'), (903, 'New Three');
INSERT INTO Genre VALUES (91, 'Quiet'), (92, 'Loud');
DELETE FROM InvoiceLine WHERE InvoiceLineId IN (10, 20, 30);
"""
UNTOUCHED = {"read", "unchanged"}


@pytest.fixture
def old_shop(
    shared_data: Path, tmp_path: Path, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> Path:
    path = tmp_path / "chinook.sqlite"
    shutil.copy(shared_data / "chinook" / "chinook.sqlite", path)
    settings.DATA_MIGRATION_SOURCES = {SOURCE: {"ENGINE": "sqlite", "NAME": str(path)}}
    monkeypatch.setattr(spec.InvoiceLineMigration, "removed", "delete")
    assert migrate("music", "--commit").code == 0
    return path


def rerun() -> tuple[Result, dict[str, dict[str, int]]]:
    """The result, and the counts that are not zero by model."""
    result = migrate("music", "--update", "--commit", "--format", "json")
    names = ("read", "created", "updated", "unchanged", "skipped", "failed", "warnings", "removed")
    counts = {
        step["migration"].removeprefix("music.").removesuffix("Migration"): {
            name: step[name] for name in names if step[name]
        }
        for step in json.loads(result.out)["migrations"]
    }
    return result, counts


def unchanged(rows: int, **others: int) -> dict[str, int]:
    return {"unchanged": rows, **others}


def test_a_rerun_counts_what_happened_on_both_sides_and_keeps_what_people_did(
    old_shop: Path,
) -> None:
    with closing(sqlite3.connect(old_shop)) as legacy:
        legacy.executescript(CHANGES)
    Track.objects.filter(pk=1).update(name="Renamed in the new shop")
    Customer.objects.filter(pk=3).update(phone="+47 1234")

    result, counts = rerun()

    assert result.code == 0, result.err
    assert counts == {
        "Artist": {"read": 278, "created": 3, "unchanged": 275},
        "Genre": {"read": 27, "created": 2, "unchanged": 25},
        "MediaType": {"read": 5, "unchanged": 5},
        "Album": {"read": 347, "unchanged": 347},
        # The fifteenth track has nothing but the name that a person changed as well.
        "Track": {"read": 3503, "updated": 14, "unchanged": 3489, "warnings": 1},
        "Playlist": {"read": 18, "unchanged": 18},
        "Employee": {"read": 8, "unchanged": 8},
        "Customer": {"read": 59, "updated": 5, "unchanged": 54, "warnings": 1},
        "Invoice": {"read": 412, "unchanged": 412},
        "InvoiceLine": {"read": 2237, "unchanged": 2237, "removed": 3},
    }
    assert Track.objects.get(pk=1).name == "Renamed in the new shop"
    assert Customer.objects.values_list("phone", "city").get(pk=3) == ("+47 1234", "Bergen")
    assert (Artist.objects.count(), Genre.objects.count()) == (278, 27)
    assert not InvoiceLine.objects.filter(pk__in=(10, 20, 30)).exists()
    assert RowLink.objects.filter(migration__label="music.InvoiceLineMigration").count() == 2237
    conflicts = RowError.objects.filter(kind="conflict").order_by("migration__label")
    assert [(m.key, m.column, m.value, m.cause) for m in conflicts] == [
        (
            "3",
            "phone",
            "'+1 (514) 721-4711'",
            "was changed to '+47 1234' since it was written, which is kept",
        ),
        (
            "1",
            "name",
            "'Renamed in the old shop'",
            "was changed to 'Renamed in the new shop' since it was written, which is kept",
        ),
    ]


def test_a_rerun_of_nothing_new_writes_nothing(old_shop: Path) -> None:
    def written(queries: Any) -> list[str]:
        verbs = ("INSERT", "UPDATE", "DELETE")
        statements = [query["sql"] for query in queries]
        return [sql for sql in statements if "music_" in sql and sql.startswith(verbs)]

    with CaptureQueriesContext(connection) as queries:
        result, counts = rerun()

    assert result.code == 0
    assert all(set(each) == UNTOUCHED for each in counts.values())
    assert written(queries) == []
    assert not any("data_migration_rowlink" in q["sql"] for q in queries if q["sql"][:1] in "IUD")
