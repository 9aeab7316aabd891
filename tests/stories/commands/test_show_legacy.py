"""``manage.py show_legacy``: states, runs and messages, to the letter."""

from __future__ import annotations

import io
import json
import os
import re
from typing import Any

import pytest
from django.core.management import call_command

from data_migration.models import Run
from tests.apps.library.fixtures import Library, library_fixture  # noqa: F401
from tests.apps.library.models import Author
from tests.apps.library.testing import give, migrate, show, timeless

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
                "spec_changed": False,
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
                "spec_changed": False,
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
    assert show("--runs").out == "There was no run yet.\n"
    assert show("library.BookMigration", "--runs").out == (
        "There was no run of library.BookMigration yet.\n"
    )
    assert show("library", "--messages").out == "No messages.\n"
    assert json.loads(show("--runs", "--format", "json").out) == {"runs": []}
    assert json.loads(show("--messages", "--format", "json").out) == {"messages": []}


def test_messages_name_key_column_value_and_cause(library: Library) -> None:
    library.spoil_books()
    library.change("UPDATE books SET genres = '1,77' WHERE id = 1")
    migrate("library", "--on-error", "continue")

    lines = show("library", "--messages", "--all").out.splitlines()

    assert lines[0].split() == ["Migration", "Kind", "Key", "Column", "Value", "Cause"]
    label = "library.BookMigration"
    *found, title = [tuple(line.split(maxsplit=5)) for line in lines[1:]]
    assert found == [
        (label, "warning", "1", "genres", "77", "id = 77 matches no library.Genre"),
        (label, "failure", "2", "pages", "'many'", "“many” value must be an integer."),
        (label, "failure", "4", "author", "99", "id = 99 matches no library.Author"),
    ]
    assert title[:5] == (label, "failure", "5", "title", "NULL")
    assert title[5].startswith("title may not be NULL (IntegrityError: ")


def test_messages_are_told_by_cause_to_the_letter(library: Library) -> None:
    library.change("UPDATE books SET genres = '1,77' WHERE id = 1")
    library.change("UPDATE books SET pages = 'page ' || id WHERE id IN (2, 3, 5)")
    library.hook("Member", hook_before_save)
    migrate("library", "--commit", "--on-error", "continue")

    result = show("library", "--messages")

    line = hook_before_save.__code__.co_firstlineno + 2
    assert (result.code, result.err) == (0, "")
    assert result.out == (
        "library.BookMigration\n"
        "  3 failures (3 open), pages: “…” value must be an integer.\n"
        "    for example key 5, value 'page 5'\n"
        "  1 warning, genres: id = 77 matches no library.Genre\n"
        "    key 1, value 77\n"
        "library.MemberMigration\n"
        f"  1 failure (1 open): hook_before_save, line {line}: ValueError: no address\n"
        "    key 3\n"
        "5 messages. One by one: manage.py show_legacy --messages --all\n"
    )


def hook_before_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
    if row["id"] == 3:
        raise ValueError("no address")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("arguments", [[], ["--all"], ["--format", "json"]], ids=str)
def test_where_stdout_is_not_utf_8_characters_are_spelled_out(
    library: Library, encoding: str, arguments: list[str]
) -> None:
    library.change("UPDATE books SET pages = '€ é' WHERE id = 2")
    migrate("library", "--on-error", "continue")
    written = io.BytesIO()
    stdout = io.TextIOWrapper(written, encoding=encoding)

    call_command("show_legacy", "library", "--messages", *arguments, stdout=stdout)

    stdout.flush()
    text = written.getvalue().decode(encoding)
    if "json" in arguments:
        assert json.loads(text)["messages"][0]["value"] == "'€ é'"
    else:
        spelled = {"ascii": r"'\u20ac \xe9'", "latin-1": r"'\u20ac é'", "utf-8": "'€ é'"}
        assert spelled[encoding] in text


def test_where_nobody_reads_on_nothing_is_said_of_it(
    library: Library, capsys: pytest.CaptureFixture[str]
) -> None:
    library.change("UPDATE books SET pages = 'many' WHERE id < 5")
    migrate("library", "--on-error", "continue")
    read, write = os.pipe()
    os.close(read)

    with os.fdopen(write, "w", buffering=1) as stdout:
        call_command("show_legacy", "library", "--messages", "--all", stdout=stdout)

    assert capsys.readouterr().err == ""


def test_messages_about_one_key_are_listed(library: Library) -> None:
    library.change("UPDATE books SET pages = 'many' WHERE id IN (2, 3)")
    migrate("library", "--on-error", "continue")

    assert show("library", "--messages", "--key", "3").out == (
        "Migration              Kind     Key  Column  Value   Cause\n"
        "library.BookMigration  failure  3    pages   'many'  “many” value must be an integer.\n"
    )


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
                "open": False,
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


def keys(*arguments: str) -> list[tuple[str, str]]:
    """(kind, key) of each message that is listed."""
    document = json.loads(show("library", "--messages", "--format", "json", *arguments).out)
    return sorted((message["kind"], message["key"]) for message in document["messages"])


def test_messages_of_one_kind(library: Library) -> None:
    library.spoil_books()
    library.change("UPDATE books SET genres = '1,77' WHERE id = 1")
    migrate("library", "--on-error", "continue")

    assert keys("--kind", "warning") == [("warning", "1")]
    assert keys("--kind", "failure") == [("failure", "2"), ("failure", "4"), ("failure", "5")]
    assert keys("--kind", "conflict") == []


def test_messages_about_one_key(library: Library) -> None:
    library.spoil_books()
    migrate("library", "--on-error", "continue")

    assert keys("--key", "4") == [("failure", "4")]
    assert keys("--key", "4", "--kind", "warning") == []
    assert show("library", "--messages", "--key", "99").out == "No messages.\n"


