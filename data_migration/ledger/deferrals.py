"""Relations that could not be filled when their row was written, kept until they can be."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from django.db import connections
from django.db.models import Count, QuerySet

from ..models import DeferredRelation, MigrationState
from .statements import delete_by_hash

#: What an image keeps of an open relation: what it takes to open it again.
_KEPT = ("column", "value", "row_number")


class Deferral(NamedTuple):
    """A relation of one object that is still to be filled.

    ``value`` is the legacy value as :mod:`data_migration.rows.keys` writes it; ``key`` and
    ``key_hash`` are those of the row, empty where it has none.
    """

    column: str
    object_pk: str
    value: str
    row_number: int
    key: str = ""
    key_hash: str = ""


class DeferralBook:
    """The open relations of one migration in ``database``."""

    def __init__(self, state: MigrationState, *, database: str) -> None:
        self._state = state
        self._database = database

    @property
    def _rows(self) -> QuerySet[DeferredRelation]:
        return DeferredRelation.objects.using(self._database).filter(migration=self._state)

    def is_empty(self) -> bool:
        return not self._rows.exists()

    def find(self, hashes: Collection[str]) -> Mapping[str, list[dict[str, Any]]]:
        """What is open of these keys by hash, as an image keeps it."""
        rows = self._rows.filter(key_hash__in=list(hashes)).order_by("pk")
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for key_hash, *values in rows.values_list("key_hash", *_KEPT):
            found[key_hash.hex].append(dict(zip(_KEPT, values, strict=True)))
        return found

    def page(self, column: str, *, after: int, size: int) -> list[DeferredRelation]:
        """The first ``size`` of one column whose numbers are above ``after``, in their order."""
        rows = self._rows.filter(column=column, pk__gt=after)
        return list(rows.order_by("pk")[:size])

    def add(self, deferrals: Iterable[Deferral]) -> None:
        """Open relations, beside those that are open already."""
        DeferredRelation.objects.using(self._database).bulk_create(
            DeferredRelation(
                migration=self._state,
                column=each.column,
                object_pk=each.object_pk,
                value=each.value,
                row_number=each.row_number,
                key=each.key,
                key_hash=uuid.UUID(each.key_hash) if each.key_hash else None,
            )
            for each in deferrals
        )

    def close(self, numbers: Collection[int]) -> None:
        """Close the relations with these numbers: filled, or given up."""
        self._rows.filter(pk__in=numbers).delete()

    def narrow(self, number: int, value: str) -> None:
        """Leave only ``value`` open of a relation of which a part was filled."""
        self._rows.filter(pk=number).update(value=value)

    def forget(self, hashes: Collection[str]) -> None:
        """Close whatever is open of these keys."""
        connection = connections[self._database]
        delete_by_hash(connection, DeferredRelation, self._state.pk, hashes)

    def forget_all(self) -> None:
        self._rows.delete()


def open_relations(database: str) -> dict[str, dict[str, int]]:
    """How many relations are open of each migration, by its label and by column."""
    rows = DeferredRelation.objects.using(database).order_by("migration__label", "column")
    counted = rows.values_list("migration__label", "column").annotate(rows=Count("pk"))
    found: dict[str, dict[str, int]] = {}
    for label, column, number in counted:
        found.setdefault(label, {})[column] = number
    return found


def open_columns(database: str) -> dict[str, list[str]]:
    """The columns of each migration, by its label, with relations that are still to be filled."""
    rows = DeferredRelation.objects.using(database).order_by("column")
    columns: dict[str, list[str]] = {}
    for label, column in rows.values_list("migration__label", "column").distinct():
        columns.setdefault(label, []).append(column)
    return columns
