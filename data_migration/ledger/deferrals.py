"""Relations that could not be filled when their row was written, kept until they can be."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ..models import DeferredRelation, MigrationState

_KEPT = ("column", "value", "row_number")


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
