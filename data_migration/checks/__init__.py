"""System checks: everything wrong with a spec that can be known without any database.

``manage.py check --tag data_migration`` shows them; ``migrate_legacy`` refuses to run with an
error among them. Each id is explained in docs/reference/checks.rst.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from django.core.checks import ERROR, WARNING, CheckMessage, register

from ..exceptions import SpecError, SpecImportError
from ..spec.discovery import discover
from ..spec.migration import Migration
from . import attributes, connections, dependencies, descriptions, legacy_keys, names, project
from .faults import FAULTS, fault

__all__ = ["FAULTS", "TAG", "check_project", "check_specs", "mild_before_schema"]

TAG = "data_migration"

#: The commands of Django that make schema migrations, show and apply them.
SCHEMA_COMMANDS = frozenset(
    {"makemigrations", "migrate", "showmigrations", "sqlmigrate", "squashmigrations"}
)

Check = Callable[[str, type[Migration]], Iterator[CheckMessage]]

#: What the plan is made of: holds for skipped migrations too.
_PLANNING: tuple[Check, ...] = (
    attributes.check_flags,
    attributes.check_model,
    attributes.check_depends_on,
    descriptions.check_column_description,
)
#: What matters when the migration runs.
_RUNNING: tuple[Check, ...] = (
    attributes.check_hooks,
    attributes.check_query,
    attributes.check_query_params,
    attributes.check_search_attr,
    attributes.check_legacy_key,
    attributes.check_allow_updates,
    attributes.check_removed_needs_key,
    attributes.check_writer,
    attributes.check_batch_size,
    attributes.check_choices,
    attributes.check_reruns,
    attributes.check_high_water,
    attributes.check_sensitive_columns,
    descriptions.check_columns,
    connections.check_source,
)


@register(TAG)
def check_project(**kwargs: Any) -> list[CheckMessage]:
    """Check the settings and every spec; one that cannot be imported is a message as well.

    A spec that is wrong must not keep Django from making the tables that a sound one needs, so
    there is nothing worse than a warning before :data:`SCHEMA_COMMANDS`.
    """
    try:
        migrations = discover()
        strangers = names.check_strangers(migrations)
        messages = [*check_specs(migrations), *(m for m in strangers if not m.is_silenced())]
    except SpecImportError as error:
        messages = [fault("E001", None, problem=error), *check_specs({})]
    except SpecError as error:
        messages = [fault("E002", None, problem=error), *check_specs({})]
    return mild_before_schema(messages)


def mild_before_schema(messages: Iterable[CheckMessage]) -> list[CheckMessage]:
    """The messages; warnings at most where they are made for one of :data:`SCHEMA_COMMANDS`."""
    messages = list(messages)
    if sys.argv[1:2] and sys.argv[1] in SCHEMA_COMMANDS:  # no check is told for which it is made
        for message in messages:
            message.level = min(message.level, WARNING)
    return messages


def check_specs(migrations: Mapping[str, type[Migration]]) -> list[CheckMessage]:
    """Return what is wrong with the migrations and the settings, less what is silenced."""
    planning = list(_each(_PLANNING, migrations))
    has_errors = any(message.level >= ERROR for message in planning)
    running = {label: cls for label, cls in migrations.items() if not cls.skip}
    messages = chain(
        connections.check_sources(),
        connections.check_missing(migrations),
        project.check_settings(),
        planning,
        _each(_RUNNING, running),
        legacy_keys.check_legacy_keys(migrations),
        names.check_names(migrations),
        () if has_errors else dependencies.check_order(migrations),
    )
    return [message for message in messages if not message.is_silenced()]


def _each(
    checks: tuple[Check, ...], migrations: Mapping[str, type[Migration]]
) -> Iterator[CheckMessage]:
    for label, migration in sorted(migrations.items()):
        for check in checks:
            yield from check(label, migration)
