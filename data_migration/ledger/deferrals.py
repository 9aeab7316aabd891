"""Relations that could not be filled when their row was written, kept until they can be."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from ..drafts import Draft
from ..keys import key_text
from ..models import DeferredRelation, MigrationState
from ..outcomes import Outcome

_KEPT = ("column", "value", "row_number")


class Deferrals:
    """Those of one step. ``value_of`` gives the legacy value of a draft's deferred column."""

    def __init__(
        self, state: MigrationState, value_of: Callable[[Draft, str], Any], *, database: str
    ) -> None:
        self._state = state
        self._value_of = value_of
        self._rows = DeferredRelation.objects.using(database)

    def keep(self, drafts: Sequence[Draft]) -> None:
        """Put the open relations of written drafts in place of what was open before."""
        # What a hook updates was not looked up, so it stays open.
        looked_up = [draft for draft in drafts if draft.existing is not None and draft.values]
        known = [uuid.UUID(draft.key_hash) for draft in looked_up if draft.key_hash]
        if known:
            self._rows.filter(migration=self._state, key_hash__in=known).delete()
        written = [d for d in drafts if d.error is None and d.outcome != Outcome.SKIPPED]
        self._rows.bulk_create(self._open(written))

    def _open(self, drafts: Iterable[Draft]) -> Iterable[DeferredRelation]:
        for draft in drafts:
            for column in draft.deferred:
                yield DeferredRelation(
                    migration=self._state,
                    column=column,
                    object_pk=str(draft.existing.pk if draft.existing is not None else draft.pk),
                    value=key_text(self._value_of(draft, column)),
                    key_hash=uuid.UUID(draft.key_hash) if draft.key_hash else None,
                    key=draft.key_text,
                    row_number=draft.number,
                )


def any_open(state: MigrationState, *, database: str) -> bool:
    """Whether the migration has a relation that is still to be filled."""
    return DeferredRelation.objects.using(database).filter(migration=state).exists()


def open_relations(
    state: MigrationState, hashes: Collection[str], *, database: str
) -> Mapping[str, list[dict[str, Any]]]:
    """The open relations of these keys by hash: what it takes to open them again."""
    rows = DeferredRelation.objects.using(database).filter(
        migration=state, key_hash__in=list(hashes)
    )
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for key_hash, *values in rows.order_by("pk").values_list("key_hash", *_KEPT):
        found[key_hash.hex].append(dict(zip(_KEPT, values, strict=True)))
    return found


def reopen(
    state: MigrationState,
    former: Iterable[tuple[str, str, str, list[dict[str, Any]]]],
    *,
    database: str,
) -> None:
    """Open relations again: hash and text of the key, the object, what was open of it then."""
    DeferredRelation.objects.using(database).bulk_create(
        DeferredRelation(
            migration=state, key_hash=uuid.UUID(key_hash), key=key, object_pk=object_pk, **each
        )
        for key_hash, key, object_pk, relations in former
        for each in relations
    )
