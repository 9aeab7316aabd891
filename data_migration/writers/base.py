"""What every writer does: hooks, outcomes, savepoints; a subclass says how rows are created."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from django.db import transaction

from ..fields.changes import changed_fields
from ..fields.lookup import stored_values
from ..outcomes import Outcome, WriterName
from ..rows.drafts import Changes, Draft
from ..spec.hooks import Hooks
from ..spec.migration import Migration
from ..transform.savepoints import raise_if_swallowed
from ..utils.databases import database_of
from .changes import named_values
from .conflicts import Conflicts
from .deferred import DeferredConstraints
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
        self._deferred = DeferredConstraints(self.model, database=database)
        #: Rows that nothing but a deferred constraint refuses.
        self._put_off: list[Draft] = []

    @abstractmethod
    def write(self, drafts: list[Draft]) -> None:
        """Write the drafts; each ends with an outcome, or waits for :meth:`write_put_off`.

        Needs a transaction around it. Raises what the database raises when the fault is not that
        of a row.
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
            self._deferred.check()
            self._hook_keys.check(drafts)

    def attempt(self, drafts: list[Draft]) -> Exception | None:
        """Write together; what the database or a hook says against it."""
        before = self._what_hooks_may_change(drafts)
        try:
            self.write_together(drafts)
        except Exception as error:
            self.raise_if_fault_of_database(error)
            self.undo(drafts)
            # A bad row stays as its hooks left it, for the diagnosis.
            if len(drafts) > 1 or self._deferred.refused(error):
                for now, then in before:
                    now.clear()
                    now.update(then)
            return error
        return None

    def _what_hooks_may_change(self, drafts: list[Draft]) -> list[tuple[dict[str, Any], ...]]:
        """Instances and rows with a copy of each: a hook that runs again has to find the same."""
        if self.hooks.after_save is None and self.hooks.update_existing is None:
            return []
        if len(drafts) == 1 and not self._deferred:
            return []
        objects = [draft.object for draft in drafts]
        found = [vars(each) for each in objects if each is not None]
        found += [draft.raw or draft.row for draft in drafts]
        return [(each, each.copy()) for each in found]

    def refuse(self, draft: Draft, error: Exception) -> None:
        """The draft cannot be written by itself: it fails, unless others may make way for it."""
        if self._deferred.refused(error):
            self._put_off.append(draft)
        else:
            self.fail(draft, error)

    def write_put_off(self) -> None:
        """Write the rows that others of their batch had to make way for, as an exchange of two.

        All together, or else each when its place is free: a chain of moves has an end.
        """
        left, self._put_off = self._put_off, []
        if len(left) > 1 and self.attempt(left) is None:
            return
        errors: dict[Draft, Exception] = {}
        while left:
            before = len(left)
            for _ in range(2):  # there and back, since a chain is free at one of its ends
                tried = {draft: self.attempt([draft]) for draft in reversed(left)}
                errors = {draft: error for draft, error in tried.items() if error is not None}
                left = list(errors)
            if len(left) == before:
                break
        for draft, error in errors.items():
            self.fail(draft, error)

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
