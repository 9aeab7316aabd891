"""``manage.py run_patches``: each option, what is told at the end, exit codes, JSON."""

from __future__ import annotations

import json
import os

import pytest
from django.conf import LazySettings

from data_migration.models import PatchRecord, Run
from data_migration.outcomes import PatchState, RunStatus
from data_migration.utils import processes
from tests.apps.library.testing import give
from tests.apps.shop.models import Tag
from tests.support.specs import NewApp

from .patches import WORDS, names, run, show, tags

pytestmark = pytest.mark.django_db


def test_a_rehearsal_tells_what_it_would_have_done(new_app: NewApp) -> None:
    new_app("words", patches=WORDS)
    tags("a", "b", "C")

    result = run()

    number = Run.objects.get().pk
    assert (result.code, result.err) == (0, "")
    assert result.out == (
        "Patch        processed  changed  unchanged  skipped  failed  time\n"
        "words.shout          3        2          1        0       0  0.0s\n"
        "words.count          -        -          -        -       -  0.0s\n"
        "Total                3        2          1        0       0  0.0s\n"
        "words.count: 3 tags\n"
        f"Rehearsal (run {number}): nothing was written. Write with --commit.\n"
    )
    assert names() == ["a", "b", "C"]


def test_committed_patches_run_once(new_app: NewApp) -> None:
    new_app("words", patches=WORDS)
    tags("a", "b")

    result = run("--commit")

    assert result.code == 0
    assert result.out.endswith(f"words.count: 2 tags\nRun {Run.objects.get().pk}: committed.\n")
    assert names() == ["A", "B"]
    assert run("--commit").out == "Nothing to do.\n"
    assert run("--check").out == "Nothing is pending.\n"


def test_a_failed_object_ends_the_run_with_the_place_of_the_fault(new_app: NewApp) -> None:
    new_app("words", patches=WORDS)
    *_, bad = tags("a", "b", "bad")

    result = run("--commit")

    assert result.code == 1
    assert result.out.splitlines()[2:] == [
        "Not begun, because the run had ended before: words.count.",
        f"Run {Run.objects.get().pk}: committed a part of words.shout.",
    ]
    assert result.err == (
        f"CommandError: words.shout: key {bad}: process, line 12: ValueError: that is a bad word."
        " What was committed before is kept; the same command goes on there. Mend the object or"
        " the patch, or go on past failed objects with --on-error continue.\n"
    )


def test_a_rehearsal_goes_on_past_failed_objects(new_app: NewApp) -> None:
    new_app("words", patches=WORDS)
    tags("bad", "a", "bad")
    result = run("words.shout")
    assert result.code == 1
    assert result.out.splitlines()[1].split()[:6] == ["words.shout", "3", "1", "0", "0", "2"]
    assert result.err.splitlines()[-1] == (
        "CommandError: 2 objects failed. See: manage.py show_patches --messages"
    )
    assert len(run("words.shout", "--on-error", "stop").err.splitlines()) == 1


def test_failed_objects_are_counted_by_cause_and_tried_again(new_app: NewApp) -> None:
    new_app("words", patches=WORDS)
    *_, last = tags("bad", "a", "bad")

    result = run("words.shout", "--commit", "--on-error", "continue")

    assert result.code == 1
    assert result.err.splitlines() == [
        "words.shout",
        "  2 failures (2 open): process, line 12: ValueError: that is a bad word",
        f"    for example key {last}",
        "CommandError: 2 objects failed. See: manage.py show_patches --messages",
        "When they, or the patch, are mended: manage.py run_patches --retry-failed --commit",
    ]
    Tag.objects.filter(name="bad").update(name="good")
    assert run("--retry-failed", "--commit").code == 0
    assert names() == ["GOOD", "A", "GOOD"]
    assert run("--commit").out.splitlines()[1].startswith("words.count ")


WRONG = """
from data_migration.patches import patch

@patch
def wrong(ctx):
    ctx.log("begun")
    {}["x"]

@patch(depends_on=["wrong"])
def behind(ctx):
    pass

@patch
def right(ctx):
    pass
"""


