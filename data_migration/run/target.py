"""What a run asks of its target database before it begins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.apps import apps
from django.db import router
from django.db.models import ManyToManyRel, Model

from ..exceptions import TargetError
from ..fields.lookup import field_of
from ..models import Run
from ..plan.graph import Plan
from ..spec.migration import Migration
from ..utils.databases import database_of

_NOTHING = "Nothing was run."


def require_target(plan: Plan, database: str) -> None:
    """Every table that the steps or the ledger write is in ``database`` and has transactions.

    Without them a rehearsal would write, and a batch that fails would stay half written. Raises
    :exc:`TargetError`.
    """
    steps = [step for step in plan if not step.migration.skip]
    if not steps:
        return
    users: dict[str, str] = {}
    for model in apps.get_app_config(Run._meta.app_label).get_models():
        users[model._meta.db_table] = "The ledger"
    for step in steps:
        for model in _written(step.migration):
            users.setdefault(model._meta.db_table, step.label)
            _require_route(step.label, model, database)
    if found := database_of(database).without_transactions(users):
        listed = "\n".join(f"  {users[name]}: {name}, {why}" for name, why in found.items())
        raise TargetError(
            f"Database {database!r} has tables without transactions, in which a rehearsal could"
            f" not be undone and a failed batch would stay. {_NOTHING}\n{listed}"
        )


def _written(migration: type[Migration]) -> Iterator[Any]:
    """The model of a migration, those it inherits from, and its join tables.

    Of the relations of other models only those that the migration names.
    """
    model = migration.model
    yield model
    yield from model._meta.all_parents
    named: list[Any] = [field_of(model, name) for name in migration.column_description]
    others = [each.field for each in named if isinstance(each, ManyToManyRel)]
    for field in (*model._meta.many_to_many, *others):
        yield from _through(field)


def _through(field: Any) -> Iterable[Any]:
    """The model of a many-to-many's join table."""
    through = getattr(field.remote_field, "through", None)
    return () if through is None else (through,)


def _require_route(label: str, model: type[Model], database: str) -> None:
    """What asks for the model's objects without a word of the database has to find them."""
    # Not router.db_for_write(): that answers with the default where no router has an opinion.
    opinions = (r.db_for_write(model) for r in router.routers if hasattr(r, "db_for_write"))
    chosen = next(filter(None, opinions), database)
    if chosen != database:
        raise TargetError(
            f"{label}: the routers of the project (DATABASE_ROUTERS) send {model._meta.label} to"
            f" {chosen!r}, and this run writes to {database!r}, where nobody would look for its"
            f" objects. {_NOTHING} Add --database {chosen}, or leave it out: --exclude {label}"
        )
