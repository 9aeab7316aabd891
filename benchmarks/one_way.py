"""Runs one way once, in a process of its own, and prints what it took as JSON."""

from __future__ import annotations

import gc
import json
import re
import resource
import sys
import time
from contextlib import redirect_stdout
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

import django

from benchmarks.job import Absent, Answer, Job


def main() -> None:
    job = Job.current()
    assert job is not None, "started by benchmarks.one_target only"
    django.setup()
    with redirect_stdout(sys.stderr):  # stdout belongs to the answer
        try:
            answer = _measured(job)
        except Absent as absence:
            answer = Answer(absent=str(absence))
    json.dump(asdict(answer), sys.stdout)


def _measured(job: Job) -> Answer:
    from benchmarks.cases import CASES

    case = CASES[job.case]
    way = import_module(f"benchmarks.ways.{job.way}")
    if hasattr(way, "prepare"):
        way.prepare(case, **job.options)
    gc.collect()
    started = time.perf_counter()
    way.run(case, **job.options)
    seconds = time.perf_counter() - started
    most = peak()  # before the rows are counted
    found = way.count(case) if hasattr(way, "count") else case.model._base_manager.count()
    if found != job.rows:
        raise SystemExit(f"{job.way} {case.name}: {found} rows arrived instead of {job.rows}")
    return Answer(seconds, most, getattr(way, "statements", 0))


def peak() -> int:
    """The most memory that this process, or any one that it has started, had resident: bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    try:
        # ru_maxrss of a started process begins with that of the one that started it.
        status = Path("/proc/self/status").read_text()
        return max(children, int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024)
    except (OSError, IndexError):
        return max(children, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


if __name__ == "__main__":
    main()
