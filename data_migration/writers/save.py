"""The ``save`` writer: ``instance.save()`` for each row, with its signals."""

from __future__ import annotations

from inspect import Parameter, signature
from typing import Any

from ..fields.lookup import table_of
from ..outcomes import WriterName
from ..rows.drafts import Draft
from ..spec.migration import Migration
from .base import Writer
from .conflicts import Conflicts
from .inserts import refuse_empty_key
from .joins import Joins, ManagerJoins
from .timestamps import auto_fields


class SaveWriter(Writer):
    """Row by row in a savepoint each, so that ``save()`` and its signals run exactly once."""

    name = WriterName.SAVE
    is_row_by_row = True

    def __init__(self, migration: Migration, **options: Any) -> None:
        super().__init__(migration, **options)
        self._auto_fields = auto_fields(self.model)

    def make_joins(self, conflicts: Conflicts | None) -> Joins:
        return ManagerJoins(conflicts)

    def write(self, drafts: list[Draft]) -> None:
        for draft in drafts:
            if error := self.attempt([draft]):
                self.refuse(draft, error)

    def create(self, drafts: list[Draft]) -> None:
        for draft in drafts:
            refuse_empty_key(draft.instance)
            given = self._given_times(draft.instance)
            # Without force_insert an object of the same key would be overwritten silently.
            self._save(draft.instance, force_insert=True)
            self._restore(draft.instance, given)

    def save_again(self, drafts: list[Draft]) -> None:
        for draft in drafts:
            self._save(draft.instance)
            names = (field.attname for field in self._auto_fields)
            given = {name: draft.values[name] for name in names if draft.values.get(name)}
            self._restore(draft.instance, given)

    def update(self, drafts: list[Draft]) -> None:
        for draft in drafts:
            given = self._given_times(draft.existing)
            self._save(draft.existing, update_fields=draft.changes.fields)
            # A model may save its clock with whatever else it saves, as those of
            # django-model-utils do.
            named = {*draft.changes.fields, *draft.values}
            self._restore(draft.existing, {name: given[name] for name in given if name in named})

    def _save(self, instance: Any, **options: Any) -> None:
        accepted = signature(instance.save).parameters
        if not any(p.kind is Parameter.VAR_KEYWORD for p in accepted.values()):
            options = {name: value for name, value in options.items() if name in accepted}
            if "using" not in accepted:
                instance.save(**options)
                return
        instance.save(using=self.database, **options)

    def _given_times(self, instance: Any) -> dict[str, Any]:
        values = {field.attname: getattr(instance, field.attname) for field in self._auto_fields}
        return {name: value for name, value in values.items() if value is not None}

    def _restore(self, instance: Any, given: dict[str, Any]) -> None:
        """Write back the times that ``save()`` replaced; see :mod:`.timestamps`."""
        lost = {name: value for name, value in given.items() if getattr(instance, name) != value}
        if lost:
            rows = table_of(self.model, self.database)
            rows.filter(pk=instance.pk).update(**lost)
            for name, value in lost.items():
                setattr(instance, name, value)
