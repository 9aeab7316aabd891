"""What Django's own migrations have done, and what that means for a patch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from django.db import connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from .definition import Definition
from .options import AFTER, BEFORE
from .patch import SchemaName


@dataclass(frozen=True, slots=True)
class Schema:
    """The schema migrations that are ``applied`` in a database, and those ``known`` to the code.

    ``unmigrated`` are apps whose tables are made without schema migrations: nothing can be said of
    them.
    """

    applied: frozenset[SchemaName]
    known: frozenset[SchemaName] = frozenset()
    unmigrated: frozenset[str] = frozenset()

    @classmethod
    def of(cls, database: str) -> Schema:
        """Of the database with this alias; reads the table of Django's recorder."""
        loader = MigrationLoader(None, ignore_no_migrations=True)
        replaced = (name for each in loader.replacements.values() for name in each.replaces)
        return cls(
            frozenset(MigrationRecorder(connections[database]).applied_migrations()),
            frozenset([*loader.disk_migrations, *replaced]),
            frozenset(loader.unmigrated_apps),
        )

    def too_early(self, definition: Definition) -> str:
        """Which of the schema migrations that it needs are missing; empty where none is."""
        missing = [each for each in definition.patch.needs if not self.is_applied(each)]
        if not missing:
            return ""
        return (
            f"It needs {_listed(missing)}, which {'is' if len(missing) == 1 else 'are'} not"
            f" applied. Run: manage.py migrate {missing[0][0]}"
        )

    def too_late(self, definition: Definition) -> str:
        """Which of the schema migrations before which it has to run are applied already."""
        gone = [each for each in definition.patch.before if self.is_begun(each)]
        if not gone:
            return ""
        return (
            f"It had to run before {_listed(gone)}, which {'is' if len(gone) == 1 else 'are'}"
            f" applied. If its work is not needed any more, say so: manage.py run_patches --fake"
            f" {definition.label} --reason TEXT"
        )

    def phase(self, definition: Definition) -> str:
        """Whether it runs before or after Django's ``migrate``."""
        if definition.phase is not None:
            return definition.phase
        waits = bool(self.too_early(definition))
        return BEFORE if definition.patch.before and not waits else AFTER

    def is_applied(self, name: SchemaName) -> bool:
        """Whether all that is meant by the name is applied."""
        if name[0] in self.unmigrated:
            return True
        meant = set(meant_by(name, self.known)) or set(meant_by(name, self.applied))
        return bool(meant) and meant <= self.applied

    def is_begun(self, name: SchemaName) -> bool:
        """Whether any of it is applied."""
        return any(each in self.applied for each in meant_by(name, self.known | self.applied))


def meant_by(name: SchemaName, names: Collection[SchemaName]) -> Iterator[SchemaName]:
    """Those of ``names`` that have this name or, where none has, begin with it."""
    if name in names:
        yield name
        return
    app, beginning = name
    yield from sorted(each for each in names if each[0] == app and each[1].startswith(beginning))


def _listed(names: Iterable[SchemaName]) -> str:
    return ", ".join(".".join(each) for each in names)
