"""Fields that a person changed since they were written: kept, overwritten or reported."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.db.models import ManyToManyField, Model

from ..exceptions import RowFailure
from ..fields.digests import UNKNOWN, FieldDigests, targets_digest
from ..fields.lookup import field_of
from ..outcomes import Deleted, OnConflict
from ..rows.drafts import Draft, Note
from ..spec.migration import Migration
from ..utils.masking import MASK, hidden_columns


class Conflicts:
    """Settles the conflicts of one step by the migration's ``on_conflict``.

    ``written`` gives the digests of what was last written by field name, for a draft's link.
    Where the ledger knows nothing of a field there is no conflict.
    """

    def __init__(
        self, migration: Migration, written: Callable[[Any], Mapping[str, int]], *, database: str
    ) -> None:
        self._policy = OnConflict(migration.on_conflict)
        implied = Deleted.REPORT if self._policy == OnConflict.REPORT else Deleted.CREATE
        self._deleted = implied if migration.deleted is None else Deleted(migration.deleted)
        self._model = migration.model
        self._sensitive = frozenset(migration.sensitive_columns)
        self._written = written
        self._digests = FieldDigests(migration.model, database=database)

    def settle(
        self, draft: Draft, changed: tuple[str, ...], before: Mapping[str, Any]
    ) -> tuple[str, ...]:
        """Those of the ``changed`` fields that do not stay as a person left them.

        ``before`` are the stored values by attribute name. Raises :exc:`RowFailure` where the
        row is to be left alone.
        """
        existing = draft.existing
        if draft.link is None or existing is None or not changed:
            return changed
        keeps = self._policy == OnConflict.KEEP
        edited = self._digests.edited(self._written(draft.link), before)
        for name in (name for name in changed if name in edited):
            attname = existing._meta.get_field(name).attname  # type: ignore[union-attr]
            self._note(draft, name, getattr(existing, attname), before[attname])
            if keeps:
                _reset(existing, name, before[attname])
        return tuple(name for name in changed if not (keeps and name in edited))

    def targets(self, draft: Draft, name: str, stored: Iterable[Any]) -> list[Any]:
        """The targets that the draft's many-to-many ``name`` shall have, given the stored ones."""
        wanted = draft.m2m[name]
        if draft.link is None or set(stored) == set(wanted):
            return wanted
        digest = self._written(draft.link).get(name, UNKNOWN)
        if digest in (UNKNOWN, targets_digest(stored)):
            return wanted
        field = field_of(self._model, name)
        if isinstance(field, ManyToManyField) and field.remote_field.symmetrical:
            return list({*stored, *wanted})  # the rows at the other end write here as well
        shown = sorted(map(str, stored))
        self._note(draft, name, sorted(map(str, wanted)), shown)
        if self._policy == OnConflict.KEEP:
            draft.changes = draft.changes._replace(kept=(*draft.changes.kept, name))
            return list(stored)
        return wanted

    def gone(self, draft: Draft) -> bool:
        """Whether the object of a linked draft, which somebody deleted, is to be made again.

        Where it stays deleted, that is told when its row changes.
        """
        what = f"the object {draft.link.object_pk} of this row was deleted since it was written"
        if self._deleted == Deleted.REPORT:
            raise RowFailure(f"{what}. {_DECIDE_DELETED}")
        made_again = self._deleted == Deleted.CREATE
        end = "it is made again" if made_again else "it stays deleted"
        if made_again or draft.link.checksum != draft.identity.checksum:
            draft.conflicts += (Note("", None, f"{what}; {end}"),)
        return made_again

    def _note(self, draft: Draft, name: str, wanted: Any, stored: Any) -> None:
        columns = {name, getattr(field_of(self._model, name), "attname", name)}
        if not hidden_columns(draft.row, self._sensitive).isdisjoint(columns):
            wanted = stored = MASK
        what = f"was changed to {_shown(stored)} since it was written"
        if self._policy == OnConflict.REPORT:
            raise RowFailure(f"{what}. {_DECIDE}", column=name, value=wanted)
        end = "is kept" if self._policy == OnConflict.KEEP else "is overwritten"
        note = Note(name, wanted, f"{what}, which {end}")
        if note not in draft.conflicts:  # a batch that was halved comes here again
            draft.conflicts += (note,)


def _reset(instance: Any, name: str, value: Any) -> None:
    """Give the field its stored value, as it was loaded: no descriptor gets a say."""
    field = instance._meta.get_field(name)
    vars(instance)[field.attname] = value
    if field.is_relation and field.is_cached(instance):
        field.delete_cached_value(instance)


_DECIDE_DELETED = (
    'Decide with deleted = "create" or "keep", or mend one side and run the same command again'
)
_DECIDE = (
    'Decide with on_conflict = "keep" or "overwrite", or mend one side and run the same command'
    " again"
)


def _shown(value: Any) -> str:
    if isinstance(value, Model):
        value = value.pk
    text = "NULL" if value is None else repr(value)
    return text if len(text) <= 100 else text[:99] + "…"
