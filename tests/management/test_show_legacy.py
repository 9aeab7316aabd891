"""``manage.py show_legacy``: states, runs and messages, to the letter."""

from __future__ import annotations

import json
import re

import pytest

from data_migration.models import Run
from tests.apps.library.fixtures import Library, library_fixture  # noqa: F401
from tests.apps.library.testing import migrate, show, timeless

pytestmark = pytest.mark.django_db

#: The id of no process: above the kernel's highest.
DEAD = 2**22 + 1


def test_before_the_first_run_everything_is_pending(library: Library) -> None:
    library.set("Member", skip=True)

    result = show("library")

    assert (result.code, result.err) == (0, "")
    assert result.out == (
        "Migration                State    read  created  updated  unchanged  skipped  failed"
        "  warnings  Last run\n"
        "library.AuthorMigration  pending     -        -        -          -        -       -"
        "         -     never\n"
        "library.GenreMigration   pending     -        -        -          -        -       -"
        "         -     never\n"
        "library.BookMigration    pending     -        -        -          -        -       -"
        "         -     never\n"
        "library.MemberMigration  skipped     -        -        -          -        -       -"
        "         -     never\n"
    )


def test_states_after_a_run_with_failed_rows(library: Library) -> None:
    library.spoil_books()
    library.change("UPDATE books SET genres = '1,77' WHERE id = 1")
    migrate(
        "library", "--commit", "--on-error", "continue", "--exclude", "library.MemberMigration"
    )
    run = Run.objects.get()

    last = f"run {run.pk}, 2026-01-31 12:00"
    rows = [re.split(" {2,}", line) for line in timeless(show("library").out).splitlines()]
    assert rows[1:] == [
        ["library.AuthorMigration", "done", "3", "3", "0", "0", "0", "0", "0", last],
        ["library.GenreMigration", "done", "2", "2", "0", "0", "0", "0", "0", last],
        ["library.BookMigration", "partial", "6", "3", "0", "0", "0", "3", "1", last],
        ["library.MemberMigration", "pending", *["-"] * 7, "never"],
    ]


def test_a_failed_migration_is_shown_with_what_failed(library: Library) -> None:
    library.set("Genre", query="SELECT id, name FROM kinds")
    migrate("library", "--commit")

    result = show("library")

    lines = result.out.splitlines()
    assert lines[2].split()[:2] == ["library.GenreMigration", "failed"]
    assert lines[5].startswith(
        "library.GenreMigration: the legacy database refused the query: no such table: kinds."
    )
    document = json.loads(show("library.GenreMigration", "--format", "json").out)
    assert document["migrations"][0]["error"] == lines[5]


def test_states_as_json(library: Library) -> None:
    migrate("library.AuthorMigration", "--commit")

    document = json.loads(
        show("library.AuthorMigration", "library.GenreMigration", "--format", "json").out
    )

    assert document == {
        "migrations": [
            {
                "migration": "library.AuthorMigration",
                "state": "done",
                "last_run": Run.objects.get().pk,
                "error": "",
                "read": 3,
                "created": 3,
                "updated": 0,
                "unchanged": 0,
                "skipped": 0,
                "failed": 0,
                "warnings": 0,
            },
            {
                "migration": "library.GenreMigration",
                "state": "pending",
                "last_run": None,
                "error": "",
            },
        ]
    }


def test_a_rehearsal_changes_no_state(library: Library) -> None:
    migrate("library")

    assert {line.split()[1] for line in show("library").out.splitlines()[1:]} == {"pending"}


def test_a_run_whose_process_is_gone_is_interrupted(library: Library) -> None:
    migrate("library", "--commit")
    run = Run.objects.get()
    Run.objects.update(status="running", process=DEAD)
    run.steps.filter(position=3).update(status="running")

    assert [line.split()[1] for line in show("library").out.splitlines()[1:]] == [
        "done",
        "done",
        "interrupted",
        "done",
    ]
    assert show("library", "--runs").out.splitlines()[1].split()[:3] == [
        str(run.pk),
        "commit",
        "interrupted",
    ]


