"""The migration that the job of this process asks for; none outside of the benchmarks."""

from __future__ import annotations

from typing import Any

from benchmarks import legacy
from benchmarks.cases import BATCH, CASES, Case
from benchmarks.job import Job
from benchmarks.people.models import Department, Employee
from data_migration import Migration, is_a


class TrivialHooks:
    """Every hook that sees a new row, doing nothing."""

    def hook_before_transformation(self, row: dict[str, Any]) -> None:
        pass

    def hook_before_save(self, instance: Any, row: dict[str, Any]) -> None:
        pass

    def hook_after_save(self, instance: Any, row: dict[str, Any]) -> None:
        pass


def _columns(case: Case) -> dict[str, Any]:
    columns = {}
    if case.fk:
        columns[case.fk] = is_a(Employee, search_attr="id", fk=True, assign_by_id=True)
    if case.m2m:
        columns[case.m2m] = is_a(Department, search_attr="id", m2m=True, delimiter=",")
    return columns


def _migration(case: Case, writer: str, *, hooks: bool, links: bool) -> type[Migration]:
    body = {
        "__module__": __name__,
        "query": case.query(legacy.engine(legacy.here())),
        "model": case.model,
        "source": "legacy",
        "writer": writer,
        "batch_size": BATCH,
        "legacy_key": case.key if links else (),
        "column_description": _columns(case),
    }
    bases = (TrivialHooks, Migration) if hooks else (Migration,)
    return type("BenchmarkMigration", bases, body)


_job = Job.current()
if _job is not None and "writer" in _job.options:
    BenchmarkMigration = _migration(
        CASES[_job.case],
        _job.options["writer"],
        hooks=_job.options.get("hooks", False),
        links=_job.options.get("links", False),
    )
