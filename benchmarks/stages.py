"""Where a row's time goes: ``python -m benchmarks.stages --writer copy --target postgresql``.

Clocks around the stages of one import in this process. Each stage is what is done in it less what
is done in the stages that it calls; the clocks themselves cost next to nothing, since they look at
batches and not at rows.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any

import django

from benchmarks import sources
from benchmarks.cases import CASES, EMPLOYEE, TITLE
from benchmarks.job import Job
from tests.support.urls import VARIABLES

#: (module, class, method) -> what people call it.
STAGES = {
    ("step.ahead", "Ahead", "fetch"): "fetch from the legacy database",
    ("step.preparation", "Preparation", "__call__"): "drafts",
    ("step.preparation", "Identification", "__call__"): "key and checksum",
    ("ledger.links", "LinkBook", "find"): "look up links",
    ("ledger.links", "LinkBook", "settled"): "look up links",
    ("transform.values", "Transform", "__call__"): "convert values",
    ("transform.relations", "RelationColumn", "assign_at_once"): "resolve relations",
    ("writers.instances", "Instances", "__call__"): "model instances",
    ("tables.inserting", "TableInsert", "_written"): "values to their written form",
    ("tables.inserting", "_Arrays", "_copy"): "wait for COPY",
    ("tables.inserting", "_Way", "_execute"): "wait for INSERT",
    ("tables.inserting", "_Literals", "insert"): "wait for links",
    ("tables.inserting", "_Prepared", "insert"): "wait for executemany",
    ("writers.joins", "ThroughJoins", "create"): "many-to-many",
    ("writers.base", "Writer", "write_together"): "savepoints, outcomes",
    ("step.remember", "Keeper", "digest"): "digests",
    ("step.remember", "Keeper", "keep"): "links",
    ("step.recording", "Recorder", "__call__"): "counts",
    ("step.pipeline", "Pipeline", "pass_over"): "the rest of the batch",
    ("step.pipeline", "Pipeline", "process"): "the rest of the batch",
    ("step.step", "StepRunner", "run"): "commits, dicts, everything else",
}


class Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inner: list[float] = []

    def install(self) -> None:
        for (module, name, method), stage in STAGES.items():
            owner = getattr(import_module(f"data_migration.{module}"), name)
            setattr(owner, method, self._timed(getattr(owner, method), stage))

    def _timed(self, function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        @wraps(function)
        def timed(*arguments: Any, **options: Any) -> Any:
            started = time.perf_counter()
            self._inner.append(0.0)
            try:
                result = function(*arguments, **options)
                return iter(list(result)) if stage == "wait for INSERT" else result
            finally:
                took = time.perf_counter() - started
                self.seconds[stage] += took - self._inner.pop()
                if self._inner:
                    self._inner[-1] += took

        return timed


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stages", description=__doc__)
    parser.add_argument("--target", choices=("sqlite", *VARIABLES), default="sqlite")
    parser.add_argument("--case", choices=tuple(CASES), default=EMPLOYEE.name)
    parser.add_argument("--writer", default="auto")
    parser.add_argument("--links", action="store_true")
    parser.add_argument("--hooks", action="store_true")
    parser.add_argument("--rows", type=int, default=100_000)
    asked = parser.parse_args()
    spec = {"writer": asked.writer, "links": asked.links, "hooks": asked.hooks}
    with sources.built("sqlite", {"whole": asked.rows}, {}) as addresses:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
            "DATA_MIGRATION_TEST_TARGET": asked.target,
            "BENCHMARK_DATABASE": _database(asked.target, addresses["whole"]),
            "BENCHMARK_LEGACY": addresses["whole"],
            **Job("ours", asked.case, asked.rows, spec).environment(),
        }
        django.setup()
        _measure(asked.case, asked.rows, spec)


def _database(target: str, legacy: str) -> str:
    return f"{legacy}.target" if target == "sqlite" else f"bench_stages_{os.getpid()}"


def _measure(name: str, rows: int, spec: dict[str, Any]) -> None:
    from benchmarks import target
    from benchmarks.ways import ours, raw

    clock = Clock()
    with target.database():
        if name == TITLE.name:
            raw.run(EMPLOYEE)
        ours.prepare(CASES[name])
        clock.install()
        started = time.perf_counter()
        ours.run(CASES[name], **spec)
        took = time.perf_counter() - started
    print(f"{took / rows * 1e6:6.1f}  microseconds a row")
    for stage, seconds in sorted(clock.seconds.items(), key=lambda each: -each[1]):
        print(f"{seconds / rows * 1e6:6.1f}  {stage}")


if __name__ == "__main__":
    main()
