"""The run as a whole: hooks in order, every row counted, and how a run can be ended."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import termios
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from data_migration import signals
from data_migration.models import Run, RunStep
from tests.apps.library.fixtures import (
    NOTHING,
    Library,
    counts,
    library_fixture,  # noqa: F401
)
from tests.apps.library.testing import Project, make_project, migrate
from tests.support.waiting import PATIENCE, wait_until
from tests.support.writers import USUAL

# ------------------------------------------------------------------ hooks


def recording(library: Library, name: str) -> list[str]:
    """Let every hook of the migration write its name, with the row's id, into the list."""
    calls: list[str] = []

    def before_all(self: Any) -> None:
        calls.append("before_all")

    def after_all(self: Any) -> None:
        calls.append("after_all")

    def before_transformation(self: Any, row: dict[str, Any]) -> None:
        calls.append(f"before_transformation {row['id']}")

    def before_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
        assert instance.name == row["name"]
        calls.append(f"before_save {row['id']}")

    def after_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
        assert type(instance).objects.filter(pk=instance.pk).exists()
        calls.append(f"after_save {row['id']}")

    def update_existing(self: Any, instance: Any, row: dict[str, Any]) -> None:
        calls.append(f"update_existing {row['id']}")

    def row_count(self: Any, connection: Any, cursor: Any) -> int:
        calls.append("row_count")
        return 2

    hooks = (
        before_all,
        after_all,
        before_transformation,
        before_save,
        after_save,
        update_existing,
        row_count,
    )
    library.set(name, **{f"hook_{hook.__name__}": hook for hook in hooks})
    return calls


@pytest.mark.django_db
def test_hooks_run_in_the_order_of_the_contract(library: Library) -> None:
    calls = recording(library, "Genre")
    library.set("Genre", writer="save")

    assert migrate("library.GenreMigration", "--commit", "--batch-size", "1").code == 0

    assert calls == [
        "before_all",
        "row_count",
        "before_transformation 1",
        "before_save 1",
        "after_save 1",
        "before_transformation 2",
        "before_save 2",
        "after_save 2",
        "after_all",
    ]


@pytest.mark.django_db
def test_hooks_of_a_rerun(library: Library) -> None:
    library.set("Genre", allow_updates=True, search_attr="id")
    migrate("library.GenreMigration", "--commit")
    library.change("INSERT INTO genres VALUES (3, 'New')")
    calls = recording(library, "Genre")

    assert migrate("library.GenreMigration", "--commit").code == 0

    assert calls[:2] == ["before_all", "row_count"]
    assert calls[-1] == "after_all"
    assert sorted(calls[2:-1]) == [
        "after_save 3",
        "before_save 3",
        "before_transformation 3",
        "update_existing 1",
        "update_existing 2",
    ]


@pytest.mark.django_db
def test_hooks_share_one_instance_for_each_run(library: Library) -> None:
    seen = []

    def hook_before_all(self: Any) -> None:
        self.rows = 0

    def hook_before_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
        self.rows += 1

    def hook_after_all(self: Any) -> None:
        seen.append(self.rows)

    for hook in (hook_before_all, hook_before_save, hook_after_all):
        library.hook("Book", hook)
    migrate("library")
    migrate("library")

    assert seen == [6, 6]