def test_skip_failing_goes_on_and_says_what_was_not_run(new_app: NewApp) -> None:
    new_app("words", patches=WRONG)

    result = run("--commit", "--skip-failing")

    assert result.code == 1
    assert result.out.splitlines() == [
        "Patch        processed  changed  unchanged  skipped  failed  time",
        "words.wrong          -        -          -        -       -  0.0s",
        "words.right          -        -          -        -       -  0.0s",
        "Total                0        0          0        0       0  0.0s",
        "words.wrong: begun",
        f"Run {Run.objects.get().pk}: committed words.right.",
    ]
    assert result.err == (
        "CommandError: words.wrong, words/patches.py, line 7: KeyError: 'x'.\n"
        "words.behind was not run, because it needs words.wrong.\n"
    )
    assert "Traceback" not in result.err


def test_what_cannot_run_is_told_after_every_run(new_app: NewApp) -> None:
    late = """
from data_migration.patches import patch
@patch(before=[("auth", "0002")])
def late(ctx):
    pass
"""
    new_app("words", patches=late)

    result = run("--commit")

    why = (
        "It had to run before auth.0002, which is applied. If its work is not needed any more, say"
        " so: manage.py run_patches --fake words.late --reason TEXT"
    )
    assert result.code == 0
    assert result.out == (f"words.late was not run: it is impossible. {why}\nNothing to do.\n")
    assert json.loads(run("--format", "json").out)["waiting"] == [
        {"patch": "words.late", "state": "impossible", "why": why}
    ]
    refused = run("words.late")
    assert (refused.code, refused.err) == (1, f"CommandError: words.late is impossible. {why}\n")
    assert run("--check").err == "CommandError: Not done: words.late (impossible).\n"


def test_a_run_as_json(new_app: NewApp) -> None:
    new_app("words", patches=WORDS)
    tags("a", "b")

    document = json.loads(run("--commit", "--format", "json").out)

    for patch in document["patches"]:
        assert isinstance(patch.pop("seconds"), float)
    counts = {"unchanged": 0, "skipped": 0, "failed": 0, "passed": 0}
    assert document == {
        "run": Run.objects.get().pk,
        "dry_run": False,
        "status": "done",
        "error": "",
        "patches": [
            {
                "patch": "words.shout",
                "state": "done",
                "status": "done",
                "processed": 2,
                "changed": 2,
                **counts,
                "error": "",
                "output": "",
            },
            {
                "patch": "words.count",
                "state": "done",
                "status": "done",
                "processed": 0,
                "changed": 0,
                **counts,
                "error": "",
                "output": "2 tags",
            },
        ],
        "waiting": [],
    }


def test_the_plan_writes_nothing(new_app: NewApp) -> None:
    new_app("words", patches=WORDS)
    result = run("--plan")
    assert (result.code, result.err) == (0, "")
    assert result.out == (
        "Patch        State    Phase  Runs  After\n"
        "words.shout  pending  after  yes   -\n"
        "  Write tags in capitals.\n"
        "words.count  pending  after  yes   words.shout\n"
        "  Count the tags.\n"
    )
    assert not Run.objects.exists()
    document = json.loads(run("--plan", "--format", "json", "words.count").out)
    assert [(each["patch"], each["runs"]) for each in document["patches"]] == [
        ("words.count", True)
    ]


def test_the_check_exits_1_while_something_is_left_to_do(new_app: NewApp) -> None:
    new_app("words", patches=WORDS)
    result = run("--check")
    assert result.code == 1
    assert result.err == "CommandError: Not done: words.shout (pending), words.count (pending).\n"
    run("--commit")
    PatchRecord.objects.filter(name="count").update(digest="another")
    result = run("--check")
    assert (result.code, result.err) == (
        1,
        "CommandError: Not done: words.count (changed since).\n",
    )
    run("--fake", "words.count", "--reason", "Only the words of it changed")
    assert run("--check").code == 0


def test_fake_records_who_and_why(new_app: NewApp) -> None:
    new_app("words", patches=WORDS)
    result = run("--fake", "words.shout", "--reason", "Done by hand in May")
    assert (result.code, result.out) == (
        0,
        "words.shout is recorded as done: Done by hand in May\n",
    )
    record = PatchRecord.objects.get()
    assert (record.state, record.owner) == (PatchState.FAKED, processes.owner())
    assert show("words.shout").out.splitlines()[2].endswith(": Done by hand in May")
    document = json.loads(run("--fake", "words.count", "--reason", "So", "--format", "json").out)
    assert [(each["patch"], each["state"]) for each in document["patches"]] == [
        ("words.count", "faked")
    ]


