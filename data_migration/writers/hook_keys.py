"""Foreign keys that hooks set: nobody looked them up, so they are judged with their row."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError
from django.db.models import ForeignKey, Model

from ..fields.lookup import keys_without_row
from ..rows.drafts import Draft
from ..spec.hooks import OwnHooks
from ..utils.databases import database_of


class HookKeys:
    """Finds keys that lead nowhere before the commit does, when no row could be blamed any more.

    Keys that came with the row were looked up already, and MySQL judges every row at once. What
    is left are hooks. PostgreSQL can be told to judge now; it is told only where hooks may have
    set a key: locking the same referenced rows in every batch's savepoint becomes slower with
    each one. SQLite cannot, so what a hook put in place of the row's own key is looked up.
    """

    def __init__(self, model: type[Model], *, database: str, hooks: OwnHooks) -> None:
        self._database = database
        self._db = database_of(database)
        fields = model._meta.concrete_fields if hooks.see_instances else ()
        self._fields: list[Any] = [
            field
            for field in fields
            if isinstance(field, ForeignKey)
            and getattr(field, "db_constraint", True)
            and not getattr(field.remote_field, "parent_link", False)
        ]

    def check(self, drafts: list[Draft]) -> None:
        """Raise :exc:`IntegrityError` when a key of the drafts' stored objects leads nowhere."""
        if not self._fields or self._db.checks_keys_at_once:
            return
        if self._db.checks_keys_when_told:
            self._db.connection.check_constraints()
            return
        for field in self._fields:
            keys = {key for draft in drafts for key in _keys_of_hooks(draft, field)}
            if keys and keys_without_row(field, keys, database=self._database):
                raise IntegrityError("FOREIGN KEY constraint failed")


def _keys_of_hooks(draft: Draft, field: Any) -> list[Any]:
    """The key that the draft's object has now, unless it is the one that came with the row."""
    if draft.existing is not None and field.name not in draft.changes.fields:
        return []
    if draft.existing is None and draft.instance is None:
        return []  # no hook saw it
    key = field.target_field.to_python(getattr(draft.object, field.attname))
    given = draft.values.get(field.attname, draft.values.get(field.name))
    if isinstance(given, Model):
        given = getattr(given, field.target_field.attname)
    return [] if key is None or key == given else [key]
