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
from data_migration.models import MigrationState, RowLink, Run, RunLock, RunStep
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
    key: tuple[str, ...]
    fk: str = ""
    m2m: str = ""

    def clear(self) -> None:
        """Empty the target table, its join table, and the ledger."""
        for field in self.model._meta.many_to_many:
            field.remote_field.through._base_manager.all()._raw_delete("default")
        self.model._base_manager.all()._raw_delete("default")
        for model in (RowLink, RunLock, RunStep, Run, MigrationState):
            model._base_manager.all()._raw_delete("default")


EMPLOYEE = Case(
    "employee",
    Employee,
    "SELECT emp_no AS id, birth_date, first_name, last_name, gender, hire_date FROM employees",
    ("id",),
)
TITLE = Case(
    "title",
    Title,
    "SELECT emp_no AS employee, title, from_date, to_date FROM titles",
    ("employee", "title", "from_date"),
    fk="employee",
)
M2M = Case(
    "m2m",
    Member,
    "SELECT emp_no AS id, first_name, last_name, departments FROM employees",
    ("id",),
    m2m="departments",
)


Import = Callable[[Case, Path], None]


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


def ours(writer: str, *, hooks: bool = False, links: bool = False, update: bool = False) -> Import:
    """A committed run of a Migration, with every row hook overridden or none, with links or none.

    With ``update`` it may be run again.
    """

    def run(case: Case, legacy: Path) -> None:
        migration = _migration(case, legacy, writer, hooks, links)
        plan = build_plan({f"people.{migration.__name__}": migration})
        options = RunOptions(mode=Mode.COMMIT, batch_size=BATCH, update=update)
        runner = Runner(plan, options, Ledger("default"))
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


def _migration(case: Case, legacy: Path, writer: str, hooks: bool, links: bool) -> type[Migration]:
    columns = {}
    if case.fk:
        columns[case.fk] = is_a(Employee, search_attr="id", fk=True, assign_by_id=True)
    if case.m2m:
        columns[case.m2m] = is_a(Department, search_attr="id", m2m=True, delimiter=",")
    body = {
        "query": case.query,
        "model": case.model,
        "writer": writer,
        "legacy_key": case.key if links else (),
        "column_description": columns,
        "open_db_connection": lambda self: sqlite3.connect(legacy),
    }
    bases = (TrivialHooks, Migration) if hooks else (Migration,)
    return type("Benchmark", bases, body)


@dataclass(frozen=True)
class Way:
    """A way of importing: ``prepare`` runs before the clock does."""

    run: Import
    prepare: Import | None = None


WAYS: dict[str, Way] = {
    "hand-written": Way(hand_written),
    "bulk": Way(ours("bulk")),
    "bulk, every hook": Way(ours("bulk", hooks=True)),
    "bulk, links": Way(ours("bulk", links=True)),
    "bulk, both": Way(ours("bulk", hooks=True, links=True)),
    "unchanged rerun": Way(ours("bulk", links=True, update=True), ours("bulk", links=True)),
    "save": Way(ours("save")),
    "naive": Way(naive),
}
#: Too slow to import a whole table; measured on a part of it.
SLOW = ("naive", "save")