@pytest.mark.django_db
def test_an_error_hook_that_returns_lets_the_run_go_on(library: Library) -> None:
    library.spoil_books()
    failed = []

    def hook_error_creating_instance(self: Any, exception: Any, row: dict[str, Any]) -> None:
        failed.append(row["id"])

    library.hook("Book", hook_error_creating_instance)
    result = migrate("library", "--commit")

    assert sorted(failed) == [2, 4, 5]
    assert (result.code, counts()["Book"]) == (1, 3)
    assert result.err == "CommandError: 3 rows failed. See: manage.py show_legacy --messages\n"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("hook", "call", "said"),
    [
        ("hook_before_all", "", ""),
        ("hook_before_save", "0", ""),
        ("hook_after_all", "3", ", with: 3"),
        ("hook_error_creating_instance", "'disk full'", ", with: disk full"),
    ],
)
def test_a_hook_that_calls_sys_exit_fails_its_migration_and_is_told(
    library: Library, hook: str, call: str, said: str
) -> None:
    namespace: dict[str, Any] = {"sys": sys}
    exec(f"def {hook}(self, *given):\n    sys.exit({call})", namespace)
    library.hook("Book", namespace[hook])
    library.spoil_books()

    result = migrate("library", "--commit", "--on-error", "continue")

    kept = "What was committed before is kept; the same command goes on there."
    if hook == "hook_before_all":
        kept = "Nothing of library.BookMigration is kept."
    assert (result.code, result.err.splitlines()[-1]) == (
        1,
        f"CommandError: library.BookMigration: {hook}, line 2: sys.exit() was called{said}. {kept}"
        " Raise an exception instead, which says what is wrong.",
    )
    states = dict(RunStep.objects.values_list("migration", "status"))
    assert states["library.BookMigration"] == "failed"
    assert states["library.MemberMigration"] == "done"


@pytest.mark.django_db
def test_a_model_that_calls_sys_exit_is_located(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.apps.library.models import Genre

    def save(self: Any, **how: Any) -> None:
        sys.exit()

    monkeypatch.setattr(Genre, "save", save)

    result = migrate("library.GenreMigration", "--commit")

    line = save.__code__.co_firstlineno + 1
    assert f"GenreMigration: {__file__}, line {line}: sys.exit() was called. " in result.err


@pytest.mark.django_db
def test_a_receiver_that_calls_sys_exit_is_told(library: Library) -> None:
    def receive(**what: Any) -> None:
        sys.exit(4)

    signals.run_started.connect(receive)
    try:
        result = migrate("library", "--commit")
    finally:
        signals.run_started.disconnect(receive)

    line = receive.__code__.co_firstlineno + 1
    assert (result.code, result.err) == (
        1,
        f"CommandError: {__file__}, line {line}: sys.exit() was called, with: 4.\n",
    )
    assert Run.objects.get().status == "failed"


@pytest.mark.django_db
def test_the_default_error_hook_reports_the_row_on_stderr(library: Library) -> None:
    library.spoil_members()

    lines = migrate("library.MemberMigration").err.splitlines()

    assert lines[0].startswith("MemberMigration: ")
    assert lines[-2] == "  row: id = 3, email = 'member1@example.org'"


# ------------------------------------------------------------------ every row is counted

FATES = ("fine", "skipped", "bad value", "no author", "hook fails", "duplicate", "no title")


@pytest.mark.django_db
@pytest.mark.parametrize("writer", USUAL)
@settings(max_examples=15)
@given(fates=st.lists(st.sampled_from(FATES), max_size=12), size=st.integers(1, 5))
def test_every_row_ends_in_exactly_one_count(
    library: Library, writer: str, fates: list[str], size: int
) -> None:
    library.change("DELETE FROM books")
    for number, fate in enumerate(fates, start=1):
        title = "NULL" if fate == "no title" else f"'{fate}'"
        pages = "'many'" if fate == "bad value" else "1"
        author = 99 if fate == "no author" else 1
        library.change(f"INSERT INTO books VALUES ({number}, {title}, {pages}, {author}, '1,77')")

    def hook_before_save(self: Any, instance: Any, row: dict[str, Any]) -> bool | None:
        if row["title"] == "duplicate" and row["id"] > 1:
            instance.pk = 1
        if row["title"] == "hook fails":
            raise ValueError
        return False if row["title"] == "skipped" else None

    library.hook("Book", hook_before_save)
    library.set("Book", writer=writer)
    migrate("library", "--on-error", "continue", "--batch-size", str(size))

    step = RunStep.objects.filter(migration="library.BookMigration").latest("pk")
    ended = step.created + step.updated + step.unchanged + step.skipped + step.failed
    messages = list(step.messages.values_list("kind", flat=True))
    assert step.read == ended == len(fates)
    assert step.skipped == fates.count("skipped")
    assert step.failed == messages.count("failure")
    assert step.warnings == messages.count("warning") == step.created
    if fates and fates[0] == "fine":
        assert step.created == fates.count("fine")


@pytest.mark.django_db
def test_what_was_rolled_back_leaves_failures_only(library: Library) -> None:
    library.spoil_books()
    library.change("UPDATE books SET genres = '77'")

    migrate("library", "--commit")

    step = RunStep.objects.get(migration="library.BookMigration")
    assert (step.read, step.created, step.failed, step.warnings) == (1, 0, 1, 0)
    assert list(step.messages.values_list("kind", flat=True)) == ["failure"]


# ------------------------------------------------------------------ memory


@pytest.mark.django_db
def test_debug_does_not_make_memory_grow(library: Library) -> None:
    library.settings.DEBUG = True
    library.change(
        "WITH RECURSIVE n(i) AS (SELECT 5 UNION ALL SELECT i + 1 FROM n WHERE i < 400)"
        " INSERT INTO members SELECT i, 'm' || i FROM n"
    )
    library.set("Member", writer="save")
    longest = [0]

    def hook_after_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
        longest[0] = max(longest[0], len(connection.queries_log))

    library.hook("Member", hook_after_save)
    assert migrate("library.MemberMigration", "--batch-size", "10").code == 0

    assert 0 < longest[0] < 120


@pytest.mark.django_db
def test_memory_does_not_grow_with_the_table(library: Library) -> None:
    def peak(rows: int) -> int:
        library.change("DELETE FROM authors")
        library.change(
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})"
            " INSERT INTO authors SELECT i, 'author ' || i FROM n"
        )
        tracemalloc.start()
        assert migrate("library.AuthorMigration", "--batch-size", "100").code == 0
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(200)
    assert peak(3000) < 1.5 * peak(1000)


