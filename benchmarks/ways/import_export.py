"""django-import-export as its documentation tunes it: bulk, no diff, cached lookups."""

from __future__ import annotations

from typing import Any

from benchmarks import legacy
from benchmarks.cases import Case
from benchmarks.job import Absent
from benchmarks.people.models import Department, Employee

try:
    import tablib
    from import_export import fields, resources, widgets
except ImportError as error:
    raise Absent("not installed: pip install django-import-export") from error

BATCH = 1000  # its default, and what its documentation recommends


def _resource(case: Case) -> Any:
    """A resource for new rows. Its bulk mode cannot do m2m, so that case goes without."""
    special: dict[str, Any] = {}
    if case.fk:
        widget = widgets.CachedForeignKeyWidget(Employee, "id")
        special[case.fk] = fields.Field(case.fk, case.fk, widget)
    if case.m2m:
        widget = widgets.ManyToManyWidget(Department, ",", "id")
        special[case.m2m] = fields.Field(case.m2m, case.m2m, widget)
    options = {
        "use_bulk": not case.m2m,
        "batch_size": BATCH,
        "skip_diff": True,
        "force_init_instance": True,  # no query for an object that cannot be there
        "use_transactions": True,
        "import_id_fields": ("id",) if case.key == ("id",) else (),
        "exclude": () if case.key == ("id",) else ("id",),
    }
    meta = type("Meta", (), {"model": case.model, **options})
    return type("BenchmarkResource", (resources.ModelResource,), {**special, "Meta": meta})


def run(case: Case) -> None:
    rows = legacy.dicts(case.query(legacy.engine(legacy.here())), BATCH)
    first = next(rows)
    data = tablib.Dataset(headers=list(first))
    data.append(list(first.values()))
    for row in rows:
        data.append(list(row.values()))
    _resource(case)().import_data(data, raise_errors=True)
