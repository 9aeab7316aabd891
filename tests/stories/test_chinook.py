"""A real legacy database in three dialects, directly and through ODBC, into the current target.

What arrives is compared cell by cell with what the source's own driver reads.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import LazySettings
from django.core.management import call_command
from django.db import connection
from django.db.models import F, Model, Sum
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from data_migration import sources
from data_migration.models import Run
from tests.apps.music.dialects import SOURCE, translated
from tests.apps.music.models import Customer, Employee, Invoice, InvoiceLine, Playlist, Track
from tests.settings import TARGET
from tests.support import legacy
from tests.support.urls import ServerURL

#: Legacy table -> its columns, and in the same order the fields that they become.
COLUMNS = {
    "Album": ("AlbumId Title ArtistId", "id title artist_id"),
    "Artist": ("ArtistId Name", "id name"),
    "Customer": (
        "CustomerId FirstName LastName Company Address City State Country PostalCode Phone Fax"
        " Email SupportRepId",
        "id first_name last_name company address city state country postal_code phone fax"
        " email support_id",
    ),
    "Employee": (
        "EmployeeId LastName FirstName Title ReportsTo BirthDate HireDate Address City State"
        " Country PostalCode Phone Fax Email",
        "id last_name first_name title reports_to_id birth_date hired_at address city state"
        " country postal_code phone fax email",
    ),
    "Genre": ("GenreId Name", "id name"),
    "Invoice": (
        "InvoiceId CustomerId InvoiceDate BillingAddress BillingCity BillingState BillingCountry"
        " BillingPostalCode Total",
        "id customer_id issued_at address city state country postal_code total",
    ),
    "InvoiceLine": (
        "InvoiceLineId InvoiceId TrackId UnitPrice Quantity",
        "id invoice_id track_id unit_price quantity",
    ),
    "MediaType": ("MediaTypeId Name", "id name"),
    "Playlist": ("PlaylistId Name", "id name"),
    "PlaylistTrack": ("PlaylistId TrackId", "playlist_id track_id"),
    "Track": (
        "TrackId Name AlbumId MediaTypeId GenreId Composer Milliseconds Bytes UnitPrice",
        "id name album_id media_type_id genre_id composer milliseconds size price",
    ),
}
COUNTS = {
    "Album": 347,
    "Artist": 275,
    "Customer": 59,
    "Employee": 8,
    "Genre": 25,
    "Invoice": 412,
    "InvoiceLine": 2240,
    "MediaType": 5,
    "Playlist": 18,
    "PlaylistTrack": 8715,
    "Track": 3503,
}
ODBC_DRIVERS = {
    "sqlite": "SQLite3",
    "postgresql": "PostgreSQL Unicode",
    "mysql": "MariaDB Unicode",
}


@pytest.fixture(scope="session")
def chinook_file(shared_data: Path) -> Path:
    return shared_data / "chinook" / "chinook.sqlite"


@pytest.fixture(scope="session")
def chinook_on_mysql(
    shared_data: Path, fresh_mysql_database: Callable[[], ServerURL]
) -> ServerURL:
    return legacy.load(fresh_mysql_database(), shared_data / "chinook" / "chinook.mysql.sql")


@pytest.fixture(scope="session")
def chinook_on_postgresql(
    shared_data: Path, fresh_postgresql_database: Callable[[], ServerURL]
) -> ServerURL:
    script = shared_data / "chinook" / "chinook.postgresql.sql"
    return legacy.load(fresh_postgresql_database(), script)


class Chinook:
    """One form of the legacy database: how the specs reach it, and a plain way to read it."""

    def __init__(self, kind: str, place: Path | ServerURL) -> None:
        self.kind = kind
        self.place = place

    def entry(self) -> dict[str, Any]:
        if isinstance(self.place, Path):
            return {"ENGINE": "sqlite", "NAME": str(self.place)}
        return self.place.source()

    def odbc_entry(self) -> dict[str, Any]:
        pyodbc = pytest.importorskip("pyodbc", exc_type=ImportError)
        driver = ODBC_DRIVERS[self.kind]
        if driver not in pyodbc.drivers():
            pytest.skip(f"the ODBC driver {driver} is not registered")
        return {**self.entry(), "ENGINE": "odbc", "OPTIONS": {"driver": driver}}

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What ``query`` returns, without anything of ours between it and the driver."""
        with closing(self._connect()) as connection:
            return legacy.rows(connection, translated(query, self.kind))

    def _connect(self) -> Any:
        if isinstance(self.place, Path):
            return sqlite3.connect(self.place)
        return legacy.connect(self.place)


