"""Which of the objects that rows became are still there: a person may have deleted some."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from django.db.models import Model

from ..fields.primary_keys import pk_from_text
from ..utils.chunks import query_chunks

#: Up to how many times as many objects as are asked for are read of those next to each other.
_SPREAD = 3


class Presence:
    """Looks for objects of ``model`` by the text of their primary keys, and reads nothing else."""

    def __init__(self, model: type[Model], *, database: str) -> None:
        self._pk_of = pk_from_text(model)
        self._rows = model._base_manager.using(database).order_by()
        self._database = database
        #: Whether the keys of a batch were numbers next to each other so far. A key that refers to
        #: the row of a parent has no ranges.
        self._is_dense = not model._meta.pk.is_relation

    def gone(self, texts: Iterable[str | None]) -> set[str]:
        """Those that lead to no object."""
        asked = {self._pk_of(text): text for text in texts if text is not None}
        if not asked:
            return set()
        there = self._there(asked)
        return {text for key, text in asked.items() if key not in there}

    def _there(self, keys: Collection[Any]) -> set[Any]:
        """The keys of objects, among which those of ``keys`` are that have one."""
        if self._is_dense and all(type(key) is int for key in keys):
            limit = _SPREAD * len(keys)
            stretch = self._rows.filter(pk__range=(min(keys), max(keys)))
            found = list(stretch.values_list("pk", flat=True)[:limit])
            if len(found) < limit:
                return set(found)
        self._is_dense = False
        return {
            key
            for chunk in query_chunks(keys, self._database)
            for key in self._rows.filter(pk__in=chunk).values_list("pk", flat=True)
        }