def test_force_runs_what_is_done_and_adds_a_record(new_app: NewApp) -> None:
    new_app("words", patches=WORDS)
    run("--commit")
    tags("new")
    result = run("--force", "words.shout", "--commit")
    assert result.code == 0
    assert names() == ["NEW"]
    assert sorted(each.repeat for each in PatchRecord.objects.filter(name="shout")) == [0, 1]


def test_limit_leaves_the_rest_to_the_next_run(new_app: NewApp) -> None:
    new_app("words", patches=WORDS)
    tags("a", "b", "c")
    result = run("words.shout", "--commit", "--limit", "2")
    assert (
        "Only the first 2 objects of each patch were processed (--limit): words.shout. The same"
        " command without --limit goes on there.\n"
    ) in result.out
    assert names() == ["A", "B", "c"]
    assert run("words.shout", "--commit").code == 0
    assert names() == ["A", "B", "C"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ["--fake", "words.shout"],
            "--fake needs --reason: those who come after want to know why.",
        ),
        (["--fake", "words.shout", "--reason", " "], "--fake needs --reason: those who"),
        (["--reason", "x"], "--reason is for --fake NAME."),
        (["--fake", "words", "--reason", "x"], "--fake takes the name of one patch, and 'words'"),
        (
            ["--fake", "words.shout", "--reason", "x", "--commit", "--on-error", "stop"],
            "--fake runs nothing: leave out --commit, --on-error.",
        ),
        (["--check", "--plan"], "--check and --plan exclude each other: choose one."),
        (["--check", "--commit"], "--check and --commit exclude each other: choose one."),
        (["--plan", "--background"], "--plan and --background exclude each other: choose one."),
        (["--migrate", "--background"], "--migrate and --background exclude each other"),
        (["--migrate", "words"], "--migrate and labels exclude each other"),
        (["--workers", "2"], "--workers needs --commit: a rehearsal is one transaction."),
        (["--max-errors", "3", "--on-error", "stop"], "--max-errors makes no sense with"),
        (
            ["--run", "1", "--commit"],
            "--run executes a run as it was recorded: leave out --commit.",
        ),
        (["--database", "other"], "--database: there is no alias 'other' in DATABASES."),
        (["words.shut"], "No app or patch is called 'words.shut'. Did you mean 'words.shout'?"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_what_makes_no_sense_is_refused_in_words(
    new_app: NewApp, options: list[str], sentence: str
) -> None:
    new_app("words", patches=WORDS)
    result = run(*options)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"CommandError: {sentence}")
    assert not Run.objects.exists()
    assert not PatchRecord.objects.exists()


def test_a_fault_in_a_patch_is_told_before_anything_runs(new_app: NewApp) -> None:
    new_app("words", patches="from data_migration.patches import Patch\nclass A(Patch): pass\n")
    result = run("--commit")
    assert result.code == 2
    assert result.err.startswith("CommandError: The patches have faults, nothing was run:\n")
    assert "It has neither queryset() nor execute()" in result.err


def test_a_run_without_workers_in_the_background_is_refused(new_app: NewApp) -> None:
    new_app("words", patches=WORDS)
    result = run("--background")
    assert result.code == 2
    assert result.err.startswith("CommandError: Nothing is set up to run in the background.")
    assert not Run.objects.exists()


def test_a_queued_run_is_executed_by_either_command(
    new_app: NewApp, monkeypatch: pytest.MonkeyPatch, settings: LazySettings
) -> None:
    settings.DATA_MIGRATION_BACKGROUND = "process"
    monkeypatch.setitem(os.environ, "DJANGO_SETTINGS_MODULE", "tests.settings")
    new_app("words", patches=WORDS)
    for command in ("migrate_legacy", "run_patches"):
        tags("a")
        PatchRecord.objects.all().delete()
        result = run("--commit", "--background")
        queued = Run.objects.get(status=RunStatus.QUEUED)
        assert result.out == (
            f"Run {queued.pk} was handed over. Follow it with: manage.py show_patches --runs,"
            " or in the admin.\n"
        )
        row = show("--runs").out.splitlines()[1]
        assert row.split()[:3] == [str(queued.pk), "commit", "queued"]
        done = give(command, "--run", str(queued.pk), "--no-progress")
        assert (done.code, done.err) == (0, "")
        assert done.out.endswith(f"Run {queued.pk}: committed.\n")
    assert names() == ["A", "A"]
