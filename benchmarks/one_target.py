"""Measures ways on one target, each in a process of its own; prints JSON.

The rounds are interleaved: every way once, then every way again, so that a slow minute hits all.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import django

from benchmarks.cases import CASES, EMPLOYEE, TITLE
from benchmarks.job import Answer, Job
from benchmarks.measurement import Measurement
from benchmarks.registry import ANCESTOR_SETTINGS, BASE, Way, ways, writers
from benchmarks.statements import BAD, ROWS, Statements
from data_migration.outcomes import WriterName

PART = 10  # slow ways are measured on a tenth of the rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--repeat", type=int, required=True)
    parser.add_argument("--case", action="append", required=True)
    parser.add_argument("--way", action="append", required=True)
    for name in ("whole", "part"):
        parser.add_argument(f"--{name}", required=True, help="address of a legacy database")
    for name in ("good", "bad"):
        parser.add_argument(f"--{name}", help="the same, for counting statements")
    arguments = parser.parse_args()
    django.setup()
    from benchmarks import target

    with target.database() as name:
        bench = Bench(name, arguments.whole, arguments.part, arguments.rows)
        found = bench.measure(arguments.case, arguments.way, arguments.repeat)
        counted = bench.statements(arguments.good, arguments.bad) if arguments.good else []
    document = {
        "measurements": [asdict(each) for each in found],
        "statements": [asdict(each) for each in counted],
    }
    json.dump(document, sys.stdout)


@dataclass(frozen=True)
class Bench:
    """A target database and the two legacy databases that are imported into it."""

    database: str
    legacy: str
    part: str
    rows: int

    def measure(
        self, cases: Sequence[str], names: Sequence[str], repeat: int
    ) -> list[Measurement]:
        found = []
        warm_up = ways()[BASE]  # not measured: new tables are slow at first
        for case in (name for name in CASES if name in cases):
            chosen = [ways()[name] for name in names]
            # Those on few rows one after the other: both sizes want employees of their own.
            chosen.sort(key=lambda way: way.slow)
            measured = {way.name: self._measurement(case, way) for way in chosen}
            self._add(self._measurement(case, warm_up), warm_up)
            for number in range(repeat):
                for way in chosen:
                    if number == 0 or not (way.slow or way.once):
                        self._add(measured[way.name], way)
            found += [measured[name] for name in names]
        return found

    def _measurement(self, case: str, way: Way) -> Measurement:
        rows = self.rows // PART if way.slow else self.rows
        return Measurement(_target(), case, way.name, rows)

    def _add(self, measurement: Measurement, way: Way) -> None:
        if measurement.absent:
            return
        job = Job(way.module, measurement.case, measurement.rows, way.options)
        self._make_ready(job, way)
        if way.first is not None:
            self._run(replace(job, options=way.first), way)
        answer = self._run(job, way)
        measurement.absent = answer.absent
        if not answer.absent:
            measurement.seconds.append(answer.seconds)
            measurement.peaks.append(answer.peak)

    def _make_ready(self, job: Job, way: Way) -> None:
        from benchmarks import target

        needs_employees = job.case == TITLE.name
        ready = needs_employees and target.employees() == job.rows
        target.clear(keep_employees=ready)
        if needs_employees and not ready:
            self._start(Job("raw", EMPLOYEE.name, job.rows), self._address(way))

    def _run(self, job: Job, way: Way) -> Answer:
        if way.settings == ANCESTOR_SETTINGS and "BENCHMARK_ANCESTOR" not in os.environ:
            return Answer(absent="BENCHMARK_ANCESTOR names no folder with it")
        return self._start(job, self._address(way), way.settings)

    def _address(self, way: Way) -> str:
        return self.part if way.slow else self.legacy

    def statements(self, good: str, bad: str) -> list[Statements]:
        """Of every writer that the target has."""
        found = []
        for writer in (name for name in writers() if name != WriterName.SAVE):
            answers = [self._counted(writer, *each) for each in ((good, 0), (bad, BAD))]
            if not answers[0].absent:
                counts = [answer.statements for answer in answers]
                found.append(Statements(_target(), writer, *counts))
        return found

    def _counted(self, writer: str, address: str, bad: int) -> Answer:
        from benchmarks import target

        target.clear()
        options = {"writer": writer, "links": True}
        return self._start(Job("counted", EMPLOYEE.name, ROWS - bad, options), address)

    def _start(self, job: Job, address: str, settings: str = "benchmarks.settings") -> Answer:
        environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": settings,
            "BENCHMARK_DATABASE": self.database,
            "BENCHMARK_LEGACY": address,
            **job.environment(),
        }
        command = [sys.executable, "-m", "benchmarks.one_way"]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.stderr.write(f"{job} on {_target()}:\n{done.stderr[-4000:]}\n")
            return Answer(absent="FAILED, see the error above")
        return Answer(**json.loads(done.stdout))


def _target() -> str:
    return os.environ["DATA_MIGRATION_TEST_TARGET"]


if __name__ == "__main__":
    main()
