"""What the benchmarks of syncs keep equal: employees, and a shelf of them."""

from __future__ import annotations

from benchmarks.people.models import Employee
from data_migration.sync import Mapping


class EmployeesToShelf(Mapping):
    objectname = "employees"
    model = Employee
    page_size = 500
    fields = {
        "birth_date": "birth_date",
        "first_name": "first_name",
        "last_name": "last_name",
        "gender": "gender",
        "hire_date": "hire_date",
    }
