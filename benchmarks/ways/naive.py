"""The first thing that one writes: ``Model(**row).save()`` for each row, one transaction."""

from __future__ import annotations

from django.db import transaction

from benchmarks import legacy
from benchmarks.cases import Case
from benchmarks.people.models import Department, Employee


def run(case: Case) -> None:
    with transaction.atomic():
        for row in legacy.dicts(case.query(legacy.engine(legacy.here())), 1):
            if case.fk:
                row[case.fk] = Employee.objects.get(pk=row[case.fk])
            numbers = row.pop(case.m2m).split(",") if case.m2m else []
            instance = case.model(**row)
            instance.save()
            if numbers:
                getattr(instance, case.m2m).add(*Department.objects.filter(pk__in=numbers))
