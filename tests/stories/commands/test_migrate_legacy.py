"""``manage.py migrate_legacy`` as the person at the keyboard meets it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from data_migration.ledger import queue_run
from data_migration.models import RowError, Run, RunStep
from data_migration.options import RunOptions
from data_migration.outcomes import Mode, OnError, RunKind, RunStatus
from data_migration.undo import Selection
from tests.apps.library.fixtures import (
    EVERYTHING,
    NOTHING,
    Library,
    counts,
    library_fixture,  # noqa: F401
)
from tests.apps.library.legacy import LABELS, ROWS
from tests.apps.library.testing import give, migrate, show, timeless
from tests.support.writers import FASTEST, unforced

pytestmark = pytest.mark.django_db

WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE", "COPY")


def last_run() -> Run:
    run = Run.objects.first()
    assert run is not None
    return run


# ------------------------------------------------------------------ rehearsal and commit


@unforced
def test_without_commit_it_is_a_rehearsal_and_says_so_to_the_letter(library: Library) -> None:
    result = migrate("library")

    assert result.code == 0
    assert result.err == ""
    assert timeless(result.out) == (
        "Migration                read  created  updated  unchanged  skipped  failed  warnings"
        "  time\n"
        "library.AuthorMigration     3        3        0          0        0       0         0"
        "  0.0s\n"
        "library.GenreMigration      2        2        0          0        0       0         0"
        "  0.0s\n"
        "library.BookMigration       6        6        0          0        0       0         0"
        "  0.0s\n"
        "library.MemberMigration     4        4        0          0        0       0         0"
        "  0.0s\n"
        "Total                      15       15        0          0        0       0         0"
        "  0.0s\n"
        f"Rehearsal (run {last_run().pk}): nothing was written. Write with --commit.\n"
    )
    assert counts() == NOTHING


def test_commit_writes_everything(library: Library) -> None:
    result = migrate("library", "--commit")

    assert result.code == 0
    assert counts() == EVERYTHING
    assert result.out.endswith(f"Run {last_run().pk}: committed.\n")


def test_migrations_done_before_are_not_run_again(library: Library) -> None:
    migrate("library", "--commit")
    library.change("UPDATE authors SET name = 'Changed'")

    result = migrate("library", "--commit")

    assert (result.code, result.out) == (
        0,
        "Done before and not run again: 4.\nNothing to do.\n",
    )


def test_a_skipped_migration_alone_is_nothing_to_do(library: Library) -> None:
    library.set("Genre", skip=True)

    result = migrate("library.GenreMigration", "--commit")

    assert result.out.endswith("\nNothing to do.\n")
    assert show("library.GenreMigration").out.splitlines()[1].split()[1] == "skipped"


def test_a_run_with_a_skipped_migration_is_committed_as_a_whole(library: Library) -> None:
    library.set("Member", skip=True)

    result = migrate("library", "--commit")

    assert result.out.endswith(f"Run {last_run().pk}: committed.\n")
    assert counts() == {**EVERYTHING, "Member": 0}


def test_an_updateable_migration_runs_again_and_a_second_time_writes_nothing(
    library: Library,
) -> None:
    for name in ("Author", "Genre", "Book", "Member"):
        library.set(name, allow_updates=True, search_attr="id")
    migrate("library", "--commit")

    with CaptureQueriesContext(connection) as queries:
        result = migrate("library", "--commit")

    statements = [query["sql"] for query in queries]
    writes = [sql for sql in statements if sql.upper().startswith(WRITES)]
    assert [sql for sql in writes if "data_migration_" not in sql] == []
    assert statements
    total = result.out.splitlines()[5].split()
    assert total[:5] == ["Total", str(ROWS), "0", "0", str(ROWS)]


def test_update_reruns_what_is_finished(library: Library) -> None:
    migrate("library", "--commit")
    library.change("UPDATE authors SET name = 'Changed' WHERE id = 2")

    result = migrate("library.AuthorMigration", "--commit", "--update")

    assert result.out.splitlines()[1].split()[:5] == [LABELS[0], "3", "0", "1", "2"]


# ------------------------------------------------------------------ once more


def mend_books(library: Library) -> None:
    library.change("UPDATE books SET pages = 1, author_id = 1, title = 'mended'")


def test_failed_rows_are_tried_again_by_the_same_command(library: Library) -> None:
    library.spoil_books()
    first = migrate("library", "--commit", "--on-error", "continue")
    assert (first.code, counts()["Book"]) == (1, 3)
    mend_books(library)

    result = migrate("library", "--commit")

    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[1].split()[:4] == [LABELS[2], "3", "3", "0"]
    assert "library.BookMigration: 3 rows had been done by earlier runs.\n" in result.out
    assert "Done before and not run again: 3.\n" in result.out
    assert migrate("library", "--commit").out.endswith("Nothing to do.\n")


def test_retry_failed_reads_the_failed_rows_alone(library: Library) -> None:
    library.spoil_books()
    migrate("library", "--commit", "--on-error", "continue")
    library.change("UPDATE books SET pages = 1 WHERE id = 2")

    result = migrate("library", "--commit", "--retry-failed", "--on-error", "continue")

    assert result.code == 1
    assert result.out.splitlines()[1].split()[:8] == [
        *(LABELS[2], "3", "1", "0", "0", "0", "2", "0")
    ]
    assert result.err.splitlines()[-1] == (
        "CommandError: 2 rows failed. See: manage.py show_legacy --messages"
    )
    mend_books(library)
    assert migrate("library", "--commit", "--retry-failed").code == 0
    assert counts()["Book"] == 6
    assert "Nothing to do." in migrate("library", "--commit", "--retry-failed").out


def test_retry_failed_leaves_other_rows_alone(library: Library) -> None:
    library.spoil_members()
    migrate("library", "--commit", "--on-error", "continue")
    library.change("UPDATE members SET email = 'mended@example.org' WHERE id = 3")
    library.change("INSERT INTO members VALUES (9, 'new@example.org')")

    migrate("library", "--commit", "--retry-failed")

    assert counts() == {**EVERYTHING, "Member": 4}


@pytest.mark.parametrize(
    ("option", "expected"), [("--update", ["0", "3"]), ("--full", ["1", "2"])]
)
def test_full_looks_at_the_objects_of_rows_that_did_not_change(
    library: Library, option: str, expected: list[str]
) -> None:
    from tests.apps.library.models import Author

    library.set("Author", on_conflict="overwrite")
    migrate("library.AuthorMigration", "--commit")
    Author.objects.filter(pk=2).update(name="mine")

    result = migrate("library.AuthorMigration", "--commit", option)

    # read, created, updated, unchanged
    assert result.out.splitlines()[1].split()[:5] == [LABELS[0], "3", "0", *expected]
    assert Author.objects.filter(name="mine").exists() == (option == "--update")


# ------------------------------------------------------------------ failing rows


def test_the_first_bad_row_ends_the_run_and_earlier_migrations_stay(library: Library) -> None:
    library.spoil_books()

    result = migrate("library", "--commit")

    assert result.code == 1
    assert counts() == {"Author": 3, "Genre": 2, "Book": 0, "Member": 0}
    assert f"Run {last_run().pk}: committed {LABELS[0]}, {LABELS[1]}.\n" in result.out
    assert result.err.splitlines()[-1] == (
        "CommandError: library.BookMigration: row 2, key 2: column pages, value 'many': “many”"
        " value must be an integer. What was committed before is kept; the same command goes"
        " on there. Mend the row or the spec, or go on past failed rows with --on-error continue."
    )


def test_what_a_hook_wrote_before_the_first_row_is_told_to_be_kept(library: Library) -> None:
    from tests.apps.library.models import Author

    def hook_before_all(self: Any) -> None:
        Author.objects.create(pk=77, name="of the hook")

    library.hook("Genre", hook_before_all)
    library.change("UPDATE genres SET name = NULL WHERE id = 1")

    result = migrate("library.GenreMigration", "--commit")

    assert Author.objects.filter(pk=77).exists()
    assert result.out.endswith(
        f"Run {last_run().pk}: committed what hook_before_all of {LABELS[1]} wrote.\n"
    )
    library.set("Genre", legacy_key=())
    Author.objects.all().delete()
    assert migrate("library.GenreMigration", "--commit").out.endswith(": nothing was written.\n")
    assert not Author.objects.exists()


def test_atomic_is_all_or_nothing(library: Library) -> None:
    library.spoil_books()

    result = migrate("library", "--commit", "--atomic")

    assert result.code == 1
    assert counts() == NOTHING
    assert f"Run {last_run().pk}: nothing was written.\n" in result.out
    assert "library.AuthorMigration was rolled back with the rest of the run." in result.err
    assert {step.status for step in last_run().steps.all()} == {"pending", "failed"}


def test_atomic_writes_everything_when_all_is_fine(library: Library) -> None:
    assert migrate("library", "--commit", "--atomic").code == 0
    assert set(RunStep.objects.values_list("status", "failed")) == {(RunStatus.DONE, 0)}
    assert counts() == EVERYTHING


def test_atomic_remembers_what_failed(library: Library) -> None:
    library.spoil_books()
    result = migrate("library", "--commit", "--atomic", "--on-error", "continue")
    assert result.code == 1
    step = RunStep.objects.get(migration="library.BookMigration")
    assert (step.status, step.failed) == (RunStatus.PARTIAL, RowError.objects.count())
    assert migrate("library", "--check").code == 1


def test_on_error_continue_keeps_the_good_rows_and_counts_the_bad(
    library: Library, writer: str
) -> None:
    library.spoil_books()
    library.set("Book", writer=writer)

    result = migrate("library", "--commit", "--on-error", "continue")

    assert result.code == 1
    assert counts() == {**EVERYTHING, "Book": 3}
    line = next(line for line in result.out.splitlines() if line.startswith(LABELS[2]))
    assert line.split()[1:8] == ["6", "3", "0", "0", "0", "3", "0"]
    assert result.err.endswith(
        "CommandError: 3 rows failed. See: manage.py show_legacy --messages\n"
    )
    assert set(RowError.objects.values_list("key", "column")) == {
        ("2", "pages"),
        ("4", "author"),
        ("5", "title"),
    }


def test_of_many_failed_rows_the_first_are_told_and_all_are_counted_by_cause(
    library: Library,
) -> None:
    library.change("UPDATE books SET pages = 'page ' || id WHERE id < 6")
    library.change("UPDATE books SET author_id = 99 WHERE id = 6")

    result = migrate("library", "--on-error", "continue", "--exclude", LABELS[3])

    row = "title = 'Book {0}', pages = 'page {0}', author = {1}, genres = '1,2'"
    assert (result.code, result.err) == (
        1,
        "BookMigration: column 'pages', value 'page 1': “page 1” value must be an integer.\n"
        f"  row: id = 1, {row.format(1, 2)}\n"
        "BookMigration: column 'pages', value 'page 2': “page 2” value must be an integer.\n"
        f"  row: id = 2, {row.format(2, 3)}\n"
        "BookMigration: column 'pages', value 'page 3': “page 3” value must be an integer.\n"
        f"  row: id = 3, {row.format(3, 1)}\n"
        "library.BookMigration: further failed rows are told by cause at the end.\n"
        "library.BookMigration\n"
        "  5 failures, pages: “…” value must be an integer.\n"
        "    for example key 5, value 'page 5'\n"
        "  1 failure, author: id = 99 matches no library.Author\n"
        "    key 6, value 99\n"
        "CommandError: 6 rows failed. See: manage.py show_legacy --messages\n",
    )


def test_a_hook_of_the_spec_gets_every_failed_row(library: Library) -> None:
    library.change("UPDATE books SET pages = 'many'")
    got: list[int] = []

    def hook_error_creating_instance(self: Any, exception: Exception, row: dict[str, Any]) -> None:
        got.append(row["id"])

    library.hook("Book", hook_error_creating_instance)
    result = migrate("library")

    assert got == [1, 2, 3, 4, 5, 6]
    assert "further failed rows" not in result.err
    assert "  6 failures, pages: “many” value must be an integer.\n" in result.err


def test_one_failed_row_is_told_in_the_singular(library: Library) -> None:
    library.spoil_members()

    result = migrate("library.MemberMigration", "--commit", "--on-error", "continue")

    assert result.err.endswith(
        "CommandError: 1 row failed. See: manage.py show_legacy --messages\n"
    )


def test_what_needs_a_failed_migration_is_not_run_and_the_others_are(library: Library) -> None:
    library.set("Author", query="SELECT id, name FROM writers")

    result = migrate("library", "--commit", "--on-error", "continue")

    assert result.code == 1
    assert counts() == {"Author": 0, "Genre": 2, "Book": 0, "Member": 4}
    errors = result.err.splitlines()
    assert errors[0].startswith(
        "CommandError: library.AuthorMigration: the legacy database refused the query:"
        " no such table: writers."
    )
    assert errors[1:] == [
        "library.BookMigration was not run, because it needs library.AuthorMigration."
    ]
    states = {step.migration: step.status for step in last_run().steps.all()}
    assert states == {
        LABELS[0]: "failed",
        LABELS[1]: "done",
        LABELS[2]: "pending",
        LABELS[3]: "done",
    }


@pytest.mark.parametrize(
    ("allowed", "code", "books"),
    [("3", 1, 3), ("2", 1, 0), ("50%", 1, 3), ("49%", 1, 0), ("100%", 1, 3), ("0", 1, 0)],
)
def test_max_errors_stops_when_more_rows_failed(
    library: Library, allowed: str, code: int, books: int
) -> None:
    library.spoil_books()

    result = migrate("library", "--commit", "--max-errors", allowed)

    assert result.code == code
    assert counts()["Book"] == books
    assert (f"more than --max-errors {allowed} allows" in result.err) == (books == 0)


def test_max_errors_in_percent_holds_where_nobody_can_count_the_rows(library: Library) -> None:
    library.spoil_books()

    def hook_row_count(self: Any, connection: Any, cursor: Any) -> None:
        return None

    library.hook("Book", hook_row_count)

    assert "more than --max-errors 10% allows" in migrate("library", "--max-errors", "10%").err


@pytest.mark.parametrize("text", ["", "many", "-1%", "101%", "nan%", "1.5", "%"])
def test_max_errors_that_make_no_sense_are_refused(library: Library, text: str) -> None:
    result = migrate("library", f"--max-errors={text}")

    assert result.code == 2
    assert result.err == (
        f"CommandError: --max-errors takes a number or a percentage such as 5%, not {text!r}.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--batch-size", "3000000000"], "--batch-size takes a whole number from 1 to 1,000,000."),
        (["--limit", "9" * 30], "argument --limit: takes a whole number above zero, not '9999"),
        (["--run", "9" * 5000], "argument --run: takes a whole number above zero, not '9999"),
        (["--workers", "5000", "--plan"], "--workers takes a whole number from 1 to 1,000."),
    ],
    ids=lambda each: str(each)[:20],
)
def test_a_number_that_no_run_could_do_with_is_refused_at_once(
    library: Library, arguments: list[str], told: str
) -> None:
    result = migrate("library", *arguments)

    assert (result.code, result.out) == (2, "")
    assert told in result.err
    assert len(result.err.splitlines()[-1]) < 200
    assert not Run.objects.exists()


def test_max_errors_with_on_error_stop_is_refused(library: Library) -> None:
    result = migrate("library", "--max-errors", "3", "--on-error", "stop")

    assert (result.code, result.out) == (2, "")
    assert "choose one" in result.err


# ------------------------------------------------------------------ which migrations


def test_exclude_and_labels_are_exact(library: Library) -> None:
    result = migrate("library", "--exclude", "library.MemberMigration", "--commit")

    assert result.code == 0
    assert counts() == {**EVERYTHING, "Member": 0}


@pytest.mark.parametrize("arguments", [("librari",), ("library", "--exclude", "librari")])
def test_an_unknown_label_is_refused_with_a_suggestion(
    library: Library, arguments: tuple[str, ...]
) -> None:
    result = migrate(*arguments)

    assert (result.code, result.out) == (2, "")
    assert result.err == (
        "CommandError: No app or migration is called 'librari'. Did you mean 'library'?\n"
    )


def test_a_prefix_of_a_label_is_no_label(library: Library) -> None:
    assert migrate("library.Book").code == 2
    assert "Did you mean 'library.BookMigration'?" in migrate("library.BooksMigration").err


def test_a_dependency_that_is_left_out_is_told(library: Library) -> None:
    result = migrate("library.BookMigration")

    assert result.err.splitlines()[:2] == [
        "library.BookMigration needs library.AuthorMigration, which is left out and not finished.",
        "library.BookMigration needs library.GenreMigration, which is left out and not finished.",
    ]


def test_a_dependency_that_was_run_before_is_not_told(library: Library) -> None:
    migrate("library", "--commit", "--exclude", "library.BookMigration")

    assert migrate("library.BookMigration", "--commit").err == ""


# ------------------------------------------------------------------ plan and check


def test_plan_prints_what_would_run_in_order_and_runs_nothing(library: Library) -> None:
    migrate("library.AuthorMigration", "--commit")
    library.set("Member", skip=True)

    result = migrate("library", "--plan")

    assert (result.code, result.err) == (0, "")
    assert result.out == (
        "#  Migration                Model           State    Runs  Needs\n"
        "1  library.AuthorMigration  library.Author  done     no    -\n"
        "2  library.GenreMigration   library.Genre   pending  yes   -\n"
        "3  library.BookMigration    library.Book    pending  yes   library.AuthorMigration,"
        " library.GenreMigration\n"
        "4  library.MemberMigration  library.Member  skipped  no    -\n"
    )
    assert Run.objects.count() == 1


def test_plan_as_json(library: Library) -> None:
    document = json.loads(migrate("library", "--plan", "--update", "--format", "json").out)

    assert document["plan"][2] == {
        "migration": "library.BookMigration",
        "model": "library.Book",
        "state": "pending",
        "runs": True,
        "needs": ["library.AuthorMigration", "library.GenreMigration"],
    }


def test_check_fails_while_something_is_pending(library: Library) -> None:
    migrate("library.AuthorMigration", "--commit")
    library.set("Genre", skip=True)

    result = migrate("library", "--check")

    assert (result.code, result.out) == (1, "")
    assert result.err == (
        "CommandError: Pending: library.BookMigration, library.MemberMigration.\n"
    )


def test_check_passes_when_nothing_is_pending(library: Library) -> None:
    migrate("library", "--commit")

    result = migrate("library", "--check")

    assert (result.code, result.out, result.err) == (0, "Nothing is pending.\n", "")


def test_a_rehearsal_leaves_everything_pending(library: Library) -> None:
    migrate("library")

    assert migrate("library", "--check").code == 1


def test_check_as_json(library: Library) -> None:
    result = migrate("library", "--check", "--format", "json")

    assert (result.code, json.loads(result.out)) == (1, {"pending": list(LABELS)})
    migrate("library", "--commit")
    assert json.loads(migrate("library", "--check", "--format", "json").out) == {"pending": []}


# ------------------------------------------------------------------ other options


def test_logquery_prints_each_query_on_stderr(library: Library) -> None:
    result = migrate("library.AuthorMigration", "library.GenreMigration", "--logquery")

    assert result.err == (
        "library.AuthorMigration:\nSELECT id, name FROM authors ORDER BY id\n"
        "library.GenreMigration:\nSELECT id, name FROM genres ORDER BY id\n"
    )


def test_limit_reads_the_first_rows_of_each_query_and_says_what_that_means(
    library: Library,
) -> None:
    result = migrate("library.MemberMigration", "--limit", "3", "--commit")

    assert counts()["Member"] == 3
    assert (
        "Only the first 3 rows of each query were read (--limit): library.MemberMigration. The"
        " same command without --limit goes on there.\n"
    ) in result.out
    rest = migrate("library.MemberMigration", "--commit")
    assert "library.MemberMigration: 3 rows had been done by earlier runs.\n" in rest.out
    assert counts()["Member"] == 4
    assert migrate("library.MemberMigration", "--commit").out.endswith("Nothing to do.\n")


def test_a_limit_beyond_the_last_row_is_not_mentioned(library: Library) -> None:
    assert "--limit" not in migrate("library", "--limit", "100").out


@pytest.mark.parametrize("option", ["--limit", "--batch-size"])
@pytest.mark.parametrize("text", ["0", "-3", "ten", "1.5"])
def test_numbers_have_to_be_above_zero(library: Library, option: str, text: str) -> None:
    result = migrate("library", f"{option}={text}")

    assert (result.code, result.out) == (2, "")
    assert f"argument {option}: takes a whole number above zero, not {text!r}" in result.err


@pytest.mark.parametrize("size", ["1", "2", "100"])
def test_the_batch_size_does_not_change_the_result(library: Library, size: str) -> None:
    assert migrate("library", "--commit", "--batch-size", size).code == 0
    assert counts() == EVERYTHING


def test_atomic_needs_commit(library: Library) -> None:
    result = migrate("library", "--atomic")

    assert (result.code, result.err) == (2, "CommandError: --atomic needs --commit.\n")


def test_a_database_that_is_not_configured_is_refused(library: Library) -> None:
    result = migrate("library", "--database", "defualt")

    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(
        "CommandError: --database: there is no alias 'defualt' in DATABASES. It has: default"
    )


def test_an_unknown_option_is_refused(library: Library) -> None:
    assert migrate("library", "--comit").code == 2


@pytest.mark.parametrize("verbosity", ["1", "2", "3"])
def test_the_table_is_printed_from_verbosity_one_on(library: Library, verbosity: str) -> None:
    assert "Total" in migrate("library", "-v", verbosity).out


def test_verbosity_zero_is_silent_when_all_is_fine(library: Library) -> None:
    result = give("migrate_legacy", "library", "-v", "0")

    assert (result.code, result.everything) == (0, "")


def test_verbosity_zero_still_tells_what_failed(library: Library) -> None:
    library.spoil_books()

    result = give("migrate_legacy", "library", "-v", "0", "--on-error", "continue")

    assert (result.code, result.out) == (1, "")
    assert "3 rows failed" in result.err


@unforced
def test_rows_written_one_by_one_are_told_with_the_reason(library: Library) -> None:
    library.set("Genre", writer="save")

    out = migrate("library").out

    assert "library.GenreMigration: written with save, because the migration asks for it.\n" in out
    assert "library.AuthorMigration: written" not in out


# ------------------------------------------------------------------ JSON


def test_json_is_the_document_of_the_contract(library: Library) -> None:
    result = migrate("library.AuthorMigration", "--format", "json")

    document = json.loads(result.out)
    seconds = document["migrations"][0].pop("seconds")
    assert isinstance(seconds, float)
    assert document == {
        "run": last_run().pk,
        "dry_run": True,
        "status": "done",
        "error": "",
        "migrations": [
            {
                "migration": "library.AuthorMigration",
                "status": "done",
                "read": 3,
                "created": 3,
                "updated": 0,
                "unchanged": 0,
                "skipped": 0,
                "failed": 0,
                "warnings": 0,
                "passed": 0,
                "removed": 0,
                "writer": FASTEST,
                "writer_reason": document["migrations"][0]["writer_reason"],
                "split_into": 0,
                "split_reason": "",
                "error": "",
            }
        ],
    }


def test_json_stands_alone_on_stdout_with_failures_and_progress(library: Library) -> None:
    library.spoil_books()
    library.settings.DATA_MIGRATION_PROGRESS_INTERVAL = 1e-9

    result = give(
        "migrate_legacy", "library", "--format", "json", "--on-error", "continue", "--logquery"
    )

    document = json.loads(result.out)
    assert (result.code, document["status"]) == (1, "partial")
    assert [step["failed"] for step in document["migrations"]] == [0, 0, 3, 0]
    assert "rows/s" in result.err


def test_json_of_a_run_that_failed_as_a_whole(library: Library) -> None:
    library.set("Author", query="SELECT id, name FROM writers")

    result = migrate("library", "--commit", "--format", "json")

    document = json.loads(result.out)
    assert (result.code, document["dry_run"], document["status"]) == (1, False, "failed")
    assert "no such table: writers" in document["error"]
    assert [step["status"] for step in document["migrations"]] == ["failed", *["pending"] * 3]


def test_json_of_a_run_with_nothing_to_do(library: Library) -> None:
    migrate("library", "--commit")

    document = json.loads(migrate("library", "--commit", "--format", "json").out)

    assert (document["status"], document["migrations"]) == ("done", [])


# ------------------------------------------------------------------ a run that waits


def queued(mode: Mode = Mode.COMMIT, **options: Any) -> str:
    """The number of a run that waits for a worker."""
    recorded = RunOptions(mode=mode, labels=("library",), **options).recorded()
    kind = RunKind.ROLLBACK if mode == Mode.ROLLBACK else RunKind.IMPORT
    if kind == RunKind.ROLLBACK:
        recorded = {**Selection(labels=("library",)).recorded(), "force": False}
    return str(queue_run(kind=kind, mode=mode, options=recorded, database="default").pk)


def test_run_executes_what_waits_for_a_worker_and_tells_as_usual(library: Library) -> None:
    number = queued()

    result = migrate("--run", number)

    assert result.code == 0
    assert result.out.endswith(f"Run {number}: committed.\n")
    assert counts() == EVERYTHING
    assert Run.objects.get().status == "done"


def test_run_executes_a_rollback(library: Library) -> None:
    migrate("library", "--commit")
    as_text, as_json = queued(Mode.ROLLBACK), queued(Mode.ROLLBACK)

    result = migrate("--run", as_text)

    assert result.code == 0
    assert result.out.endswith(f"Run {as_text}: rolled back 4 migrations, pending again.\n")
    assert counts() == NOTHING
    assert json.loads(migrate("--run", as_json, "--format", "json").out)["migrations"] == []


def test_run_exits_with_one_when_rows_failed(library: Library) -> None:
    library.spoil_books()

    result = migrate("--run", queued(on_error=OnError.CONTINUE), "--format", "json")

    assert result.code == 1
    assert json.loads(result.out)["status"] == "partial"
    assert "rows failed" in result.err


def test_run_refuses_a_run_that_does_not_wait(library: Library) -> None:
    number = queued()
    migrate("--run", number)

    again = migrate("--run", number)

    assert again.code == 1
    assert f"Run {number} does not wait for a worker: it is done." in again.err
    assert "There is no run 987654" in migrate("--run", "987654").err


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["library"], "labels"),
        (["--commit"], "--commit"),
        (["--retry-failed", "--limit", "3"], "--limit, --retry-failed"),
        (["--exclude", "library"], "--exclude"),
        (["--plan"], "--plan"),
    ],
)
def test_run_has_its_options_already(library: Library, given: list[str], named: str) -> None:
    number = queued()

    result = migrate("--run", number, *given)

    assert result.code == 2
    assert f"leave out {named}." in result.err
    assert Run.objects.get().status == "queued"


def test_the_labels_are_recorded_with_a_run(library: Library) -> None:
    migrate("library", "--exclude", "library.BookMigration")

    assert last_run().labels == ["library"]
    assert last_run().options["exclude"] == ["library.BookMigration"]


def test_a_run_that_waits_is_listed(library: Library) -> None:
    number = queued()

    assert show("--runs").out.splitlines()[1].split()[:4] == [number, "commit", "queued", "-"]
    (run,) = json.loads(show("--runs", "--format", "json").out)["runs"]
    assert (run["status"], run["started_at"], run["migrations"]) == ("queued", None, [])
