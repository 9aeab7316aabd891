"""The ways of importing that are compared. Each imports one case and returns nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import Model

from benchmarks.people.models import Department, Employee, Member, Title
from data_migration import Migration, is_a
from data_migration.graph import build_plan
from data_migration.ledger import Ledger
from data_migration.options import RunOptions
from data_migration.outcomes import Mode
from data_migration.runner import Runner

BATCH = 2000


@dataclass(frozen=True)
class Case:
    """One table: its query, its model, and its special column."""

    name: str
    model: type[Model]
    query: str
    fk: str = ""
    m2m: str = ""

    def clear(self) -> None:
        """Empty the target table, and its join table."""
        for field in self.model._meta.many_to_many:
            field.remote_field.through._base_manager.all()._raw_delete("default")
        self.model._base_manager.all()._raw_delete("default")


EMPLOYEE = Case(
    "employee",
    Employee,
    "SELECT emp_no AS id, birth_date, first_name, last_name, gender, hire_date FROM employees",
)
TITLE = Case(
    "title", Title, "SELECT emp_no AS employee, title, from_date, to_date FROM titles", "employee"
)
M2M = Case(
    "m2m",
    Member,
    "SELECT emp_no AS id, first_name, last_name, departments FROM employees",
    m2m="departments",
)


def naive(case: Case, legacy: Path) -> None:
    """``Model(**row).save()`` for each row, one transaction around all."""
    with transaction.atomic():
        for row in _rows(case, legacy, 1):
            if case.fk:
                row[case.fk] = Employee.objects.get(pk=row[case.fk])
            links = row.pop(case.m2m).split(",") if case.m2m else []
            instance = case.model(**row)
            instance.save()
            if links:
                getattr(instance, case.m2m).add(*Department.objects.filter(pk__in=links))


def hand_written(case: Case, legacy: Path) -> None:
    """What a good engineer writes for one table: streaming, a key map, ``bulk_create``."""
    known = set(Employee.objects.values_list("pk", flat=True)) if case.fk else set()
    with transaction.atomic():
        batch: list[dict[str, Any]] = []
        for row in _rows(case, legacy, BATCH):
            batch.append(row)
            if len(batch) == BATCH:
                _insert(case, batch, known)
                batch = []
        _insert(case, batch, known)


def _insert(case: Case, rows: list[dict[str, Any]], known: set[Any]) -> None:
    instances, links = [], []
    for row in rows:
        if case.fk:
            key = row.pop(case.fk)
            if key not in known:
                raise LookupError(key)
            row[f"{case.fk}_id"] = key
        if case.m2m:
            links.append(row.pop(case.m2m))
        instances.append(case.model(**row))
    case.model._base_manager.bulk_create(instances)
    if case.m2m:
        through = Member.departments.through
        through._base_manager.bulk_create(
            through(member_id=instance.pk, department_id=int(number))
            for instance, numbers in zip(instances, links, strict=True)
            for number in numbers.split(",")
        )


def _rows(case: Case, legacy: Path, size: int) -> Iterator[dict[str, Any]]:
    cursor = sqlite3.connect(legacy).execute(case.query)
    names = [column[0] for column in cursor.description]
    while rows := cursor.fetchmany(size):
        for row in rows:
            yield dict(zip(names, row, strict=True))


def ours(writer: str, *, hooks: bool) -> Callable[[Case, Path], None]:
    """A committed run of a Migration, with every row hook overridden or none."""

    def run(case: Case, legacy: Path) -> None:
        migration = _migration(case, legacy, writer, hooks)
        plan = build_plan({f"people.{migration.__name__}": migration})
        runner = Runner(plan, RunOptions(mode=Mode.COMMIT, batch_size=BATCH), Ledger("default"))
        runner.execute()
        if runner.error is not None:
            raise runner.error

    return run


class TrivialHooks:
    """Every hook that sees a row, doing nothing."""

    def hook_before_transformation(self, row: dict[str, Any]) -> None:
        pass

    def hook_before_save(self, instance: Any, row: dict[str, Any]) -> None:
        pass

    def hook_after_save(self, instance: Any, row: dict[str, Any]) -> None:
        pass


def _migration(case: Case, legacy: Path, writer: str, hooks: bool) -> type[Migration]:
    columns = {}
    if case.fk:
        columns[case.fk] = is_a(Employee, search_attr="id", fk=True, assign_by_id=True)
    if case.m2m:
        columns[case.m2m] = is_a(Department, search_attr="id", m2m=True, delimiter=",")
    body = {
        "query": case.query,
        "model": case.model,
        "writer": writer,
        "column_description": columns,
        "open_db_connection": lambda self: sqlite3.connect(legacy),
    }
    bases = (TrivialHooks, Migration) if hooks else (Migration,)
    return type("Benchmark", bases, body)


WAYS: dict[str, Callable[[Case, Path], None]] = {
    "hand-written": hand_written,
    "bulk": ours("bulk", hooks=False),
    "bulk, every hook": ours("bulk", hooks=True),
    "save": ours("save", hooks=False),
    "naive": naive,
}
#: Too slow to import a whole table; measured on a part of it.
SLOW = ("naive", "save")
