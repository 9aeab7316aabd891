"""What every writer does: hooks, outcomes, savepoints; a subclass says how rows are created."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from django.db import transaction

from ..fields.lookup import stored_values
from ..outcomes import Outcome, WriterName
from ..rows.drafts import Changes, Draft
from ..spec.hooks import Hooks
from ..spec.migration import Migration
from ..transform.savepoints import raise_if_swallowed
from ..utils.databases import database_of
from .changes import changed_fields, named_values
from .conflicts import Conflicts
from .hook_keys import HookKeys
from .joins import Joins


class Writer(ABC):
    """Writes the drafts of one step into ``database``.

    ``conflicts`` decide where the ledger remembers what was written before. ``meanwhile`` is
    called while the database takes the new objects of some drafts.
    """

    name: ClassVar[WriterName]
    #: Whether a row is saved before the hooks of the next one run.
    is_row_by_row: ClassVar[bool] = False

    def __init__(
        self,
        migration: Migration,
        *,
        database: str,
        hooks: Hooks,
        conflicts: Conflicts | None = None,
        meanwhile: Callable[[list[Draft]], None] = lambda drafts: None,
    ) -> None:
        self.migration = migration
        self.model = migration.model
        self.database = database
        self._db = database_of(database)
        #: Whether an object with a key of the row's own was created.
        self.wrote_keys = False
        self.meanwhile = meanwhile
        self.joins = self.make_joins(conflicts)
        self.hooks = hooks
        self._hook_keys = HookKeys(self.model, database=database, hooks=hooks)

    @abstractmethod
    def write(self, drafts: list[Draft]) -> None:
        """Write the drafts; each ends with an outcome. Needs a transaction around it.

        Raises what the database raises when the fault is not that of a row.
        """

    @abstractmethod
    def make_joins(self, conflicts: Conflicts | None) -> Joins:
        """How many-to-many rows are written."""

    @abstractmethod
    def create(self, drafts: list[Draft]) -> None:
        """Insert the drafts' instances."""

    @abstractmethod
    def save_again(self, drafts: list[Draft]) -> None:
        """Write what ``hook_before_save`` made of the drafts' instances after it had saved them.

        A time that came with the row is put back, as with other new objects.
        """

    @abstractmethod
    def update(self, drafts: list[Draft]) -> None:
        """Save the changed fields of the drafts' existing objects."""

    def write_together(self, drafts: list[Draft]) -> None:
        """Write in one savepoint: all of the drafts, or none and the error."""
        new = [draft for draft in drafts if draft.existing is None]
        with transaction.atomic(using=self.database):
            if new:
                self._create(new)
            if len(new) < len(drafts):
                self._update([draft for draft in drafts if draft.existing is not None])
            self._hook_keys.check(drafts)

    def _create(self, drafts: list[Draft]) -> None:
        saved = [draft for draft in drafts if draft.is_saved]
        if len(saved) < len(drafts):
            self.create([draft for draft in drafts if not draft.is_saved] if saved else drafts)
        if saved:
            self.save_again(saved)
        for draft in drafts:
            if draft.instance is not None:
                draft.pk = draft.instance.pk
        self.joins.create(drafts)
        if self.hooks.after_save is not None:
            for draft in drafts:
                self._run_hook(self.hooks.after_save, draft.instance, draft.row)
        for draft in drafts:
            draft.outcome = Outcome.CREATED
        self.wrote_keys = self.wrote_keys or any(draft.has_key for draft in drafts)

    def _update(self, drafts: list[Draft]) -> None:
        if self.hooks.update_existing is not None:
            for draft in drafts:
                before = stored_values(draft.existing)
                self._run_hook(self.hooks.update_existing, draft.existing, draft.raw or draft.row)
                names = changed_fields(draft.existing, before)
                draft.changes = Changes(names, named_values(draft.existing, before, names))
                draft.outcome = Outcome.UPDATED if names else Outcome.UNCHANGED
            return
        changed = [draft for draft in drafts if draft.changes.fields]
        if changed:
            self.update(changed)
        # Not half of a set whose other targets are still to come: it is compared as a whole.
        relinked = self.joins.update([draft for draft in drafts if not draft.has_late_m2m])
        for draft in drafts:
            touched = draft.changes.fields or draft in relinked
            draft.outcome = Outcome.UPDATED if touched else Outcome.UNCHANGED

    def _run_hook(self, hook: Callable[..., Any], instance: Any, row: dict[str, Any]) -> None:
        hook(instance, row)
        raise_if_swallowed(hook, self._db.connection)

    def undo(self, drafts: list[Draft]) -> None:
        """Make the instances what they were before a savepoint that was rolled back."""
        for draft in drafts:
            draft.outcome = None
            if draft.instance is not None and draft.existing is None and not draft.is_saved:
                draft.instance._state.adding = True
                if not draft.has_key and not isinstance(draft.instance.pk, tuple):
                    draft.instance.pk = None

    def fail(self, draft: Draft, error: Exception) -> None:
        """Fail a draft that was undone; what its own hook had saved before goes with it."""
        if draft.is_saved:
            self.model._base_manager.using(self.database).filter(pk=draft.instance.pk).delete()
        draft.fail(error)

    def raise_if_fault_of_database(self, error: Exception) -> None:
        if self._db.is_at_fault(error):
            raise error