@pytest.fixture
def chinook(request: pytest.FixtureRequest, settings: LazySettings) -> Chinook:
    """The form that the test is parametrised with (or SQLite), set up as the specs' source."""
    kind, _, odbc = getattr(request, "param", "sqlite").partition("-")
    name = "chinook_file" if kind == "sqlite" else f"chinook_on_{kind}"
    form = Chinook(kind, request.getfixturevalue(name))
    settings.DATA_MIGRATION_SOURCES = {SOURCE: form.odbc_entry() if odbc else form.entry()}
    return form


EVERY_FORM = pytest.mark.parametrize(
    "chinook",
    [
        pytest.param(form, marks=[] if form == TARGET else [pytest.mark.slow])
        for kind in ("sqlite", "mysql", "postgresql")
        for form in (kind, f"{kind}-odbc")
        # Into SQLite from every form, into a server from its own.
        if TARGET in ("sqlite", kind)
    ],
    indirect=True,
)


def migrate(*arguments: str) -> str:
    """Run the command and return what it said on stdout."""
    stdout = StringIO()
    call_command("migrate_legacy", *arguments, stdout=stdout, no_progress=True)
    return stdout.getvalue()


def arrived(table: str) -> list[tuple[Any, ...]]:
    """The rows that a legacy table became, in the form of :func:`tests.support.legacy.rows`."""
    model = _model(table)
    names = COLUMNS[table][1].split()
    stored = model._base_manager.values_list(*names)
    found = (legacy.plain(_local(cell) for cell in row) for row in stored)
    return sorted(found, key=lambda row: str(row))


def _model(table: str) -> type[Model]:
    if table == "PlaylistTrack":
        return Playlist.tracks.through
    return apps.get_model("music", table)


def _local(cell: Any) -> Any:
    return timezone.make_naive(cell) if isinstance(cell, dt.datetime) else cell


def everything_in_the_target() -> dict[str, tuple[int, Any]]:
    """Count and highest key of every table; the app's own record of its runs left out."""
    models = [m for m in apps.get_models(include_auto_created=True) if m._meta.managed]
    return {
        model._meta.label: (
            model._base_manager.count(),
            model._base_manager.order_by("-pk").values_list("pk", flat=True).first(),
        )
        for model in models
        if model._meta.app_label != "data_migration"
    }


@contextmanager
def written_tables() -> Iterator[list[str]]:
    """The statements in the block that write into one of the shop's tables."""
    written: list[str] = []
    with CaptureQueriesContext(connection) as queries:
        yield written
    statements = (query["sql"] for query in queries)
    written += [
        sql
        for sql in statements
        if sql.startswith(("INSERT", "UPDATE", "DELETE")) and "music_" in sql
    ]


@EVERY_FORM
@pytest.mark.django_db(transaction=True)
def test_every_row_of_every_form_arrives_unchanged(chinook: Chinook) -> None:
    here_before = Employee.objects.create(id=1000, first_name="Here", last_name="Before")
    before = everything_in_the_target()

    assert "Rehearsal" in migrate("music")
    assert everything_in_the_target() == before

    here_before.delete()
    assert "committed" in migrate("music", "--commit")
    for table, (columns, _fields) in COLUMNS.items():
        wanted = ", ".join(f"[{column}]" for column in columns.split())
        in_source = chinook.rows(f"SELECT {wanted} FROM [{table}]")
        assert len(in_source) == COUNTS[table], table
        assert arrived(table) == in_source, table

    after = everything_in_the_target()
    with written_tables() as written:
        assert "Nothing to do." in migrate("music", "--commit")
    assert written == []
    assert everything_in_the_target() == after