# ------------------------------------------------------------------ ending a run

#: Ten batches of two; at the fifth row the migration says so and waits to be shot at.
SPEC = f"""
import pathlib, time
from data_migration import BaseMigration
from tests.apps.library.models import Author, Genre, Member

class FirstMigration(BaseMigration):
    query = "SELECT id, name FROM authors"
    model = Author

class SecondMigration(BaseMigration):
    query = "SELECT id, email FROM members"
    model = Member
    batch_size = 2

    def hook_before_save(self, instance, row):
        if row["id"] == 5 and not pathlib.Path("released").exists():
            pathlib.Path("reached").touch()
            deadline = time.monotonic() + {PATIENCE}
            while not pathlib.Path("go").exists() and time.monotonic() < deadline:
                time.sleep(0.02)

class ThirdMigration(BaseMigration):
    query = "SELECT id, name FROM genres"
    model = Genre
"""


@pytest.fixture
def job(library: Library, tmp_path: Path, target_environment: dict[str, str]) -> Project:
    library.change("DELETE FROM members")
    library.change(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)"
        " INSERT INTO members SELECT i, 'member ' || i FROM n"
    )
    entry = library.settings.DATA_MIGRATION_SOURCES
    return make_project(
        tmp_path, target_environment, spec=SPEC, settings=[f"DATA_MIGRATION_SOURCES = {entry!r}"]
    )


@pytest.fixture
def running(job: Project) -> Iterator[subprocess.Popen[str]]:
    process = job.start("migrate_legacy", "job", "--commit", "--no-progress")
    try:
        wait_until((job.folder / "reached").exists, process)
        yield process
    finally:
        process.kill()
        process.communicate()


STOPPING = "Stopping after this batch. Press Ctrl-C again to stop at once.\n"
ended = pytest.mark.django_db(transaction=True)


@ended
@pytest.mark.once
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_first_signal_stops_after_the_batch(
    job: Project, running: subprocess.Popen[str], number: int
) -> None:
    running.send_signal(number)
    (job.folder / "go").touch()
    out, err = running.communicate(timeout=PATIENCE)

    assert running.returncode == 1
    assert "committed job.FirstMigration, a part of job.SecondMigration.\n" in out
    assert err == (
        f"{STOPPING}CommandError: job.SecondMigration was stopped. What was committed before is"
        " kept; the same command goes on there.\n"
    )
    assert counts() == {**NOTHING, "Author": 3, "Member": 6}
    run = Run.objects.get()
    assert run.status == "interrupted"
    assert [step.status for step in run.steps.all()] == ["done", "interrupted", "pending"]
    goes_on_behind(job, 6)


