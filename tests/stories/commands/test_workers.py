"""``--workers`` and ``--distribute``: refused where they make no sense, and foretold."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from data_migration.background import Availability
from data_migration.exceptions import SpecError
from data_migration.management import workers
from data_migration.management.workers import crew_options, refuse_workers
from tests.apps.library.fixtures import Library, library_fixture  # noqa: F401
from tests.apps.library.testing import migrate

NOTHING = {
    "workers": None,
    "distribute": False,
    "commit": True,
    "atomic": False,
    "plan": False,
    "database": "default",
}
on_sqlite = pytest.mark.skipif(connection.vendor != "sqlite", reason="servers take many writers")


@pytest.mark.parametrize("option", ["workers", "distribute"])
@pytest.mark.parametrize(
    ("others", "why"),
    [
        ({"commit": False}, "needs --commit: a rehearsal is one transaction"),
        ({"atomic": True}, "makes no sense with --atomic"),
    ],
)
def test_one_transaction_cannot_be_shared(option: str, others: dict[str, Any], why: str) -> None:
    with pytest.raises(SpecError, match=why):
        refuse_workers({**NOTHING, option: 2, **others})
    refuse_workers({**NOTHING, option: 2, **others, "plan": True})
    refuse_workers({**NOTHING, **others})


@on_sqlite
def test_sqlite_takes_one_writer() -> None:
    for option in ({"workers": 2}, {"distribute": True}):
        with pytest.raises(SpecError, match="SQLite takes one writer at a time"):
            refuse_workers({**NOTHING, **option})
    refuse_workers({**NOTHING, "workers": 1})


@pytest.mark.django_db
def test_the_exit_code_says_that_the_command_line_is_wrong() -> None:
    result = migrate("--workers", "2")
    assert result.code == 2
    assert "--workers needs --commit" in result.err


@pytest.mark.django_db
@pytest.mark.django_db
def test_the_plan_foretells_what_is_split(library: Library) -> None:
    quiet = migrate("library", "--plan")
    told = migrate("library", "--plan", "-v", "2")

    assert "--workers" not in quiet.out
    assert (
        "library.AuthorMigration: --workers splits it into ranges of its key, if it has rows"
        " enough." in told.out
    )
    limited = migrate("library", "--plan", "-v", "2", "--limit", "1").out
    assert "read by one process, because --limit wants the first rows of the query." in limited


def engine(monkeypatch: pytest.MonkeyPatch, name: str, why_not: str = "") -> list[Any]:
    """Stands in for the module with the engines, which has tests of its own."""
    handed_over: list[Any] = []
    monkeypatch.setattr(workers, "availability", lambda: Availability(name, why_not))
    monkeypatch.setattr(workers, "enqueue", lambda *arguments: handed_over.append(arguments))
    return handed_over


def test_a_range_is_handed_over_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    handed_over = engine(monkeypatch, "celery")
    fields = crew_options({**NOTHING, "distribute": True})
    fields["enqueue"](17)

    assert fields["workers"] == 4
    assert handed_over == [("execute_range", 17, "default")]
    assert crew_options({**NOTHING, "distribute": True, "workers": 9})["workers"] == 9
    assert crew_options(NOTHING) == {"workers": 1}


@pytest.mark.parametrize(
    ("name", "why_not", "said"),
    [
        ("process", "", "--distribute needs a task queue"),
        ("celery", "Celery has no broker.", "--distribute: Celery has no broker."),
    ],
)
def test_ranges_are_not_distributed_without_a_queue(
    monkeypatch: pytest.MonkeyPatch, name: str, why_not: str, said: str
) -> None:
    engine(monkeypatch, name, why_not)
    with pytest.raises(SpecError, match=said):
        crew_options({**NOTHING, "distribute": True})
