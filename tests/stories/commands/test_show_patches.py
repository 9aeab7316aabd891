"""``manage.py show_patches``: states, runs and messages, to the letter."""

from __future__ import annotations

import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from data_migration.models import PatchRecord, Run
from data_migration.utils import processes
from tests.support.specs import NewApp

from .patches import WORDS, run, show, tags

pytestmark = pytest.mark.django_db

STATES = """
from data_migration.patches import Patch, patch

@patch(before=[("auth", "0002")])
def late(ctx):
    pass

@patch(depends_on=["late"])
def behind(ctx):
    pass

class Unneeded(Patch):
    def is_needed(self):
        return False
    def execute(self):
        pass

@patch
def by_hand(ctx):
    pass

@patch
def wrong(ctx):
    raise RuntimeError("no")

@patch
def edited(ctx):
    pass

@patch
def untouched(ctx):
    pass
"""


def test_every_state_is_shown_with_why(new_app: NewApp) -> None:
    new_app("words", patches=STATES)
    run("words.unneeded", "words.edited", "--commit")
    run("--fake", "words.by_hand", "--reason", "Done in May")
    run("words.wrong", "--commit")
    PatchRecord.objects.filter(name="edited").update(digest="another")
    first, second = Run.objects.order_by("pk").values_list("pk", flat=True)
    who = processes.owner()

    result = show()

    assert (result.code, result.err) == (0, "")
    lines = [line.rstrip() for line in result.out.splitlines()]
    assert [line for line in lines if not line.startswith("  ")] == [
        "Patch            State          Objects  Run  When   Took  By",
        "words.late       impossible",
        "words.behind     blocked",
        f"words.unneeded   not needed              {first:<4} 12:00  0.0s  {who}",
        f"words.by_hand    faked                        12:00        {who}",
        f"words.wrong      failed                  {second:<4} 12:00  0.0s  {who}",
        f"words.edited     changed since           {first:<4} 12:00  0.0s  {who}",
        "words.untouched  pending",
        "7 patches: 1 pending, 1 failed, 1 faked, 1 not needed, 1 changed since, 1 blocked,"
        " 1 impossible.",
    ]
    why = [line.strip() for line in lines if line.startswith("  ")]
    assert why[0].startswith("It had to run before auth.0002, which is applied.")
    assert why[1] == "It runs after words.late, which is impossible."
    assert why[2] == "is_needed() said that there is nothing to do."
    assert why[3].startswith(f"By {who}, ")
    assert why[3].endswith(": Done in May")
    assert why[4] == "words.wrong, words/patches.py, line 24: RuntimeError: no."
    assert why[5].startswith("Its code or a file that it watches changed since ")


def test_labels_choose_what_is_shown(new_app: NewApp) -> None:
    new_app("words", patches=WORDS)
    assert show("words.count").out.splitlines()[1:] == [
        "words.count  pending",
        "1 patch: 1 pending.",
    ]
    assert show("words.coun").err == (
        "CommandError: No app or patch is called 'words.coun'. Did you mean 'words.count'?\n"
    )


def test_at_length_titles_places_and_output_are_shown(new_app: NewApp) -> None:
    new_app("words", patches=WORDS)
    run("--commit")
    lines = show("-v", "2").out.splitlines()
    assert lines[2:4] == ["  Write tags in capitals.", "  words/patches.py, line 5"]
    assert lines[-2:] == ["words.count:", "  0 tags"]


def test_states_as_json(new_app: NewApp) -> None:
    new_app("words", patches=WORDS)
    tags("a")
    run("words.shout", "--commit")
    document = json.loads(show("--format", "json").out)
    done, pending = document["patches"]
    for name in ("seconds", "started_at", "finished_at"):
        assert done.pop(name)
    assert done == {
        "patch": "words.shout",
        "title": "Write tags in capitals.",
        "revision": "1",
        "state": "done",
        "why": "",
        "place": "words/patches.py, line 5",
        "processed": 1,
        "total": 1,
        "failed": 0,
        "run": Run.objects.get().pk,
        "owner": processes.owner(),
        "host": processes.host(),
        "output": "",
    }
    assert pending == {
        "patch": "words.count",
        "title": "Count the tags.",
        "revision": "1",
        "state": "pending",
        "why": "",
        "place": "words/patches.py, line 15",
        "processed": 0,
        "total": None,
        "failed": 0,
        "run": None,
        "owner": "",
        "host": "",
        "output": "",
        "seconds": None,
        "started_at": None,
        "finished_at": None,
    }


def test_failures_are_told_by_cause_and_one_by_one(new_app: NewApp) -> None:
    new_app("words", patches=WORDS)
    first, _, last = tags("bad", "a", "bad")
    assert show("--messages").out == "No messages.\n"
    run("--commit", "--on-error", "continue")
    assert show("--messages").out.splitlines() == [
        "words.shout",
        "  2 failures (2 open): process, line 12: ValueError: that is a bad word",
        f"    for example key {last}",
        "2 messages. One by one: manage.py show_patches --messages --all",
    ]
    lines = show("--messages", "--all").out.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["Patch", "Kind", "Key"],
        ["words.shout", "failure", first],
        ["words.shout", "failure", last],
    ]
    assert json.loads(show("--messages", "--format", "json").out)["messages"][0] == {
        "patch": "words.shout",
        "run": Run.objects.get().pk,
        "kind": "failure",
        "open": True,
        "key": first,
        "row": 1,
        "column": "",
        "value": "",
        "cause": "process, line 12: ValueError: that is a bad word",
    }
    assert show("--all").err == "CommandError: --all is about messages: add --messages.\n"


def test_runs_are_shown_newest_first(new_app: NewApp) -> None:
    new_app("words", patches=WORDS)
    assert show("--runs").out == "There was no run of patches yet.\n"
    tags("a", "b")
    run()
    run("--commit")
    rows = [line.split() for line in show("--runs").out.splitlines()]
    assert [[*row[:3], *row[5:8]] for row in rows] == [
        ["Run", "Mode", "Status", "patches", "processed", "changed"],
        [str(Run.objects.latest("pk").pk), "commit", "done", "2", "2", "2"],
        [str(Run.objects.earliest("pk").pk), "rehearsal", "done", "2", "2", "2"],
    ]
    document = json.loads(show("--runs", "--format", "json").out)
    assert [each["dry_run"] for each in document["runs"]] == [False, True]


def test_a_project_without_patches_is_told_so() -> None:
    assert show().out == "There are no patches.\n"


def test_many_patches_cost_as_many_queries_as_one(new_app: NewApp) -> None:
    new_app("words", patches=WORDS)
    run("--commit")
    with CaptureQueriesContext(connection) as one:
        assert show("words.count").code == 0
    many = "".join(f"@patch\ndef p{number}(ctx): pass\n" for number in range(30))
    new_app("others", patches=f"from data_migration.patches import patch\n{many}")
    run("--commit")
    with CaptureQueriesContext(connection) as all_of_them:
        assert "32 patches: 32 done." in show().out
    assert len(all_of_them) == len(one)
