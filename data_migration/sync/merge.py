"""Ours, theirs and what both sides had at last: which fields of a row are still to be sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from ..fields.digests import UNKNOWN, targets_digest
from ..fields.lookup import field_of
from ..fields.primary_keys import pk_from_text
from ..ledger import LinkLookup
from .definition import Definition
from .discovery import Syncs
from .fields import RemoteField
from .payload import NOT_THERE, Change, Payload, take


@dataclass
class Merged:
    """The fields of a change, once their row was read: ``ours`` are to be sent, ``agreed`` have
    the same value there already, and ``conflicts`` were changed on both sides, with their values.
    """

    ours: list[RemoteField] = field(default_factory=list)
    agreed: list[RemoteField] = field(default_factory=list)
    conflicts: list[tuple[RemoteField, Any]] = field(default_factory=list)


class Merge:
    """Compares the rows of one mapping over there with what both sides had at last.

    ``keeps`` says that ours count where nobody knows what both sides had.
    """

    def __init__(
        self, payload: Payload, definition: Definition, syncs: Syncs, *, database: str, keeps: bool
    ) -> None:
        self._payload = payload
        self._definition = definition
        self._syncs = syncs
        self._lookup = LinkLookup(database)
        self._keeps = keeps

    def __call__(self, change: Change, row: Mapping[str, Any]) -> Merged:
        """What of a change is still to be sent, given the row as it is there."""
        merged = Merged()
        for each in change.fields:
            theirs = take(row, each.path)
            if theirs is NOT_THERE:
                merged.ours.append(each)
            elif each.name not in change.local:
                same = holds(theirs, take(change.values, each.path))
                (merged.agreed if same else merged.ours).append(each)
            else:
                digest = self.digest(each, theirs)
                was = change.ancestor.get(each.name, UNKNOWN)
                if digest == change.local[each.name]:
                    merged.agreed.append(each)
                elif digest == was or (was == UNKNOWN and self._keeps):
                    merged.ours.append(each)
                else:
                    merged.conflicts.append((each, theirs))
        return merged

    def changed(self, ancestor: Mapping[str, int], row: Mapping[str, Any]) -> list[str]:
        """The remote names whose values were changed over there since both sides had the same."""
        return [
            each.remote
            for each in self._payload.two_way
            if (theirs := take(row, each.path)) is not NOT_THERE
            and ancestor.get(each.name, UNKNOWN) != UNKNOWN
            and self.digest(each, theirs) != ancestor[each.name]
        ]

    def digest(self, each: RemoteField, theirs: Any) -> int:
        """The digest that their value would have here; unknown where it cannot be one of ours."""
        try:
            value = self._value(each, theirs)
            if isinstance(value, list):
                return targets_digest(value)
            attname = field_of(self._payload.model, each.name).attname
            return self._payload.digests.of_values(each.name, {attname: value})
        except Exception:
            return UNKNOWN

    def _value(self, each: RemoteField, theirs: Any) -> Any:
        if each.related is None:
            return each.pull(theirs) if each.pull is not None else theirs
        if theirs is None:
            return None
        stored = field_of(self._payload.model, each.name)
        related = self._syncs.related(each.related, self._definition.connector)
        keys = list(theirs) if stored.many_to_many else [theirs]
        found = self._lookup([other.label for other in related], keys)
        from_text = pk_from_text(stored.related_model)
        pks = [from_text(pk) for key in keys for pk in found[key]]
        if stored.many_to_many:
            return pks
        target = stored.target_field
        if target.primary_key:
            return pks[0]
        rows = stored.related_model._base_manager.using(self._payload.database)
        return rows.values_list(target.attname, flat=True).get(pk=pks[0])


def holds(theirs: Any, ours: Any) -> bool:
    """Whether their value says what ours does, however numbers are written."""
    if isinstance(ours, Mapping):
        return isinstance(theirs, Mapping) and all(
            name in theirs and holds(theirs[name], value) for name, value in ours.items()
        )
    if isinstance(ours, (list, tuple)):
        return (
            isinstance(theirs, Sequence)
            and not isinstance(theirs, str)
            and len(theirs) == len(ours)
            and all(map(holds, theirs, ours))
        )
    if theirs is None or ours is None or isinstance(theirs, bool) or isinstance(ours, bool):
        return theirs is ours
    if str(theirs) == str(ours):
        return True
    try:
        return Decimal(str(theirs)) == Decimal(str(ours))
    except InvalidOperation:
        return False
