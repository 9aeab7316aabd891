"""Many-to-many rows: through the model's own managers, or in bulk through the join table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any

from django.db.models import Model

from ..fields.lookup import field_of, takes_keys
from ..rows.drafts import Draft
from ..tables.joins import JoinTable, join_table
from .conflicts import Conflicts


class Joins(ABC):
    """Writes the ``m2m`` rows of drafts whose objects exist.

    ``conflicts`` decide where the ledger remembers what was written before.
    """

    def __init__(self, conflicts: Conflicts | None = None) -> None:
        self._conflicts = conflicts

    @abstractmethod
    def create(self, drafts: list[Draft]) -> None:
        """Link objects that were just created."""

    @abstractmethod
    def update(self, drafts: list[Draft]) -> set[Draft]:
        """Make the rows of existing objects those of the drafts; return the drafts touched.

        What a touched draft had before is in its ``changes``.
        """

    def wanted(self, draft: Draft, name: str, stored: set[Any]) -> set[Any]:
        """The targets that the draft shall have, given those it has."""
        if self._conflicts is None:
            return set(draft.m2m[name])
        return set(self._conflicts.targets(draft, name, stored))


class ManagerJoins(Joins):
    """``instance.tags.add(...)``: signals are sent, whatever kind of relation it is."""

    def create(self, drafts: list[Draft]) -> None:
        for draft in drafts:
            for name in draft.m2m:
                self.add(draft, name)

    def add(self, draft: Draft, name: str) -> None:
        """Make one many-to-many of an object that was just created."""
        if keys := draft.m2m.get(name):
            is_keyed = takes_keys(type(draft.object), name)
            targets = keys if is_keyed else _objects(draft.object, name, keys)
            getattr(draft.object, name).add(*targets)

    def update(self, drafts: list[Draft]) -> set[Draft]:
        touched = {draft: [self.set(draft, name) for name in draft.m2m] for draft in drafts}
        return {draft for draft, each in touched.items() if any(each)}

    def set(self, draft: Draft, name: str) -> bool:
        """Make one many-to-many of an existing object that of the draft."""
        manager = getattr(draft.object, name)
        before = set(manager.values_list("pk", flat=True))
        wanted = self.wanted(draft, name, before)
        if takes_keys(type(draft.object), name):
            # Not set(), which would look again, and take out what a person has added meanwhile.
            manager.remove(*before - wanted)
            manager.add(*wanted - before)
        elif before != wanted:
            manager.set(_objects(draft.object, name, wanted))
        return _is_touched(draft, name, before, set(manager.values_list("pk", flat=True)))


class ThroughJoins(Joins):
    """One INSERT per batch and relation into the join table; falls back to the managers."""

    def __init__(
        self,
        model: type[Model],
        conflicts: Conflicts | None = None,
        *,
        database: str,
        by_copy: bool = False,
    ) -> None:
        super().__init__(conflicts)
        self._model = model
        self._database = database
        self._by_copy = by_copy
        self._managers = ManagerJoins(conflicts)
        self._tables: dict[str, JoinTable | None] = {}

    def create(self, drafts: list[Draft]) -> None:
        for name, table in self._used(drafts).items():
            if table is None:
                for draft in drafts:
                    self._managers.add(draft, name)
            else:
                table.insert(
                    (draft.stored(table.source_attr), target)
                    for draft in drafts
                    for target in draft.m2m.get(name, ())
                )

    def update(self, drafts: list[Draft]) -> set[Draft]:
        touched: set[Draft] = set()
        for name, table in self._used(drafts).items():
            linked = [draft for draft in drafts if name in draft.m2m]
            if table is None:
                touched.update(draft for draft in linked if self._managers.set(draft, name))
                continue
            sources = {draft.stored(table.source_attr): draft for draft in linked}
            stored = table.stored(sources)
            wanted = {s: self.wanted(draft, name, stored[s]) for s, draft in sources.items()}
            table.insert((s, target) for s in sources for target in wanted[s] - stored[s])
            table.remove({s: stored[s] - wanted[s] for s in sources if stored[s] - wanted[s]})
            touched.update(
                draft
                for s, draft in sources.items()
                if _is_touched(draft, name, stored[s], wanted[s])
            )
        return touched

    def _used(self, drafts: list[Draft]) -> dict[str, JoinTable | None]:
        names = sorted({name for draft in drafts for name in draft.m2m})
        for name in names:
            if name not in self._tables:
                self._tables[name] = join_table(
                    self._model, name, database=self._database, by_copy=self._by_copy
                )
        return {name: self._tables[name] for name in names}


def _objects(instance: Model, name: str, keys: Collection[Any]) -> list[Any]:
    """The targets with these keys, for a manager that takes nothing else."""
    # Not the manager's own model: django-taggit's says that of the instance.
    related = field_of(type(instance), name).related_model
    rows = related._base_manager.using(instance._state.db)
    return list(rows.filter(pk__in=keys))


def _is_touched(draft: Draft, name: str, before: set[Any], after: set[Any]) -> bool:
    if before != after:
        m2m_before = {**draft.changes.m2m_before, name: sorted(before, key=str)}
        draft.changes = draft.changes._replace(m2m_before=m2m_before)
    return before != after
