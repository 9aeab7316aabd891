"""What ``benchmarks.patches`` runs."""

from __future__ import annotations

from django.db.models import QuerySet

from benchmarks.people.models import Employee
from data_migration.patches import Patch


class SwapCases(Patch):
    batch_size = 500

    def queryset(self) -> QuerySet[Employee]:
        return Employee.objects.all()

    def process(self, item: Employee) -> None:
        item.last_name = item.last_name.swapcase()