@pytest.mark.parametrize("chinook", ["mysql-odbc"], indirect=True)
@pytest.mark.parametrize("times", [1, 3000])
def test_the_odbc_driver_of_mariadb_does_not_cut_text_off(chinook: Chinook, times: int) -> None:
    text = "Último ØÙÚÛ \U0001f600!"
    with closing(sources.connect(SOURCE)) as connection:
        legacy_text = f"CONVERT(UNHEX('{text.encode().hex()}') USING utf8mb4)"
        (read,) = connection.execute(f"SELECT REPEAT({legacy_text}, {times})").fetchone()
    assert read == text * times


@pytest.mark.django_db
@pytest.mark.parametrize("chinook", ["sqlite", "mysql", "postgresql"], indirect=True)
def test_decimals_keep_every_cent(chinook: Chinook) -> None:
    migrate("music", "--commit")

    total = Invoice.objects.aggregate(total=Sum("total"))["total"]
    lines = InvoiceLine.objects.aggregate(total=Sum(F("unit_price") * F("quantity")))["total"]
    assert round(Decimal(total), 2) == Decimal("2328.60")
    assert chinook.rows("SELECT SUM([Total]) FROM [Invoice]") == [("2328.6000",)]
    (in_source,) = chinook.rows("SELECT SUM([UnitPrice] * [Quantity]) FROM [InvoiceLine]")[0]
    assert legacy.plain([round(Decimal(lines), 2)]) == (in_source,)
    assert {str(price) for price in Track.objects.values_list("price", flat=True)} == {
        "0.99",
        "1.99",
    }


@pytest.mark.django_db
def test_employees_become_a_tree_although_subordinates_come_first(chinook: Chinook) -> None:
    migrate("music.EmployeeMigration", "--commit")

    boss = Employee.objects.get(reports_to=None)
    managers = Employee.objects.filter(reports_to=boss)
    staff = Employee.objects.filter(reports_to__in=managers)
    assert (boss.last_name, managers.count(), staff.count()) == ("Adams", 2, 5)
    assert boss.birth_date == dt.date(1962, 2, 18)
    assert timezone.localtime(boss.hired_at) == timezone.make_aware(dt.datetime(2002, 8, 14))


@pytest.mark.django_db
def test_playlists_of_the_same_name_stay_apart_and_empty_ones_stay_empty(
    chinook: Chinook,
) -> None:
    migrate("music", "--commit")

    assert Playlist.tracks.through.objects.count() == 8715
    assert Playlist.objects.filter(name="Music").count() == 2
    assert Playlist.objects.filter(tracks=None).count() == 4
    assert Playlist.objects.get(id=1).tracks.count() == 3290


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("chinook", "ending_in_a_blank"),
    [("sqlite", 8), ("mysql", 8), ("postgresql", 0)],
    indirect=["chinook"],
)
def test_text_keeps_its_accents_its_blanks_and_its_nulls(
    chinook: Chinook, ending_in_a_blank: int
) -> None:
    migrate("music", "--commit")

    cells = [cell for table in COLUMNS for row in arrived(table) for cell in row]
    texts = [cell for cell in cells if isinstance(cell, str)]
    assert sum(not text.isascii() for text in texts) == 661
    assert sum(text.endswith(" ") for text in texts) == ending_in_a_blank
    assert Track.objects.filter(composer=None).count() == 977
    assert Customer.objects.filter(company=None).count() == 49


@pytest.mark.django_db
def test_the_next_object_gets_a_key_above_those_that_came(chinook: Chinook) -> None:
    migrate("music.ArtistMigration", "--commit")

    model = _model("Artist")
    assert model._base_manager.create(name="New").pk == 276


@pytest.mark.django_db
def test_the_run_counts_every_row_it_read(chinook: Chinook) -> None:
    migrate("music", "--commit")

    steps = Run.objects.get().steps.all()
    assert sum(step.read for step in steps) == 15_607 - 8715
    assert {(step.failed, step.skipped, step.warnings) for step in steps} == {(0, 0, 0)}
    assert all(step.read == step.created == step.total for step in steps)
