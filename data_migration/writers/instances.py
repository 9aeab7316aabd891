"""Draft -> instance: a new one, or the existing one with the row's values on it."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Model

from ..fields.changes import changed_fields
from ..fields.lookup import stored_values
from ..fields.primary_keys import is_set
from ..outcomes import Outcome
from ..rows.drafts import Changes, Draft
from ..spec.hooks import Hooks
from ..spec.migration import Migration
from ..transform.savepoints import HookSavepoints
from .changes import apply_to_existing, named_values
from .conflicts import Conflicts
from .parents import ParentRows


class Instances:
    """Makes the drafts of one step ready to be written; ``hook_before_save`` may skip some.

    ``conflicts`` decide where the ledger remembers what was written. With ``only_existing`` new
    objects are written from their values, since nobody needs an instance of them.
    """

    def __init__(
        self,
        migration: Migration,
        *,
        database: str,
        hooks: Hooks,
        conflicts: Conflicts | None = None,
        only_existing: bool = False,
    ) -> None:
        self._model = migration.model
        self._before_save = hooks.before_save
        self._updates_by_hook = hooks.update_existing is not None
        parents = migration.model._meta.all_parents
        self._parent_keys = [p._meta.pk.attname for p in parents if p._meta.pk is not None]
        self._parent_rows = ParentRows(migration.model, database=database)
        self._savepoints = HookSavepoints(database)
        self._conflicts = conflicts
        self._only_existing = only_existing

    def __call__(self, drafts: Iterable[Draft]) -> None:
        """Give each draft its instance. A draft whose row the model or the hook refuses fails.

        Existing objects are left to ``hook_update_existing`` where that hook is overridden.
        """
        if self._only_existing:
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
            if self._parent_keys:
                self._parent_rows.complete(draft)
            if self._is_kept(draft, instance):
                draft.is_saved = not instance._state.adding
                # It may have come under the name that it has in a parent's table.
                draft.has_key = is_set(instance.pk) or bool(
                    self._parent_keys
                    and any(getattr(instance, name) is not None for name in self._parent_keys)
                )
        elif not self._updates_by_hook:
            before = stored_values(draft.existing)
            apply_to_existing(draft)
            if self._is_kept(draft, draft.existing):
                changed = changed_fields(draft.existing, before)
                if self._conflicts is not None:
                    changed = self._conflicts.settle(draft, changed, before)
                draft.changes = Changes(changed, named_values(draft.existing, before, changed))

    def _is_kept(self, draft: Draft, instance: Model) -> bool:
        hook = self._before_save
        if hook is None or self._savepoints.run(hook, instance, draft.row) is not False:
            return True
        draft.outcome = Outcome.SKIPPED
        return False
