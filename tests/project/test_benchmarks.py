"""The benchmarks still run, and what they say of a goal follows from what they measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks import scaling, statements
from benchmarks.goals import GOALS, Goal
from benchmarks.job import Job
from benchmarks.measurement import Measurement, Results
from benchmarks.registry import ANCESTOR, BASE, has_workers, ours, ways, writers
from benchmarks.stages import STAGES
from benchmarks.statements import LIMIT, Statements
from benchmarks.table import table
from tests.support.paths import ROOT

GOAL = Goal("twice as fast", "bulk", BASE, {"employee": 2.0, "title": 1.0}, ("sqlite",))


def measured(way: str, *seconds: float, case: str = "employee", **more: int) -> Measurement:
    peaks = [more.get("peak", 2**20)] * len(seconds)
    return Measurement("sqlite", case, way, more.get("rows", 100), list(seconds), peaks)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    own = ("BENCHMARK_LEGACY", "BENCHMARK_DATABASE", "BENCHMARK_JOB", "DJANGO_SETTINGS_MODULE")
    environment = {name: value for name, value in os.environ.items() if name not in own}
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_median_round_counts() -> None:
    assert measured("bulk", 1.0, 50.0, 2.0).rate == 50.0


def test_a_ratio_of_something_not_measured_is_none() -> None:
    absent = Measurement("sqlite", "employee", BASE, 100, absent="not installed")
    results = Results([measured("bulk", 1.0), absent])
    assert results.ratio("sqlite", "employee", "bulk", BASE) is None
    assert results.absences() == {f"sqlite: {BASE}": "not installed"}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [((1.0, 2.0), "reached"), ((1.1, 2.0), "NOT REACHED")],
)
def test_a_goal_is_reached_from_its_ratio_on(seconds: tuple[float, float], words: str) -> None:
    results = Results([measured("bulk", seconds[0]), measured(BASE, seconds[1])])
    (line,) = GOAL.lines(results)
    assert line.startswith(words)


def test_a_goal_needs_its_ratio_in_every_case() -> None:
    slow = [measured("bulk", 3.0, case="title"), measured(BASE, 2.0, case="title")]
    results = Results([measured("bulk", 1.0), measured(BASE, 2.0), *slow])
    (line,) = GOAL.lines(results)
    assert line.startswith("NOT REACHED")
    assert line.endswith("employee 2.00 of 2, title 0.67 of 1")


def test_a_goal_without_measurements_says_so() -> None:
    (line,) = GOAL.lines(Results([measured("save", 1.0)]))
    assert line.startswith("not measured")


def test_every_goal_names_ways_that_exist_or_are_still_to_come() -> None:
    to_come = {
        ours(writer, links=True, workers=2) for writer in ("bulk", "copy") if not has_workers()
    }
    if "copy" not in writers():
        to_come |= {"copy", ours("copy", links=True)}
    for goal in GOALS:
        assert {goal.way, goal.base} <= {*ways(), *to_come}


def test_memory_and_speed_of_the_largest_size_are_judged() -> None:
    sizes = [measured("bulk", 1.0, rows=100), measured("bulk", 20.0, rows=1000, peak=2**21)]
    memory, speed = scaling.goals(sizes)
    assert memory.startswith("NOT REACHED")
    assert speed.startswith("NOT REACHED")
    assert "0.50 of at least 0.90" in speed


def test_the_statements_for_bad_rows_are_judged() -> None:
    fine, too_many = statements.goals(
        [Statements("sqlite", "bulk", 5, 5 + LIMIT), Statements("sqlite", "bulk", 5, 6 + LIMIT)]
    )
    assert fine.startswith("reached")
    assert too_many.startswith("NOT REACHED")


def test_the_table_marks_unsteady_rounds_and_ways_measured_once() -> None:
    text = table(Results([measured(BASE, 1.0, 2.0), measured(ANCESTOR, 9.0)]), "sqlite")
    lines = {line.split("  ")[0]: line for line in text.splitlines()}
    assert lines[BASE].endswith("~")
    assert f"{ANCESTOR} *" in lines


def test_a_job_survives_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job("ours", "title", 7, {"writer": "bulk", "links": True})
    monkeypatch.setenv("BENCHMARK_JOB", job.environment()["BENCHMARK_JOB"])
    assert Job.current() == job


def test_list_prints_every_way() -> None:
    done = run("--list")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == list(ways())


@pytest.mark.parametrize(("module", "owner", "method"), STAGES, ids=".".join)
def test_every_stage_that_has_a_clock_is_there(module: str, owner: str, method: str) -> None:
    found = import_module(f"data_migration.{module}")
    assert method in vars(getattr(found, owner))


@pytest.mark.slow
def test_a_run_measures_ours_and_others_on_every_case(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    chosen = "^bulk, links$|rerun|naive"
    size = ("--rows=300", "--repeat=2", "--targets", "sqlite")
    done = run(*size, "--only", chosen, "--json", str(file))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    document = json.loads(file.read_text())
    assert {each["case"] for each in document["measurements"]} == {"employee", "m2m", "title"}
    for each in document["measurements"]:
        assert (
            len(each["seconds"]) == (1 if each["way"].startswith("naive") else 2)
            or (each["absent"])
        )
        assert "FAILED" not in each["absent"]
    assert document["versions"]["Python"]
