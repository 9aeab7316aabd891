"""Many-to-many rows: through the model's own managers, or in bulk through the join table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from typing import Any

from django.db.models import ManyToManyField, Model, Q
from django.db.models.fields.reverse_related import ManyToManyRel

from ..drafts import Draft
from ..transform import field_of


class Links(ABC):
    """Writes the ``links`` of drafts whose objects exist."""

    @abstractmethod
    def create(self, drafts: list[Draft]) -> None:
        """Link objects that were just created."""

    @abstractmethod
    def update(self, drafts: list[Draft]) -> set[Draft]:
        """Make the links of existing objects those of the drafts; return the drafts touched."""


class ManagerLinks(Links):
    """``instance.tags.add(...)``: signals are sent, whatever kind of relation it is."""

    def create(self, drafts: list[Draft]) -> None:
        for draft in drafts:
            for name, targets in draft.links.items():
                if targets:
                    getattr(draft.instance, name).add(*targets)

    def update(self, drafts: list[Draft]) -> set[Draft]:
        return {draft for draft in drafts if any(self._set(draft, name) for name in draft.links)}

    def _set(self, draft: Draft, name: str) -> bool:
        manager = getattr(draft.existing, name)
        before = set(manager.values_list("pk", flat=True))
        manager.set(draft.links[name])
        return before != set(manager.values_list("pk", flat=True))


class ThroughLinks(Links):
    """One INSERT per batch and relation into the join table; falls back to the managers."""

    def __init__(self, model: type[Model], *, database: str) -> None:
        self._model = model
        self._database = database
        self._managers = ManagerLinks()
        self._tables: dict[str, JoinTable | None] = {}

    def create(self, drafts: list[Draft]) -> None:
        for name, table in self._used(drafts).items():
            if table is None:
                self._managers.create([_only(draft, name) for draft in drafts])
            else:
                table.insert(
                    (table.source(draft.instance), target)
                    for draft in drafts
                    for target in draft.links.get(name, ())
                )

    def update(self, drafts: list[Draft]) -> set[Draft]:
        touched: set[Draft] = set()
        for name, table in self._used(drafts).items():
            linked = [draft for draft in drafts if name in draft.links]
            if table is None:
                changed = self._managers.update([_only(draft, name) for draft in linked])
                numbers = {draft.number for draft in changed}
                touched.update(draft for draft in linked if draft.number in numbers)
            else:
                touched.update(self._update_table(table, name, linked))
        return touched

    def _update_table(self, table: JoinTable, name: str, drafts: list[Draft]) -> set[Draft]:
        sources = {table.source(draft.existing): draft for draft in drafts}
        stored = table.stored(sources)
        wanted = {source: set(draft.links[name]) for source, draft in sources.items()}
        table.insert((s, target) for s in sources for target in wanted[s] - stored[s])
        extra = {s: stored[s] - wanted[s] for s in sources if stored[s] - wanted[s]}
        table.remove(extra)
        return {draft for s, draft in sources.items() if wanted[s] != stored[s]}

    def _used(self, drafts: list[Draft]) -> dict[str, JoinTable | None]:
        names = sorted({name for draft in drafts for name in draft.links})
        for name in names:
            if name not in self._tables:
                self._tables[name] = join_table(self._model, name, database=self._database)
        return {name: self._tables[name] for name in names}


def _only(draft: Draft, name: str) -> Draft:
    part = Draft(draft.number, draft.row)
    part.instance, part.existing = draft.instance, draft.existing
    part.links = {name: draft.links[name]} if name in draft.links else {}
    return part


class JoinTable:
    """The table between two models, seen from one of them."""

    def __init__(self, through: Any, source: Any, target: Any, *, database: str) -> None:
        self._rows = through._base_manager.using(database)
        self._source, self._target = source, target
        self._source_attr = source.target_field.attname

    def source(self, instance: Any) -> Any:
        """What the join table keeps of ``instance``."""
        return getattr(instance, self._source_attr)

    def insert(self, pairs: Any) -> None:
        rows = [
            self._rows.model(**{self._source.attname: source, self._target.attname: target})
            for source, target in pairs
        ]
        if rows:
            self._rows.bulk_create(rows)

    def stored(self, sources: Any) -> dict[Any, set[Any]]:
        """The targets that each source is linked to."""
        found: dict[Any, set[Any]] = defaultdict(set)
        rows = self._rows.filter(**{f"{self._source.name}__in": list(sources)})
        for source, target in rows.values_list(self._source.attname, self._target.attname):
            found[source].add(target)
        return found

    def remove(self, extra: dict[Any, set[Any]]) -> None:
        condition = Q()
        for source, targets in extra.items():
            condition |= Q(
                **{self._source.attname: source, f"{self._target.attname}__in": list(targets)}
            )
        if extra:
            self._rows.filter(condition).delete()


def join_table(model: type[Model], name: str, *, database: str) -> JoinTable | None:
    """The join table of ``model``'s accessor ``name``; None where the manager has to do it."""
    field = field_of(model, name)
    if isinstance(field, ManyToManyField) and not field.remote_field.symmetrical:
        ends = field.m2m_field_name(), field.m2m_reverse_field_name()
        through = field.remote_field.through
    elif isinstance(field, ManyToManyRel):
        ends = field.field.m2m_reverse_field_name(), field.field.m2m_field_name()
        through = field.field.remote_field.through
    else:
        return None
    assert through is not None, "an installed many-to-many has its join table"
    source, target = (through._meta.get_field(end) for end in ends)
    return JoinTable(through, source, target, database=database)
