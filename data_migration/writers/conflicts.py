"""Fields that a person changed since they were written: kept, overwritten or reported."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import ManyToManyField, Model
from django.utils import timezone

from ..exceptions import RowFailure
from ..fields.digests import UNKNOWN, FieldDigests, targets_digest
from ..fields.lookup import field_of
from ..outcomes import Deleted, OnConflict
from ..rows.drafts import Draft, Note
from ..spec.migration import Migration
from ..spec.terms import THEIRS
from ..utils.masking import MASK, hidden_columns


class Conflicts:
    """Settles the conflicts of one step by the migration's ``on_conflict``.

    ``written`` gives the digests of what was last written by field name, for a draft's link.
    Where the ledger knows nothing of a field there is no conflict.

    Of fields that are sent back as well, these digests are what both sides had at last: the
    common ancestor of a three-way merge. What was changed on one side alone is no conflict, and
    what stays as it is here counts as known over there.
    """

    def __init__(
        self, migration: Migration, written: Callable[[Any], Mapping[str, int]], *, database: str
    ) -> None:
        self._policy = OnConflict(migration.on_conflict)
        implied = Deleted.REPORT if self._policy == OnConflict.REPORT else Deleted.CREATE
        self._deleted = implied if migration.deleted is None else Deleted(migration.deleted)
        self._model = migration.model
        self._sensitive = frozenset(migration.sensitive_columns)
        self._terms = migration._terms
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
        if existing is None or not changed:
            return changed
        two_way = self._terms.two_way.intersection(changed)
        if draft.link is None and not two_way:
            return changed
        written = {} if draft.link is None else self._written(draft.link)
        kept = {name for name in two_way if not self._is_theirs(draft, name, written, before)}
        keeps = self._policy == OnConflict.KEEP
        edited = self._digests.edited(written, before) - two_way
        for name in (name for name in changed if name in edited):
            attname = existing._meta.get_field(name).attname  # type: ignore[union-attr]
            self._note(draft, name, getattr(existing, attname), before[attname])
            if keeps:
                kept.add(name)
        for name in kept:
            attname = existing._meta.get_field(name).attname  # type: ignore[union-attr]
            _reset(existing, name, before[attname])
        return tuple(name for name in changed if name not in kept)

    def _is_theirs(
        self, draft: Draft, name: str, written: Mapping[str, int], before: Mapping[str, Any]
    ) -> bool:
        """Whether a field that differs becomes what the row has; else it stays as it is here."""
        attname = draft.existing._meta.get_field(name).attname  # type: ignore[union-attr]
        wanted, stored = getattr(draft.existing, attname), before[attname]
        return self._merged(
            draft,
            name,
            wanted,
            stored,
            theirs=self._digests.of(name, draft.existing),
            ours=self._digests.of_values(name, before),
            ancestor=written.get(name, UNKNOWN),
            before=before,
        )

    def is_theirs(
        self, draft: Draft, name: str, wanted: Any, stored: Any, *, theirs: int, ours: int
    ) -> bool:
        """Whether what is ``stored`` here of a list becomes what is ``wanted`` there."""
        written = {} if draft.link is None else self._written(draft.link)
        ancestor = written.get(name, UNKNOWN)
        return theirs == ours or self._merged(
            draft,
            name,
            wanted,
            stored,
            theirs=theirs,
            ours=ours,
            ancestor=ancestor,
            before=vars(draft.existing),
        )

    def _merged(
        self,
        draft: Draft,
        name: str,
        wanted: Any,
        stored: Any,
        *,
        theirs: int,
        ours: int,
        ancestor: int,
        before: Mapping[str, Any],
    ) -> bool:
        """Merge one field that is ``wanted`` there and ``stored`` here; True takes theirs.

        Without an ancestor, since the object was there before its row was known, a value wins
        over none; two values are a conflict.
        """
        is_adopted = draft.link is None
        if is_adopted:
            if stored in (None, "", []):
                return True
        elif ancestor in (UNKNOWN, ours) or UNKNOWN in (ours, theirs):
            return True
        elif theirs == ancestor:
            draft.agreed = {**draft.agreed, name: theirs}
            return False
        decision = self._terms.settle.get(name)
        if decision is None and self._policy == OnConflict.REPORT:
            self._leave_to_a_person(draft, name, wanted, stored)
            if is_adopted:  # what both had at last is neither of the two
                neither = next(each for each in (1, 2, 3) if each not in (ours, theirs))
                draft.agreed = {**draft.agreed, name: neither}
            return False
        if decision is None:
            takes_theirs, why = self._decision(draft, name, before)
            end = "is overwritten" if takes_theirs else "is kept"
            self._tell(draft, name, wanted, stored, f"{end}{why}")
        else:
            takes_theirs = decision == THEIRS
        if not takes_theirs:
            draft.agreed = {**draft.agreed, name: theirs}
        return takes_theirs

    def _decision(self, draft: Draft, name: str, before: Mapping[str, Any]) -> tuple[bool, str]:
        """Whether a conflict is settled as the row has it, and why."""
        newest = self._terms.newest
        if self._policy != OnConflict.NEWEST or newest is None:
            return self._policy == OnConflict.OVERWRITE, ""
        column, field = newest
        there = self._moment(field, draft.row.get(column), column)
        here = self._moment(field, before.get(field), field)
        if there is None or here is None:
            raise RowFailure(
                f"{name} was changed on both sides, and nothing says which change is the newer"
                f" one: the row and the object were changed at {there or 'no time'} and"
                f" {here or 'no time'}. {_DECIDE}",
                column=name,
                value=draft.row.get(name),
            )
        takes_theirs = there > here
        return takes_theirs, ", being older" if takes_theirs else ", being newer"

    def _moment(self, field: str, value: Any, column: str) -> dt.datetime | None:
        """A time as it came from either side. Raises :exc:`RowFailure`."""
        if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
            return dt.datetime.fromtimestamp(float(value), dt.UTC)
        try:
            moment = self._model._meta.get_field(field).to_python(value)  # type: ignore[union-attr]
        except ValidationError as error:
            raise RowFailure(
                f"it is no time: {' '.join(error.messages)}", column=column, value=value
            ) from error
        if moment is not None and timezone.is_naive(moment):
            return timezone.make_aware(moment)
        return moment  # type: ignore[no-any-return]

    def targets(self, draft: Draft, name: str, stored: Iterable[Any]) -> list[Any]:
        """The targets that the draft's many-to-many ``name`` shall have, given the stored ones."""
        wanted = draft.m2m[name]
        is_two_way = name in self._terms.two_way
        if (draft.link is None and not is_two_way) or set(stored) == set(wanted):
            return wanted
        written = {} if draft.link is None else self._written(draft.link)
        digest = written.get(name, UNKNOWN)
        shown = sorted(map(str, stored))
        if is_two_way:
            is_theirs = self._merged(
                draft,
                name,
                sorted(map(str, wanted)),
                shown,
                theirs=targets_digest(wanted),
                ours=targets_digest(stored),
                ancestor=digest,
                before=vars(draft.existing),
            )
            return wanted if is_theirs else self._kept(draft, name, stored)
        if digest in (UNKNOWN, targets_digest(stored)):
            return wanted
        field = field_of(self._model, name)
        if isinstance(field, ManyToManyField) and field.remote_field.symmetrical:
            return list({*stored, *wanted})  # the rows at the other end write here as well
        self._note(draft, name, sorted(map(str, wanted)), shown)
        return self._kept(draft, name, stored) if self._policy == OnConflict.KEEP else wanted

    def _kept(self, draft: Draft, name: str, stored: Iterable[Any]) -> list[Any]:
        """The stored targets of a many-to-many, which stays as it is."""
        draft.changes = draft.changes._replace(kept=(*draft.changes.kept, name))
        return list(stored)

    def gone(self, draft: Draft) -> bool:
        """Whether the object of a linked draft, which somebody deleted, is to be made again.

        Where it stays deleted, that is told when its row changes. Where deletions are sent, one
        of an unchanged row is no conflict.
        """
        is_changed = draft.link.checksum != draft.identity.checksum
        if self._terms.deletes and not is_changed:
            return False
        what = f"the object {draft.link.object_pk} of this row was deleted since it was written"
        if self._deleted == Deleted.REPORT:
            raise RowFailure(f"{what}. {_DECIDE_DELETED}")
        made_again = self._deleted == Deleted.CREATE
        end = "it is made again" if made_again else "it stays deleted"
        if made_again or is_changed:
            draft.conflicts += (Note("", None, f"{what}; {end}"),)
        return made_again

    def _note(self, draft: Draft, name: str, wanted: Any, stored: Any) -> None:
        """Tell of a field that a person changed; raise where that is to be decided first."""
        if self._policy == OnConflict.REPORT:
            wanted, stored = self._shown(draft, name, wanted, stored)
            raise RowFailure(f"{_was_changed(stored)}. {_DECIDE}", column=name, value=wanted)
        end = "is kept" if self._policy == OnConflict.KEEP else "is overwritten"
        self._tell(draft, name, wanted, stored, end)

    def _tell(self, draft: Draft, name: str, wanted: Any, stored: Any, end: str) -> None:
        wanted, stored = self._shown(draft, name, wanted, stored)
        note = Note(name, wanted, f"{_was_changed(stored)}, which {end}")
        if note not in draft.conflicts:  # a batch that was halved comes here again
            draft.conflicts += (note,)

    def _leave_to_a_person(self, draft: Draft, name: str, wanted: Any, stored: Any) -> None:
        wanted, stored = self._shown(draft, name, wanted, stored)
        note = Note(name, wanted, f"{_was_changed(stored)}, and over there as well. {_CHOOSE}")
        if note not in draft.undecided:
            draft.undecided += (note,)

    def _shown(self, draft: Draft, name: str, wanted: Any, stored: Any) -> tuple[Any, Any]:
        """Both values, or a mask for each where nobody may see them."""
        columns = {name, getattr(field_of(self._model, name), "attname", name)}
        is_hidden = not hidden_columns(draft.row, self._sensitive).isdisjoint(columns)
        return (MASK, MASK) if is_hidden else (wanted, stored)


def _was_changed(stored: Any) -> str:
    return f"was changed to {_shown(stored)} since it was written"


def _reset(instance: Any, name: str, value: Any) -> None:
    """Give the field its stored value, as it was loaded: no descriptor gets a say."""
    field = instance._meta.get_field(name)
    vars(instance)[field.attname] = value
    if field.is_relation and field.is_cached(instance):
        field.delete_cached_value(instance)


_DECIDE_DELETED = (
    'Decide with deleted = "create" or "keep", or mend one side and run the same command again'
)
_CHOOSE = "It is neither pulled nor pushed until somebody says which value counts"
_DECIDE = (
    'Decide with on_conflict = "keep" or "overwrite", or mend one side and run the same command'
    " again"
)


def _shown(value: Any) -> str:
    if isinstance(value, Model):
        value = value.pk
    text = "NULL" if value is None else repr(value)
    return text if len(text) <= 100 else text[:99] + "…"
