"""Legacy keys -> the objects that their rows became, and back; one query per batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

from django.db import connections

from ..models import MigrationState, RowLink
from ..rows.keys import key_hash, key_of_text
from .statements import select_by_hash, select_by_object


class LinkLookup:
    """Finds objects by the legacy keys of their rows, in ``database``."""

    def __init__(self, database: str) -> None:
        self._database = database
        self._states: dict[str, int] = {}

    def __call__(self, labels: Sequence[str], keys: Collection[Any]) -> dict[Any, list[str]]:
        """The primary keys, as text, of the objects that rows of these migrations became.

        A key is not in the answer when no row has it, or when its row was skipped. Keys are
        compared with their types; see :mod:`data_migration.rows.keys`.
        """
        states = self._states_of(labels)
        if not states or not keys:
            return {}
        by_hash = {key_hash(key): key for key in keys}
        rows = select_by_hash(
            connections[self._database], RowLink, _COLUMNS, states, list(by_hash)
        )
        found: dict[Any, list[str]] = defaultdict(list)
        for digits, object_pk in rows:
            if object_pk is not None:
                found[by_hash[digits]].append(object_pk)
        return found

    def keys(self, labels: Sequence[str], pks: Collection[str]) -> dict[str, list[Any]]:
        """The legacy keys of the rows of these migrations that became these objects.

        By the primary keys as text; one without a row is not in the answer.
        """
        states = self._states_of(labels)
        if not states or not pks:
            return {}
        rows = select_by_object(
            connections[self._database], RowLink, ("object_pk", "key"), states, pks
        )
        found: dict[str, list[Any]] = defaultdict(list)
        for pk, text in rows:
            found[pk].append(key_of_text(text))
        return found

    def _states_of(self, labels: Sequence[str]) -> list[int]:
        # A migration that has not begun yet may have done so at the next call.
        if unknown := [label for label in labels if label not in self._states]:
            begun = MigrationState.objects.using(self._database).filter(label__in=unknown)
            self._states.update(begun.values_list("label", "pk"))
        return [self._states[label] for label in labels if label in self._states]


_COLUMNS = ("key_hash", "object_pk")
