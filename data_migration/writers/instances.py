"""Draft -> instance: a new one, or the existing one with the row's values on it."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Model

from ..fields.lookup import stored_values
from ..outcomes import Outcome
from ..rows.drafts import Draft
from ..spec.hooks import Hooks
from ..spec.migration import Migration
from ..transform.savepoints import HookSavepoints
from .changes import apply_to_existing, changed_fields, named_values
from .conflicts import Conflicts


class Instances:
    """Makes the drafts of one step ready to be written; ``hook_before_save`` may skip some."""

    def __init__(self, migration: Migration, *, database: str, hooks: Hooks | None = None) -> None:
        hooks = hooks or Hooks(migration)
        self._model = migration.model
        self._before_save = hooks.before_save
        self._updates_by_hook = hooks.update_existing is not None
        parents = migration.model._meta.all_parents
        self._parent_keys = [p._meta.pk.attname for p in parents if p._meta.pk is not None]
        self._savepoints = HookSavepoints(database)
        #: Set where the ledger remembers what was written.
        self.conflicts: Conflicts | None = None
        #: Whether new objects are written from their values, since nobody needs an instance.
        self.only_existing = False

    def __call__(self, drafts: Iterable[Draft]) -> None:
        """Give each draft its instance. A draft whose row the model or the hook refuses fails.

        Existing objects are left to ``hook_update_existing`` where that hook is overridden.
        """
        if self.only_existing:
            drafts = [draft for draft in drafts if draft.existing is not None]
        with self._savepoints.watching():
            for draft in drafts:
                if draft.error is None:
                    try:
                        self._prepare(draft)
                    except Exception as error:
                        draft.fail(error)

    def _prepare(self, draft: Draft) -> None:
        if draft.existing is None:
            draft.instance = instance = self._model(**draft.values)
            if self._is_kept(draft, instance):
                draft.has_key = instance.pk is not None or (
                    bool(self._parent_keys) and self._has_parent_key(instance)
                )
        elif not self._updates_by_hook:
            before = stored_values(draft.existing)
            apply_to_existing(draft)
            if self._is_kept(draft, draft.existing):
                draft.changed = changed_fields(draft.existing, before)
                if self.conflicts is not None:
                    self.conflicts.settle(draft, before)
                draft.before = named_values(draft.existing, before, draft.changed)

    def _has_parent_key(self, instance: Model) -> bool:
        """Whether the key came under the name that it has in a parent's table."""
        return any(getattr(instance, name) is not None for name in self._parent_keys)

    def _is_kept(self, draft: Draft, instance: Model) -> bool:
        hook = self._before_save
        if hook is None or self._savepoints.run(hook, instance, draft.row) is not False:
            return True
        draft.outcome = Outcome.SKIPPED
        return False
