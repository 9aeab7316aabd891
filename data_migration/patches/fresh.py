"""Apps that the ``migrate`` going on installs for the first time.

They have no old data: a patch that only mends such data is not needed there.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.apps.registry import Apps
from django.db import router
from django.db.migrations import Migration

from .definition import Definition

#: By database.
_installing: dict[str, frozenset[str]] = {}


def installed_by(migrations: Iterable[Migration]) -> frozenset[str]:
    """The labels of the apps whose first schema migration is among them."""
    return frozenset(
        each.app_label
        for each in migrations
        if each.initial
        or (
            each.initial is None and not any(app == each.app_label for app, _ in each.dependencies)
        )
    )


def remember(database: str, apps: frozenset[str]) -> None:
    """A ``migrate`` begins that installs these apps; none when it is over."""
    _installing[database] = apps


def installing(database: str) -> frozenset[str]:
    """The labels of the apps that the ``migrate`` going on installs."""
    return _installing.get(database, frozenset())


def is_for_old_data(definition: Definition) -> bool:
    """Whether a patch can be left out where its app is new."""
    return definition.patch.on_fresh_install == "skip" and not definition.patch.always


def is_fresh(definition: Definition, apps: Apps, database: str) -> bool:
    """Whether a patch is not needed, since its app is new and has no objects in any model.

    ``apps`` has the models as their tables are now.
    """
    if definition.app_label not in installing(database) or not is_for_old_data(definition):
        return False
    return not any(
        model._default_manager.using(database).exists()
        for model in apps.get_app_config(definition.app_label).get_models()
        if model._meta.can_migrate(database) and router.allow_migrate_model(database, model)
    )