def test_runs_are_listed_newest_first_with_what_ended_them(library: Library) -> None:
    migrate("library")
    library.spoil_members()
    migrate("library", "--commit")
    committed, rehearsal = (run.pk for run in Run.objects.all())

    result = show("library", "--runs")

    lines = timeless(result.out).splitlines()
    assert [line.split() for line in lines[:3]] == [
        ["Run", "Mode", "Status", "Started", "read", "created", "updated", "unchanged",
         "skipped", "failed", "warnings"],
        [str(committed), "commit", "failed", "2026-01-31", "12:00", "12", "11", "0", "0", "0",
         "1", "0"],
        [str(rehearsal), "rehearsal", "done", "2026-01-31", "12:00", "15", "15", "0", "0", "0",
         "0", "0"],
    ]  # fmt: skip
    assert lines[3].startswith(f"Run {committed}: library.MemberMigration: row 3, key 3: ")
    assert len(lines) == 4


def test_runs_of_one_migration(library: Library) -> None:
    migrate("library.AuthorMigration", "--commit")
    migrate("library.GenreMigration", "--commit")

    assert len(show("library.GenreMigration", "--runs").out.splitlines()) == 2
    assert len(show("library", "--runs").out.splitlines()) == 3


def test_runs_as_json(library: Library) -> None:
    migrate("library.AuthorMigration")

    document = json.loads(show("--runs", "--format", "json").out)

    run = document["runs"][0]
    assert (run["dry_run"], run["status"], run["mode"]) == (True, "done", "rehearsal")
    assert run["started_at"] < run["finished_at"]
    assert run["migrations"][0]["created"] == 3


def test_without_runs_and_messages_it_says_so(library: Library) -> None:
    assert show("library", "--runs").out == "There was no run yet.\n"
    assert show("library", "--messages").out == "No messages.\n"
    assert json.loads(show("--runs", "--format", "json").out) == {"runs": []}
    assert json.loads(show("--messages", "--format", "json").out) == {"messages": []}


def test_messages_name_key_column_value_and_cause(library: Library) -> None:
    library.spoil_books()
    library.change("UPDATE books SET genres = '1,77' WHERE id = 1")
    migrate("library", "--on-error", "continue")

    lines = show("library", "--messages").out.splitlines()

    assert lines[0].split() == ["Migration", "Kind", "Key", "Column", "Value", "Cause"]
    found = {tuple(line.split(maxsplit=5)) for line in lines[1:]}
    title = next(line for line in found if line[2] == "5")
    assert title[:5] == ("library.BookMigration", "failure", "5", "title", "NULL")
    assert title[5].startswith("title may not be NULL (IntegrityError: ")
    label = "library.BookMigration"
    assert found - {title} == {
        (label, "warning", "1", "genres", "77", "id = 77 matches no library.Genre"),
        (label, "failure", "2", "pages", "'many'", "“many” value must be an integer."),
        (label, "failure", "4", "author", "99", "id = 99 matches no library.Author"),
    }


def test_messages_as_json(library: Library) -> None:
    library.change("UPDATE books SET pages = 'many' WHERE id = 2")
    migrate("library", "--on-error", "continue")

    document = json.loads(show("library", "--messages", "--format", "json").out)

    assert document == {
        "messages": [
            {
                "migration": "library.BookMigration",
                "run": Run.objects.get().pk,
                "kind": "failure",
                "key": "2",
                "row": 2,
                "column": "pages",
                "value": "'many'",
                "cause": "“many” value must be an integer.",
            }
        ]
    }


def test_messages_are_those_of_the_last_run(library: Library) -> None:
    library.spoil_books()
    migrate("library", "--on-error", "continue")
    library.change("UPDATE books SET pages = 1, author_id = 1, title = 'x'")

    migrate("library")

    assert show("library", "--messages").out == "No messages.\n"


def test_an_unknown_label_is_refused(library: Library) -> None:
    result = show("librari")

    assert (result.code, result.out) == (2, "")
    assert "Did you mean 'library'?" in result.err


def test_runs_and_messages_exclude_each_other(library: Library) -> None:
    assert show("--runs", "--messages").code == 2
