"""The objects of a patch in the order of their keys, a page at a time, never by offset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from ..fields.primary_keys import pk_from_text, pk_to_text
from ..rows.keys import key_text
from ..utils.databases import database_of


def key_of(pk: Any) -> Any:
    """A primary key as one that the ledger can write: of a type of a field's own its text."""
    try:
        key_text(pk)
    except TypeError:
        return str(pk)
    return pk


@dataclass(frozen=True, slots=True)
class Page:
    """Some objects, by their keys, in order; ``objects`` only where they were wanted.

    ``select`` gives the query of these keys.
    """

    keys: list[Any]
    objects: list[Any]
    select: Callable[[Sequence[Any]], QuerySet[Any]]

    def rows(self) -> QuerySet[Any]:
        """The query of these objects."""
        return self.select(self.keys)

    def again(self) -> list[Any]:
        """The objects as they are in the database."""
        return list(self.rows())

    def halves(self) -> list[Page]:
        middle = len(self.keys) // 2
        return [
            Page(self.keys[:middle], self.objects[:middle], self.select),
            Page(self.keys[middle:], self.objects[middle:], self.select),
        ]


class Walk:
    """A walk over the objects of a queryset by their primary key.

    ``wants_objects``: else a page has the keys alone.
    """

    def __init__(self, rows: QuerySet[Any], *, database: str, wants_objects: bool) -> None:
        self.model = rows.model
        self._database = database
        self._rows = rows.using(database).order_by("pk")
        self._wants_objects = wants_objects
        self.to_text = pk_to_text(self.model)
        self.from_text = pk_from_text(self.model)

    def upper(self) -> Any:
        """The highest key; None where there is no object."""
        return self._rows.order_by("-pk").values_list("pk", flat=True).first()

    def lower(self, after: Any, upper: Any) -> Any:
        """The lowest key behind another; None where there is no object."""
        return self.between(after, upper).values_list("pk", flat=True).first()

    def total(self, after: Any, upper: Any, *, below: Any = None) -> int:
        """How many objects are behind a key, up to another."""
        return self.between(after, upper, below=below).count()

    def page(
        self, after: Any, upper: Any, size: int, *, lower: Any = None, below: Any = None
    ) -> Page:
        """The next objects behind a key, up to another, locked; in the transaction of the page.

        ``lower`` and ``below`` are the bounds of a range: the first is in it, the second is not.
        """
        return self._page(self.between(after, upper, lower=lower, below=below)[:size])

    def only(self, keys: Sequence[Any]) -> Page:
        """The objects with these keys, as far as they are among the rows."""
        return self._page(self._select(keys))

    def _page(self, rows: QuerySet[Any]) -> Page:
        locked = database_of(self._database).locking(rows) if not rows.query.is_sliced else rows
        if rows.query.is_sliced:
            locked = rows.select_for_update(
                no_key=database_of(self._database).locks_all_but_the_key
            )
        if not self._wants_objects:
            return Page(list(locked.values_list("pk", flat=True)), [], self._select)
        objects = list(locked)
        return Page([item.pk for item in objects], objects, self._select)

    def between(
        self, after: Any, upper: Any, *, lower: Any = None, below: Any = None
    ) -> QuerySet[Any]:
        """The objects between two keys, in their order."""
        bounds = {"pk__gt": after, "pk__lte": upper, "pk__gte": lower, "pk__lt": below}
        return self._rows.filter(**{k: value for k, value in bounds.items() if value is not None})

    def _select(self, keys: Sequence[Any]) -> QuerySet[Any]:
        return self._rows.filter(pk__in=keys)
