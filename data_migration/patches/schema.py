"""What Django's own migrations have done, and what that means for a patch."""

from __future__ import annotations

import importlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from traceback import walk_tb

from django.db import connections
from django.db.migrations.exceptions import BadMigrationError
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from ..exceptions import SpecError
from ..utils.wording import import_error_text
from .definition import Definition
from .faulty import Faulty
from .options import AFTER, BEFORE
from .patch import SchemaName


@dataclass(frozen=True, slots=True)
class Schema:
    """The schema migrations that are ``applied`` in a database, and those ``known`` to the code.

    ``unmigrated`` are apps whose tables are made without schema migrations: nothing can be said of
    them. ``replaces`` are squashed migrations with those whose work they do: Django records only
    these when it applies one.
    """

    applied: frozenset[SchemaName]
    known: frozenset[SchemaName] = frozenset()
    unmigrated: frozenset[str] = frozenset()
    replaces: Mapping[SchemaName, tuple[SchemaName, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, database: str) -> Schema:
        """Of the database with this alias; reads the table of Django's recorder.

        Raises :exc:`SpecError` as :meth:`on_disk` raises.
        """
        try:
            schema = cls.on_disk()
        except Faulty as faulty:
            raise SpecError(f"{faulty} Without it nothing can be said of patches.") from None
        applied = frozenset(MigrationRecorder(connections[database]).applied_migrations())
        return replace(schema, applied=applied)

    @classmethod
    def on_disk(cls) -> Schema:
        """What the code has, none of it applied; no database is asked.

        Raises :exc:`Faulty` for a module of schema migrations, of any app, that cannot be read.
        """
        loader = MigrationLoader(None, load=False)
        try:
            loader.load_disk()
        except (Exception, SystemExit) as error:
            raise Faulty("E080", problem=_why_unreadable(error)) from None
        replaces = {
            name: tuple((app, replaced) for app, replaced in migration.replaces)
            for name, migration in loader.disk_migrations.items()
            if migration.replaces
        }
        return cls(
            frozenset(),
            frozenset([*loader.disk_migrations, *chain.from_iterable(replaces.values())]),
            frozenset(loader.unmigrated_apps),
            replaces,
        )

    @classmethod
    def unasked(cls, definitions: Iterable[Definition]) -> Schema:
        """One that keeps none of these patches from running: somebody else has seen to that."""
        apps = frozenset(app for each in definitions for app, _ in each.patch.needs)
        return cls(frozenset(), unmigrated=apps)

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
        meant = self.meant_by(name)
        return bool(meant) and all(map(self._is_recorded, meant))

    def is_begun(self, name: SchemaName) -> bool:
        """Whether any of it is applied."""
        meant = self.meant_by(name)
        return any(not self.applied.isdisjoint(self.done_by(each)) for each in meant)

    def meant_by(self, name: SchemaName) -> list[SchemaName]:
        """The schema migrations with this name or, where none has it, this beginning.

        A squashed one is not meant by a beginning that one has which it replaces.
        """
        found = list(meant_by(name, self.known)) or list(meant_by(name, self.applied))
        return [each for each in found if each not in self.replaces] or found

    def done_by(self, name: SchemaName) -> Iterator[SchemaName]:
        """What is applied when this one is: itself, and whatever it replaces."""
        yield name
        for each in self.replaces.get(name, ()):
            yield from self.done_by(each)

    def _is_recorded(self, name: SchemaName) -> bool:
        parts = self.replaces.get(name, ())
        return name in self.applied or (bool(parts) and all(map(self._is_recorded, parts)))


def meant_by(name: SchemaName, names: Collection[SchemaName]) -> Iterator[SchemaName]:
    """Those of ``names`` that have this name or, where none has, begin with it."""
    if name in names:
        yield name
        return
    app, beginning = name
    yield from sorted(each for each in names if each[0] == app and each[1].startswith(beginning))


def _why_unreadable(error: BaseException) -> str:
    """With the module that Django was about to import, which its error does not always name."""
    if isinstance(error, BadMigrationError):
        return f"{error}."
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    imported = [each.f_locals.get("name") for each in frames if each.f_globals is vars(importlib)]
    made = [each.f_locals.get("migration_path") for each in frames]
    module = str(next(filter(None, [*imported, *made]), "A schema migration"))
    if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
        return f"There is no module {error.name}, and MIGRATION_MODULES names {module}."
    return import_error_text(module, error, module.replace(".", os.sep))


def _listed(names: Iterable[SchemaName]) -> str:
    return ", ".join(".".join(each) for each in names)
