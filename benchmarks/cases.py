"""The tables that are imported: a plain one, one with a foreign key, one with a many-to-many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.apps import apps

BATCH = 2000

#: Source engine -> the aggregate that makes a list of department numbers.
_LISTS = {
    "sqlite": "GROUP_CONCAT(dept_no)",
    "mysql": "GROUP_CONCAT(dept_no)",
    "postgresql": "STRING_AGG(dept_no::text, ',')",
}


@dataclass(frozen=True)
class Case:
    """One table: its columns in the legacy database, its model, and its special column."""

    name: str
    table: str
    model_name: str
    columns: str
    key: tuple[str, ...]
    fk: str = ""
    m2m: str = ""

    @property
    def model(self) -> Any:
        return apps.get_model("people", self.model_name)

    @property
    def through(self) -> Any:
        """The join table's model; of the m2m case only."""
        return getattr(self.model, self.m2m).through

    def query(self, engine: str) -> str:
        """The SELECT for a legacy database of that engine."""
        numbers = _LISTS[engine]
        query = f"SELECT {self.columns} FROM {self.table}"
        return query.replace("{departments}", f"(SELECT {numbers} FROM dept_emp d {_OF_EMPLOYEE})")


_OF_EMPLOYEE = "WHERE d.emp_no = employees.emp_no"

EMPLOYEE = Case(
    "employee",
    "employees",
    "employee",
    "emp_no AS id, birth_date, first_name, last_name, gender, hire_date",
    ("id",),
)
M2M = Case(
    "m2m",
    "employees",
    "member",
    "emp_no AS id, first_name, last_name, {departments} AS departments",
    ("id",),
    m2m="departments",
)
TITLE = Case(
    "title",
    "titles",
    "title",
    "emp_no AS employee, title, from_date, to_date",
    ("employee", "title", "from_date"),
    fk="employee",
)
#: ``title`` comes last: what its foreign keys refer to would stand in the way of the others.
CASES = {case.name: case for case in (EMPLOYEE, M2M, TITLE)}
