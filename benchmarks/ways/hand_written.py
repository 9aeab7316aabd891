"""What a good engineer writes for one table: streaming, a dict of keys, ``bulk_create``.

It checks nothing, counts nothing, and stops at the first bad row.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.db import transaction

from benchmarks import legacy
from benchmarks.cases import BATCH, Case
from benchmarks.people.models import Employee


def run(case: Case) -> None:
    insert = {"employee": _insert, "title": _insert_with_fk, "m2m": _insert_with_m2m}[case.name]
    rows = legacy.dicts(case.query(legacy.engine(legacy.here())), BATCH)
    with transaction.atomic():
        insert(case, rows)


def _batches(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while batch := list(islice(rows, BATCH)):
        yield batch


def _insert(case: Case, rows: Iterator[dict[str, Any]]) -> None:
    for batch in _batches(rows):
        case.model.objects.bulk_create([case.model(**row) for row in batch])


def _insert_with_fk(case: Case, rows: Iterator[dict[str, Any]]) -> None:
    keys = dict(Employee.objects.values_list("id", "pk"))
    for batch in _batches(rows):
        instances = []
        for row in batch:
            row["employee_id"] = keys[row.pop("employee")]
            instances.append(case.model(**row))
        case.model.objects.bulk_create(instances)


def _insert_with_m2m(case: Case, rows: Iterator[dict[str, Any]]) -> None:
    through = case.through
    for batch in _batches(rows):
        lists = [row.pop("departments") for row in batch]
        instances = case.model.objects.bulk_create([case.model(**row) for row in batch])
        through.objects.bulk_create(
            through(member_id=instance.pk, department_id=int(number))
            for instance, numbers in zip(instances, lists, strict=True)
            for number in numbers.split(",")
        )
