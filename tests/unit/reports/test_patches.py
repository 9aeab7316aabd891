"""Patches as tables and sentences, to the letter: wide, at 80 columns, and narrower still."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from data_migration.models import PatchRecord, Run, RunStep
from data_migration.outcomes import PatchState, RunStatus
from data_migration.patches import Patch, report
from data_migration.patches.definition import Definition
from data_migration.patches.records import Standing
from data_migration.patches.runner import PatchRun

pytestmark = pytest.mark.once

#: Noon where the tests are.
NOON = datetime(2026, 1, 31, 11, 0, tzinfo=UTC)
LONG = (
    "It had to run before shop.0009_drop_old_slug, which is applied. If its work is not needed any"
    " more, say so: manage.py run_patches --fake shop.late --reason TEXT"
)


def standing(name: str, state: PatchState, why: str = "", **record: Any) -> Standing:
    definition = Definition(
        app_label="shop",
        name=name,
        revision="1",
        title=f"What {name} is for.",
        patch=Patch,
        folder=Path("/srv/shop"),
        place=f"/srv/shop/patches/{name}.py, line 7",
    )
    moments = {"started_at": NOON, "finished_at": NOON}
    found = PatchRecord(app="shop", name=name, **{**moments, **record}) if record else None
    return Standing(definition=definition, state=state, why=why, record=found)


def some() -> list[Standing]:
    return [
        standing("fill_slugs", PatchState.DONE, processed=1234, total=1234, run_id=7, owner="ann"),
        standing(
            "titleize",
            PatchState.PARTIAL,
            "500 of 10,000 objects processed, 1 failed. A run goes on there.",
            processed=500,
            total=10000,
            run_id=8,
            owner="deploy",
            output="one\ntwo\n",
        ),
        standing("late", PatchState.IMPOSSIBLE, LONG),
    ]


TOOK = {"shop.fill_slugs": 3.21, "shop.titleize": 0.5}


def states(width: int | None, *, is_long: bool = False) -> list[str]:
    return report.state_table(some(), TOOK, width=width, is_long=is_long).splitlines()


def test_states_in_a_file_have_each_sentence_on_a_line() -> None:
    assert states(None) == [
        "Patch            State       Objects        Run  When              Took  By",
        "shop.fill_slugs  done        1,234          7    2026-01-31 12:00  3.2s  ann",
        "shop.titleize    partial     500 of 10,000  8    2026-01-31 12:00  0.5s  deploy",
        "  500 of 10,000 objects processed, 1 failed. A run goes on there.",
        "shop.late        impossible",
        f"  {LONG}",
    ]


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    lines = states(width)
    assert max(map(len, lines)) <= width
    assert lines[:4] == states(None)[:4]
    assert " ".join(line.strip() for line in lines[5:]) == LONG


def test_a_table_that_is_too_wide_becomes_records() -> None:
    assert states(60) == [
        "shop.fill_slugs: state done, objects 1,234, run 7, when",
        "  2026-01-31 12:00, took 3.2s, by ann",
        "shop.titleize: state partial, objects 500 of 10,000, run 8,",
        "  when 2026-01-31 12:00, took 0.5s, by deploy",
        "  500 of 10,000 objects processed, 1 failed. A run goes on",
        "  there.",
        "shop.late: state impossible",
        "  It had to run before shop.0009_drop_old_slug, which is",
        "  applied. If its work is not needed any more, say so:",
        "  manage.py run_patches --fake shop.late --reason TEXT",
    ]


def test_columns_that_tell_nothing_go_first() -> None:
    only = [standing("late", PatchState.PENDING)]
    assert report.state_table(only, {}, width=40).splitlines() == [
        "Patch      State",
        "shop.late  pending",
    ]


def test_title_and_place_are_told_at_length() -> None:
    assert states(None, is_long=True)[1:4] == [
        "shop.fill_slugs  done        1,234          7    2026-01-31 12:00  3.2s  ann",
        "  What fill_slugs is for.",
        "  /srv/shop/patches/fill_slugs.py, line 7",
    ]


def test_output_stands_below_its_patch() -> None:
    assert list(report.outputs(some())) == ["shop.titleize:", "  one", "  two"]


def test_the_summary_counts_by_state() -> None:
    assert report.summary(some()) == "3 patches: 1 partial, 1 done, 1 impossible."
    assert report.summary(some()[:1]) == "1 patch: 1 done."


def test_a_plan_says_what_runs_when_and_what_for() -> None:
    phases = dict.fromkeys(["shop.fill_slugs", "shop.titleize", "shop.late"], "after")
    table = report.plan_table(some(), ["shop.titleize"], phases, 80).splitlines()
    assert table[:5] == [
        "Patch            State       Phase  Runs  After",
        "shop.fill_slugs  done        after  no    -",
        "  What fill_slugs is for.",
        "shop.titleize    partial     after  yes   -",
        "  What titleize is for.",
    ]
    assert report.plan_document(some(), ["shop.titleize"], phases)["patches"][1] == {
        "patch": "shop.titleize",
        "title": "What titleize is for.",
        "state": "partial",
        "why": "500 of 10,000 objects processed, 1 failed. A run goes on there.",
        "phase": "after",
        "runs": True,
        "after": [],
    }


def step(name: str, status: RunStatus = RunStatus.DONE, **counts: Any) -> RunStep:
    return RunStep(
        migration=f"patch:shop.{name}", status=status, has_key="read" in counts, **counts
    )


def ended(*steps: RunStep, mode: str = "commit", **states: PatchState) -> PatchRun:
    run = Run(pk=4, mode=mode, status="done", options={"limit": 5})
    by_label = {f"shop.{name}": state for name, state in states.items()}
    return PatchRun(run, list(steps), by_label, {"shop.whole": "hello\nthere"})


def test_the_closing_table_has_a_line_for_what_was_executed_and_a_total() -> None:
    steps = [
        step("slugs", read=1204, updated=1200, unchanged=3, failed=1, seconds=2.26),
        step("whole", seconds=0.1),
        step("left", RunStatus.PENDING),
    ]
    assert report.closing_table(steps).splitlines() == [
        "Patch       processed  changed  unchanged  skipped  failed  time",
        "shop.slugs       1204     1200          3        0       1  2.3s",
        "shop.whole          -        -          -        -       -  0.1s",
        "Total            1204     1200          3        0       1  2.4s",
    ]
    assert report.closing_table(steps[:1], 60).splitlines() == [
        "Patch       processed  changed  unchanged  failed  time",
        "shop.slugs       1204     1200          3       1  2.3s",
    ]
    assert report.closing_table(steps[2:]) == ""


def test_what_the_table_does_not_tell_is_said() -> None:
    done = ended(
        step("slugs", RunStatus.PARTIAL, read=5, passed=2),
        step("unneeded"),
        step("whole"),
        step("raced", RunStatus.SKIPPED),
        step("left", RunStatus.PENDING),
        unneeded=PatchState.NOT_NEEDED,
    )
    assert report.afterwords(done) == [
        "shop.slugs: 2 objects had been done by earlier runs.",
        "shop.unneeded is not needed here: its is_needed() said so.",
        "shop.raced was skipped: another run has just done it.",
        "Only the first 5 objects of each patch were processed (--limit): shop.slugs. The same"
        " command without --limit goes on there.",
        "Not begun, because the run had ended before: shop.left.",
        "shop.whole: hello",
        "shop.whole: there",
    ]
    assert list(report.waiting(some()[2:])) == [f"shop.late was not run: it is impossible. {LONG}"]


def test_the_verdict_says_what_is_in_the_database() -> None:
    rehearsed = ended(step("whole"), mode="rehearsal", whole=PatchState.DONE)
    assert report.verdict(rehearsed) == (
        "Rehearsal (run 4): nothing was written. Write with --commit."
    )
    whole, slugs = step("whole"), step("slugs", RunStatus.FAILED, read=3, updated=2)
    assert report.verdict(ended(whole, whole=PatchState.DONE)) == "Run 4: committed."
    broken = ended(whole, slugs, whole=PatchState.DONE, slugs=PatchState.PARTIAL)
    assert report.verdict(broken) == "Run 4: committed shop.whole, a part of shop.slugs."
    nothing = ended(step("whole", RunStatus.FAILED), whole=PatchState.FAILED)
    assert report.verdict(nothing) == "Run 4: nothing was written."
    assert report.verdict(PatchRun(None, [], {})) == "Nothing to do."


def test_runs_are_told_with_what_ended_them() -> None:
    steps = [step("slugs", RunStatus.FAILED, read=3, updated=2, failed=1, seconds=1.0)]
    run: Any = SimpleNamespace(
        pk=4,
        kind="patch",
        mode="commit",
        is_dry=False,
        is_rollback=False,
        current_status="failed",
        error="shop.slugs: key 3: no.\nshop.b was not run.",
        owner="ann",
        host="web1",
        started_at=NOON,
        finished_at=None,
        steps=SimpleNamespace(all=lambda: steps),
    )
    assert report.runs_table([run], 100).splitlines()[:2] == [
        "Run  Mode    Status  Started           By   patches  processed  changed  failed  time",
        "4    commit  failed  2026-01-31 12:00  ann        1          3        2       1  1.0s",
    ]
    assert report.runs_table([run], 80).splitlines() == [
        "4: mode commit, status failed, started 2026-01-31 12:00, by ann, patches 1,",
        "  processed 3, changed 2, failed 1, time 1.0s",
        "  shop.slugs: key 3: no.",
        "  shop.b was not run.",
    ]
    assert report.runs_document([run])["runs"][0] == {
        "run": 4,
        "kind": "patch",
        "mode": "commit",
        "dry_run": False,
        "status": "failed",
        "error": run.error,
        "owner": "ann",
        "host": "web1",
        "started_at": "2026-01-31T11:00:00+00:00",
        "finished_at": None,
        "patches": [
            {
                "patch": "shop.slugs",
                "status": "failed",
                "processed": 3,
                "changed": 2,
                "unchanged": 0,
                "skipped": 0,
                "failed": 1,
                "seconds": 1.0,
                "error": "",
            }
        ],
    }
