"""What a page that watches a run is told."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from data_migration.admin.live import Bar, bars, document, summary
from data_migration.ledger import active_run
from data_migration.ledger.queue import this_process
from data_migration.models import Run, RunStep
from tests.unit.admin.conftest import RUNS, Login

pytestmark = pytest.mark.django_db


def going(mode: str = "commit", live: dict[str, Any] | None = None) -> Run:
    """A run of this process: one migration is done, one is at half, one is to come."""
    run = Run.objects.create(status="running", mode=mode, live=live or {}, **this_process())
    began = timezone.now() - dt.timedelta(seconds=10)
    lines: list[dict[str, Any]] = [
        {"status": "done", "total": 10, "read": 10, "created": 10},
        {"status": "running", "total": 1000, "read": 500, "failed": 3, "started_at": began},
        {"status": "pending"},
    ]
    for position, line in enumerate(lines, start=1):
        RunStep.objects.create(run=run, position=position, migration=f"a.M{position}", **line)
    return run


def test_a_bar_has_rows_rate_what_is_left_and_failures() -> None:
    done, half, next_ = bars(going(), "default")
    assert (done.percent, half.percent, next_.percent) == (100, 50, 0)
    assert half.rate == pytest.approx(50, rel=0.2)
    rows, rate, left, failed = half.text.split(" · ")
    assert (rows, failed) == ("500 of 1,000 rows", "3 failed")
    assert rate.endswith(" rows/s")
    assert left.endswith("s left")
    assert next_.text == ""


def test_without_a_total_there_is_no_share() -> None:
    bar = Bar(migration="a.M", status="running", done=7, total=None, failed=0, rate=None)
    assert (bar.percent, bar.text) == (None, "7 rows")


def test_a_patch_has_its_label_and_its_objects_on_the_bar() -> None:
    run = going()
    Run.objects.update(kind="patch")
    run.refresh_from_db()
    for step in run.steps.all():
        step.migration = f"patch:{step.migration}"
        step.save()
    done, half, _next = bars(run, "default")
    assert (done.name, done.text) == ("a.M1", "10 of 10 objects")
    assert half.text.startswith("500 of 1,000 objects · ")
    assert " objects/s · " in half.text
    assert summary(run, [done, half]) == (
        f"Run {run.pk} is going on: 1 of 2 patches ended, now a.M2."
    )
    told = document(run, "default", 0)["bars"][1]
    assert (told["migration"], told["name"]) == ("patch:a.M2", "a.M2")


def test_a_patch_that_is_done_as_a_whole_tells_no_number_of_objects() -> None:
    bar = Bar(migration="patch:a.m", status="running", done=0, total=None, failed=0, rate=None)
    assert (bar.percent, bar.text) == (None, "")


def test_a_bar_is_full_only_at_the_end() -> None:
    bar = Bar(migration="a.M", status="running", done=12, total=10, failed=0, rate=None)
    assert bar.percent == 99


def test_rows_that_earlier_runs_had_done_count_as_done() -> None:
    run = going()
    run.steps.filter(position=2).update(passed=250)
    assert bars(run, "default")[1].percent == 75


def test_of_one_long_transaction_the_signs_of_life_tell() -> None:
    live = {
        "migration": "a.M2",
        "position": 2,
        "total": 1000,
        "read": 800,
        "failed": 4,
        "started_at": (timezone.now() - dt.timedelta(seconds=8)).isoformat(),
    }
    run = going("rehearsal", live)
    run.steps.update(status="pending", read=0, failed=0, started_at=None)
    done, half, next_ = bars(run, "default")
    assert [bar.status for bar in (done, half, next_)] == ["done", "running", "pending"]
    assert (half.percent, half.failed) == (80, 4)
    assert half.rate == pytest.approx(100, rel=0.2)


def test_the_sentence_that_is_read_out_does_not_change_with_the_rows() -> None:
    run = going()
    before = summary(run, bars(run, "default"))
    run.steps.filter(position=2).update(read=900)
    assert summary(run, bars(run, "default")) == before
    assert "a.M2" in before
    assert "1 of 3" in before


def test_a_run_whose_process_is_gone_is_not_active() -> None:
    run = going()
    assert active_run("default") == run
    Run.objects.update(process=2**22 + 1)
    assert active_run("default") is None
    run.refresh_from_db()
    assert document(run, "default", 0)["active"] is False


def test_what_is_going_on_comes_before_what_waits() -> None:
    now = timezone.now()
    waiting = Run.objects.create(status="queued", mode="commit", heartbeat=now)
    assert active_run("default") == waiting
    run = going()
    assert active_run("default") == run


def test_failures_come_once(viewer: Client, imported: Run) -> None:
    first = viewer.get(f"{RUNS}{imported.pk}/live/").json()
    assert len(first["failures"]) == 3
    assert first["active"] is False
    again = viewer.get(f"{RUNS}{imported.pk}/live/", {"after": first["last"]}).json()
    assert again["failures"] == []
    assert again["last"] == first["last"]


def test_the_page_is_complete_without_javascript(viewer: Client) -> None:
    text = viewer.get(f"{RUNS}{going().pk}/").content.decode()
    assert 'value="50"' in text
    assert "500 of 1,000 rows" in text
    assert "Reload this page" in text


def test_while_a_run_goes_on_its_page_tells_nothing_that_only_a_reload_would_bring(
    viewer: Client,
) -> None:
    run = going()
    text = viewer.get(f"{RUNS}{run.pk}/").content.decode()
    assert 'data-dm-run-state="running"' in text
    assert "dm-steps" not in text
    Run.objects.update(status="done")
    text = viewer.get(f"{RUNS}{run.pk}/").content.decode()
    assert 'data-dm-run-state="done"' in text
    assert "dm-steps" in text


def test_a_rollback_that_has_begun_has_no_stop_button(login: Login) -> None:
    both = login("view_run", "start_run", "rollback_run")
    address = f"{RUNS}{going().pk}/"
    assert "Stop after this batch" in both.get(address).content.decode()
    Run.objects.update(kind="rollback")
    assert "Stop after this batch" not in both.get(address).content.decode()