@pytest.mark.parametrize("typed", ["one", '"one"'])
def test_a_key_that_is_text_is_found_with_and_without_its_quotes(
    library: Library, typed: str
) -> None:
    library.set("Book", query=f"{_query_of('Book')} WHERE id < 3", legacy_key="title")
    library.change("UPDATE books SET title = 'one', pages = 'many' WHERE id = 1")
    migrate("library", "--on-error", "continue")

    assert keys("--key", typed) == [("failure", '"one"')]


def _query_of(migration: str) -> str:
    from tests.apps.library import data_migration_spec as spec

    return str(getattr(spec, f"{migration}Migration").query).split(" ORDER ")[0]


@pytest.mark.parametrize("option", [["--kind", "failure"], ["--key", "4"], ["--all"]])
def test_filters_without_messages_are_refused(library: Library, option: list[str]) -> None:
    result = show("library", *option)

    assert (result.code, result.out) == (2, "")
    assert "add --messages" in result.err


def test_an_unknown_kind_is_refused(library: Library) -> None:
    result = show("library", "--messages", "--kind", "error")

    assert result.code == 2
    assert "'failure', 'warning', 'conflict', 'removed'" in result.err


class TestOpenFailures:
    """What waits to be mended is listed until it is done."""

    @pytest.fixture(autouse=True)
    def two_bad_books(self, library: Library) -> None:
        library.change("UPDATE books SET pages = 'many' WHERE id IN (2, 4)")
        migrate("library", "--commit", "--on-error", "continue")

    def test_of_an_earlier_run_are_listed_as_well(self, library: Library) -> None:
        library.change("UPDATE books SET pages = 7 WHERE id = 2")
        migrate("library", "--retry-failed", "--commit", "--limit", "1")

        assert keys() == [("failure", "4")]
        assert show("library.BookMigration").out.splitlines()[1].split()[1] == "partial"

    def test_that_failed_again_in_a_rehearsal_are_listed_once(self, library: Library) -> None:
        migrate("library", "--retry-failed", "--on-error", "continue")

        assert keys() == [("failure", "2"), ("failure", "4")]

    def test_that_were_mended_in_a_rehearsal_stay_open(self, library: Library) -> None:
        library.change("UPDATE books SET pages = 7")
        migrate("library")

        assert keys() == [("failure", "2"), ("failure", "4")]

    def test_are_closed_by_a_retry_that_is_committed(self, library: Library) -> None:
        library.change("UPDATE books SET pages = 7")
        migrate("library", "--retry-failed", "--commit")

        assert keys() == []
        assert show("library.BookMigration").out.splitlines()[1].split()[1] == "done"

    def test_are_told_from_rehearsed_ones_in_json(self, library: Library) -> None:
        document = json.loads(show("library", "--messages", "--format", "json").out)

        assert [message["open"] for message in document["messages"]] == [True, True]


def test_a_spec_that_changed_since_it_was_applied_is_told(library: Library) -> None:
    migrate("library", "--commit")
    library.set("Genre", query=f"{_query_of('Genre')} WHERE id < 99")

    lines = show("library").out.splitlines()

    assert lines[5:] == [
        "library.GenreMigration: the spec changed since it was applied. Rows that were imported"
        " stay as they are until migrate_legacy library.GenreMigration --update --commit compares"
        " them."
    ]
    document = json.loads(show("library", "--format", "json").out)
    assert [each["migration"] for each in document["migrations"] if each["spec_changed"]] == [
        "library.GenreMigration"
    ]


def test_after_an_update_the_new_spec_is_the_applied_one(library: Library) -> None:
    migrate("library", "--commit")
    library.set("Genre", query=f"{_query_of('Genre')} WHERE id < 99")
    migrate("library.GenreMigration", "--update", "--commit")

    assert len(show("library").out.splitlines()) == 5


def test_an_unknown_label_is_refused(library: Library) -> None:
    result = show("librari")

    assert (result.code, result.out) == (2, "")
    assert "Did you mean 'library'?" in result.err


def test_runs_and_messages_exclude_each_other(library: Library) -> None:
    assert show("--runs", "--messages").code == 2


def test_after_a_rollback_the_objects_are_counted_and_no_rows(library: Library) -> None:
    library.set("Author", allow_updates=True, search_attr="id")
    Author.objects.create(id=1, name="mine")
    migrate("library.AuthorMigration", "--commit")
    give("rollback_legacy", "library.AuthorMigration", "--no-input")
    run = Run.objects.latest("pk").pk

    told = f"library.AuthorMigration: rolled back by run {run}: 2 objects deleted, 1 restored."
    lines = timeless(show("library.AuthorMigration").out).splitlines()
    cells = re.split(" {2,}", lines[1])
    assert cells[1:] == ["pending", *["-"] * 7, f"run {run}, 2026-01-31 12:00"]
    assert lines[2:] == [told]

    lines = timeless(show("library.AuthorMigration", "--runs").out).splitlines()
    assert re.split(" {2,}", lines[1])[1] == "rollback"
    assert re.split(" {2,}", lines[1])[4:] == ["-"] * 7
    assert lines[3:] == [told]

    (state,) = json.loads(show("library.AuthorMigration", "--format", "json").out)["migrations"]
    shown = {name: state[name] for name in ("read", "updated", "removed", "restored")}
    assert shown == {"read": 0, "updated": 0, "removed": 2, "restored": 1}
    runs = json.loads(show("library.AuthorMigration", "--runs", "--format", "json").out)["runs"]
    assert runs[0]["migrations"][0]["restored"] == 1
