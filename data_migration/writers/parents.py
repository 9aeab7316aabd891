"""Rows in the tables of a model's parents that are there before their children are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import Model

from ..rows.drafts import Draft
from ..utils.databases import database_of


class ParentRows:
    """Finds the parents' rows of new children of ``model``, by keys that came with their rows."""

    def __init__(self, model: type[Model], *, database: str) -> None:
        self._database = database
        self._parents = [each for each in model._meta.all_parents if each._meta.pk is not None]
        #: The attributes that may have the key of each parent, its own first.
        self._keys = {
            parent: (parent._meta.pk.attname, getattr(link, "attname", ""))
            for parent in self._parents
            if (link := model._meta.get_ancestor_link(parent)) is not None
        }

    def complete(self, draft: Draft) -> None:
        """Give the draft's new instance what its parents' rows have and its row does not name.

        Django writes the parents' columns with the child; what the row leaves out would become
        what the model has by default. What was there is in the draft's ``beneath``.
        """
        for parent in self._parents:
            found = self._find(parent, draft.instance)
            if found is None:
                continue
            before = dict(draft.beneath or {})
            for field in _own_fields(parent):
                before[field.name] = getattr(found, field.attname)
                if draft.values.keys().isdisjoint((field.name, field.attname)):
                    setattr(draft.instance, field.attname, before[field.name])
            draft.beneath = before

    def _find(self, parent: type[Model], instance: Any) -> Model | None:
        keys = (vars(instance).get(name) for name in self._keys[parent])
        key = next((key for key in keys if key is not None), None)
        if key is None:
            return None
        rows = database_of(self._database).locking(parent._base_manager.using(self._database))
        return rows.filter(pk=key).first()


def _own_fields(parent: type[Model]) -> Iterator[Any]:
    for field in parent._meta.local_concrete_fields:
        if not (field.primary_key or field.generated):
            yield field