def goes_on_behind(job: Project, members: int) -> None:
    """The same command does what is left, and nothing twice."""
    (job.folder / "released").touch()
    result = job.run("migrate_legacy", "job", "--commit")

    assert result.code == 0
    assert "Done before and not run again: 1." in result.out
    assert counts() == {"Author": 3, "Genre": 2, "Book": 0, "Member": 20}
    first, second = RunStep.objects.filter(migration="job.SecondMigration").order_by("pk")
    assert (first.read, first.created) == (members, members)
    assert (second.passed, second.read, second.created) == (members, 20 - members, 20 - members)
    assert (first.current_status, second.current_status) == ("interrupted", "done")


@ended
@pytest.mark.once
def test_a_second_ctrl_c_ends_at_once(job: Project, running: subprocess.Popen[str]) -> None:
    running.send_signal(signal.SIGINT)
    assert running.stderr is not None
    first = running.stderr.readline()  # two signals at once would be one
    running.send_signal(signal.SIGINT)
    out, rest = running.communicate(timeout=PATIENCE)  # without a "go", the hook still waits

    assert running.returncode == 1
    assert "committed job.FirstMigration, a part of job.SecondMigration.\n" in out
    assert first + rest == (
        f"{STOPPING}CommandError: job.SecondMigration was stopped at once. What was committed"
        " before is kept; the same command goes on there.\n"
    )
    assert counts() == {**NOTHING, "Author": 3, "Member": 4}
    assert Run.objects.get().status == "interrupted"
    goes_on_behind(job, 4)


@ended
def test_after_a_kill_the_run_is_shown_as_interrupted_and_the_next_does_the_rest(
    job: Project, running: subprocess.Popen[str]
) -> None:
    running.kill()
    running.communicate(timeout=PATIENCE)

    shown = job.run("show_legacy", "job").out.splitlines()
    assert [line.split()[1] for line in shown[1:]] == ["done", "interrupted", "pending"]
    runs = job.run("show_legacy", "job", "--runs").out.splitlines()
    assert runs[1].split()[2] == "interrupted"
    assert counts() == {**NOTHING, "Author": 3, "Member": 4}
    goes_on_behind(job, 4)


# ------------------------------------------------------------------ in a real terminal


def on_a_terminal(job: Project, *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout, and what the terminal got on stderr."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 100))
    process = job.start(*arguments, stderr=slave)
    os.close(slave)
    drawn = b""
    while True:
        try:
            piece = os.read(master, 4096)
        except OSError:  # how Linux says that the other end is closed
            break
        if not piece:
            break
        drawn += piece
    out, _ = process.communicate(timeout=PATIENCE)
    os.close(master)
    return process.returncode, out, drawn.decode()


@ended
@pytest.mark.once
def test_a_bar_on_a_terminal_and_json_alone_on_stdout(job: Project) -> None:
    pytest.importorskip("tqdm")
    (job.folder / "released").touch()

    code, out, drawn = on_a_terminal(job, "migrate_legacy", "job", "--format", "json")

    assert code == 0
    assert out.startswith("{")
    assert out.endswith("}\n")
    assert "\r[2/3] job.SecondMigration:" in drawn
    assert "20/20" in drawn or "0/20" in drawn


@ended
@pytest.mark.once
def test_no_progress_draws_nothing_on_a_terminal(job: Project) -> None:
    (job.folder / "released").touch()

    code, _, drawn = on_a_terminal(job, "migrate_legacy", "job", "--no-progress")

    assert (code, drawn) == (0, "")


@ended
@pytest.mark.once
def test_plain_lines_where_there_is_no_terminal(job: Project) -> None:
    (job.folder / "released").touch()
    with (job.folder / "job_settings.py").open("a") as settings:
        settings.write("\nDATA_MIGRATION_PROGRESS_INTERVAL = 1e-9\n")

    err = job.run("migrate_legacy", "job").err

    assert "\r" not in err
    assert re.search(
        r"^\[2/3\] job\.SecondMigration  50%  10/20 rows  [\d,]+ rows/s  0s left$", err, re.M
    )
