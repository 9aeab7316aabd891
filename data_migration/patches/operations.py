"""Patches in schema migrations: run here, or done before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.apps.registry import Apps
from django.core.management.base import CommandError
from django.db import router
from django.db.migrations.operations.base import Operation, OperationCategory

from ..exceptions import DataMigrationError, LedgerError, RunRefused
from ..ledger import PATCHES, Ledger
from ..ledger.patches import PatchBook
from ..ledger.runs import schema_migrations
from ..outcomes import PatchState
from ..utils.wording import number_of
from .discovery import discover
from .fresh import is_fresh
from .records import SETTLED, Standing, standings
from .runner import run_one
from .schema import Schema


class PatchOperation(Operation):
    """What both have in common: the label of a patch, and no part in the schema.

    ``hints`` are passed to ``allow_migrate()`` of the routers, as those of ``RunPython``.
    """

    reduces_to_sql = False
    reversible = True
    category = OperationCategory.PYTHON

    def __init__(
        self, label: str, *, hints: dict[str, Any] | None = None, elidable: bool = False
    ) -> None:
        self.label = label
        self.hints = hints or {}
        self.elidable = elidable  # type: ignore[misc]

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        """As Django writes it into a migration; what is as usual is left out."""
        given = {"hints": self.hints, "elidable": self.elidable}
        return type(self).__name__, [self.label], {k: v for k, v in given.items() if v}

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Leaves the models as they are."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Raises :exc:`CommandError` where the patch is not done afterwards."""
        database = schema_editor.connection.alias
        if not router.allow_migrate(database, app_label, **self.hints):
            return
        from_state.clear_delayed_apps_cache()
        with self._in_sentences():
            known = self._known(database)
            if self.label in known and not _has_run(known[self.label]):
                self._see_to(known[self.label], known, from_state.apps, database)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Leaves the data as they are."""

    def _see_to(
        self, standing: Standing, known: Mapping[str, Standing], apps: Apps, database: str
    ) -> None:
        """The patch is not done yet."""
        raise NotImplementedError

    def _known(self, database: str) -> dict[str, Standing]:
        """All patches; this one is missing where it is done and its code is gone.

        Raises :exc:`SpecError` and :exc:`LedgerError`.
        """
        patches = discover()
        Ledger(database, lane=PATCHES)  # raises where its tables are not there
        if self.label not in patches:
            records = PatchBook(database).records_of(self.label)
            settled = records.filter(state__in=SETTLED)
            if not settled.exists():
                raise CommandError(
                    f"{self.describe()}: no patch is called {self.label!r}, and none of that name"
                    " has run here. If its code is gone for good, take the operation out of the"
                    " migration."
                )
        schema = Schema.unasked(patches)
        found = standings(patches, database=database, schema=schema)
        return {each.label: each for each in found}

    def _run(
        self, standing: Standing, known: Mapping[str, Standing], apps: Apps, database: str
    ) -> None:
        """Run the patch now, in the transaction of the migration where there is one."""
        if standing.state == PatchState.BLOCKED:
            raise CommandError(f"{self.describe()}: {standing.why}")
        for label in standing.definition.depends_on:
            other = known[label]
            if not _has_run(other) and not is_fresh(other.definition, apps, database):
                raise CommandError(
                    f"{self.describe()}: it runs after {label}, which is"
                    f" {other.state.label}. Run that first: manage.py run_patches"
                    f" {label} --commit, or by an operation in front of this one."
                )
        done = run_one(standing.definition, apps=apps, database=database, replaced=standing)
        if done.error is not None and not isinstance(done.error, Exception):
            raise done.error
        if done.error is not None or done.states.get(self.label) not in SETTLED:
            what = "\n".join(done.problems()) or f"{number_of(done.failed, 'object')} failed."
            raise CommandError(f"{self.describe()}: {what}") from done.error

    @contextmanager
    def _in_sentences(self) -> Iterator[None]:
        """What is for the person at the keyboard comes without a traceback."""
        try:
            yield
        except RunRefused as error:
            raise CommandError(f"{self.describe()}: {error}") from error
        except LedgerError as error:
            last = schema_migrations()[-1]
            raise CommandError(
                f"{self.describe()}: {error} So that this comes by itself, add to the dependencies"
                f' of the migration: ("data_migration", "{last}")'
            ) from error
        except DataMigrationError as error:
            raise CommandError(f"{self.describe()}: {error}") from error


class RunPatch(PatchOperation):
    """Run a patch in exactly this place, with the models as they are here.

    Once: where it is done already, nothing happens. ``needs`` and ``before`` are not asked, since
    the place says it all. On PostgreSQL and SQLite it belongs to the transaction of the migration
    and is done with it or not at all; on MySQL, or with ``atomic = False`` in the migration, each
    batch is kept. Backwards its record is forgotten, so that it runs again forwards; what it did
    to the data stays.
    """

    def describe(self) -> str:
        return f"Run patch {self.label}"

    @property
    def migration_name_fragment(self) -> str:
        return f"run_{_name_of(self.label)}"

    def _see_to(
        self, standing: Standing, known: Mapping[str, Standing], apps: Apps, database: str
    ) -> None:
        self._run(standing, known, apps, database)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Forget the record of the patch, under whichever name it ran."""
        database = schema_editor.connection.alias
        if not router.allow_migrate(database, app_label, **self.hints):
            return
        with self._in_sentences():
            standing = self._known(database).get(self.label)
            book = PatchBook(database)
            records = book.records_of(self.label)
            if standing is not None and standing.record is not None:
                records |= book.records().filter(pk=standing.record.pk)
            book.forget(records)


class RequirePatch(PatchOperation):
    """Refuse to go on with the migration until a patch is done; with ``finish`` do it now.

    Where the same ``migrate`` installs the app, and it has no objects, there is nothing to wait
    for, unless the patch has ``on_fresh_install = "run"``.
    """

    def __init__(
        self,
        label: str,
        *,
        finish: bool = False,
        hints: dict[str, Any] | None = None,
        elidable: bool = False,
    ) -> None:
        super().__init__(label, hints=hints, elidable=elidable)
        self.finish = finish

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        name, args, kwargs = super().deconstruct()
        return name, args, {**({"finish": True} if self.finish else {}), **kwargs}

    def describe(self) -> str:
        return f"{'Finish' if self.finish else 'Require'} patch {self.label}"

    @property
    def migration_name_fragment(self) -> str:
        return f"{'finish' if self.finish else 'require'}_{_name_of(self.label)}"

    def _see_to(
        self, standing: Standing, known: Mapping[str, Standing], apps: Apps, database: str
    ) -> None:
        if is_fresh(standing.definition, apps, database):
            return
        if self.finish:
            self._run(standing, known, apps, database)
            return
        option = "" if database == "default" else f" --database {database}"
        why = f" {standing.why}" if standing.why else ""
        raise CommandError(
            f"This migration needs what the patch {self.label} does, and that is"
            f" {standing.state.label}.{why} Run it first:"
            f" manage.py run_patches {self.label} --commit{option}"
        )


def _has_run(standing: Standing) -> bool:
    """Whether it has, be it with other code than that of today."""
    record = standing.record
    return standing.is_settled or (record is not None and record.state in SETTLED)


def _name_of(label: str) -> str:
    return "".join(each if each.isalnum() else "_" for each in label.partition(".")[2])
