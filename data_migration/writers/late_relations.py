"""A relation whose targets came late -> objects that are stored already."""

from __future__ import annotations

from typing import Any

from django.db import Error, transaction
from django.db.models import Model

from ..exceptions import RowFailure
from ..rows.drafts import Changes, Draft
from ..tables.joins import join_table
from ..transform.relations import RelationColumn
from .joins import ManagerJoins


class LateRelation:
    """Writes one relation of existing objects of ``model``: what is there is never replaced."""

    def __init__(self, relation: RelationColumn, model: type[Model], *, database: str) -> None:
        self._relation = relation
        self._database = database
        self._rows: Any = model._base_manager.using(database)
        self._table = (
            join_table(model, relation.name, database=database) if relation.is_many else None
        )

    def write(self, drafts: list[Draft]) -> set[Draft]:
        """Give the drafts' ``existing`` objects their targets; return those that were touched.

        What they had before is in the drafts' ``changes``. A draft fails whose
        target the database refuses.
        """
        if not self._relation.is_many:
            return self._set(drafts)
        found = [draft for draft in drafts if draft.m2m[self._relation.name]]
        return self._add(found) if self._table is None else self._insert(found)

    def _set(self, drafts: list[Draft]) -> set[Draft]:
        attname, name = self._relation.field.attname, self._relation.name
        touched = [
            draft
            for draft in drafts
            if draft.values.get(name) is not None and getattr(draft.existing, attname) is None
        ]
        for draft in touched:
            setattr(draft.existing, attname, draft.values[name])
        try:
            self._save(touched)
        except Error:  # one of them is refused: find out which
            for draft in touched:
                self._save_alone(draft)
        filled = {draft for draft in touched if draft.error is None}
        for draft in filled:
            name = self._relation.field.name
            draft.changes = Changes((name,), {name: None})
        return filled

    def _save(self, drafts: list[Draft]) -> None:
        with transaction.atomic(using=self._database):
            objects = [draft.existing for draft in drafts]
            self._rows.bulk_update(objects, [self._relation.field.name])

    def _save_alone(self, draft: Draft) -> None:
        try:
            self._save([draft])
        except Error as error:
            setattr(draft.existing, self._relation.field.attname, None)
            (value,) = self._relation.keys(draft)
            cause = f"the target database refuses it: {error}"
            draft.fail(RowFailure(cause, column=self._relation.column, value=value))

    def _add(self, drafts: list[Draft]) -> set[Draft]:
        name = self._relation.name
        for draft in drafts:
            stored = getattr(draft.existing, name).values_list("pk", flat=True)
            draft.changes = Changes(m2m_before={name: list(stored)})
        ManagerJoins().create(drafts)
        return set(drafts)

    def _insert(self, drafts: list[Draft]) -> set[Draft]:
        table, name = self._table, self._relation.name
        assert table is not None
        sources = {draft: draft.stored(table.source_attr) for draft in drafts}
        stored = table.stored(sources.values())
        for draft, source in sources.items():
            draft.changes = Changes(m2m_before={name: list(stored[source])})
        table.insert(
            (source, target)
            for draft, source in sources.items()
            for target in draft.m2m[name]
            if target not in stored[source]
        )
        return set(drafts)
