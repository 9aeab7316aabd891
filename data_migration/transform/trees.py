"""Relations to the model that is being migrated: rows that wait for other rows of the query.

A row whose parent is not stored yet waits until it is. What still waits when the query has ended
either waits for something that does not exist, or for a row that waits itself, in a loop.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any

from ..exceptions import MissingTarget, StepFailed
from ..rows.drafts import Draft
from .relations import RelationColumn, resolve


class Waiting:
    """The drafts of one step that cannot be written yet, by the key that each waits for."""

    def __init__(self, relations: Collection[RelationColumn]) -> None:
        self._relations = relations  # complete only when the first row has been seen
        self._by_key: dict[tuple[str, Any], list[Draft]] = defaultdict(list)
        self._others: list[Draft] = []

    @property
    def _parents(self) -> list[RelationColumn]:
        """The relations whose keys other rows can be found by."""
        return [r for r in self._relations if r.is_self and not r.is_many and r.finds_own_rows]

    def add(self, drafts: Iterable[Draft]) -> None:
        """Keep drafts until what they wait for was written."""
        parents = self._parents
        for draft in drafts:
            keys = ((each.column, key) for each in parents for key in each.unresolved(draft))
            first = next(keys, None)
            (self._others if first is None else self._by_key[first]).append(draft)

    def called_by(self, written: Iterable[Draft]) -> list[Draft]:
        """Take out the drafts that waited for one of those, and those that wait for anything."""
        called, self._others = self._others, []
        if self._by_key:
            parents = self._parents
            for draft in (draft for draft in written if draft.error is None):
                for relation in parents:
                    for key in relation.own_keys(draft):
                        called += self._by_key.pop((relation.column, key), ())
        return called

    def take_all(self) -> list[Draft]:
        """Take out every draft, in the order of the rows."""
        drafts = [draft for place in self._by_key.values() for draft in place] + self._others
        self._by_key.clear()
        self._others = []
        return sorted(drafts, key=lambda draft: draft.number)


class Tree:
    """The relations of one step to its own model."""

    def __init__(self, relations: Collection[RelationColumn], database: str) -> None:
        self._parents = [r for r in relations if r.is_self and not r.is_many]
        self._m2m = [r for r in relations if r.is_self and r.is_many]
        self._database = database

    def dead_ends(self, waiting: list[Draft]) -> list[Draft]:
        """The drafts that wait for something other than each other: they wait in vain.

        A loop through a relation that may not be NULL is a dead end as well.
        """
        dead: set[Draft] = set()
        for relation in self._parents:
            closes = relation.field.null and relation.finds_own_rows
            coming = {key for d in waiting for key in relation.own_keys(d)} if closes else ()
            dead.update(
                draft
                for draft in waiting
                if any(key not in coming for key in relation.unresolved(draft))
            )
        return [draft for draft in waiting if draft in dead]

    def cut(self, loop: list[Draft]) -> None:
        """Let the drafts of a loop be written: without the relation that closes it."""
        for draft in loop:
            draft.waiting = False
            for relation in self._parents:
                if relation.unresolved(draft):
                    draft.values[relation.name] = None

    def close(self, loop: list[Draft]) -> None:
        """Set the relations that :meth:`cut` left out, now that their targets are stored."""
        written = [draft for draft in loop if draft.error is None and draft.instance is not None]
        for draft in self._with_parents(written):
            for relation in self._parents:
                setattr(draft.instance, relation.name, draft.values[relation.name])
            rows = type(draft.instance)._base_manager.using(self._database)
            attnames = [relation.field.attname for relation in self._parents]
            rows.filter(pk=draft.instance.pk).update(
                **{attname: getattr(draft.instance, attname) for attname in attnames}
            )

    def _with_parents(self, written: list[Draft]) -> list[Draft]:
        """The drafts whose parents are stored for good; the others fail and their objects go.

        Each that fails may be a parent itself, so it is asked again until all have one.
        """
        while True:
            resolve(self._parents, written, final=True)
            failed = [draft for draft in written if draft.error is not None]
            if not failed:
                return written
            for draft in failed:
                draft.instance.delete(using=self._database)
            for relation in self._parents:
                relation.targets.forget()
            written = [draft for draft in written if draft.error is None]

    def complete_m2m(self, late: list[Draft]) -> None:
        """Resolve many-to-manys to the model itself again, now that every target is stored.

        A draft that misses a target for good fails; its object goes if this step created it.
        Raises :exc:`StepFailed` when other objects hang on that object: they would go with it.
        """
        open_ = [draft for draft in late if draft.error is None]
        while open_:
            resolve(self._m2m, open_, final=True)
            failed = [draft for draft in open_ if draft.error is not None]
            if not failed:
                break
            for draft in failed:
                if draft.is_new and isinstance(draft.error, MissingTarget):
                    self._remove(draft)
            for relation in self._m2m:
                relation.targets.forget()
            open_ = [draft for draft in open_ if draft.error is None]

    def _remove(self, draft: Draft) -> None:
        rows = type(draft.object)._base_manager.using(self._database)
        for relation in (*self._parents, *self._m2m):
            name = relation.field.name
            if rows.filter(**{name: draft.object}).exists():
                raise StepFailed(
                    f"row {draft.number}: {draft.error}. Other rows refer to this one by"
                    f" {name!r}, so it cannot be left out by itself. Mend the row, or let the"
                    " relation go without its targets with skip_missing=True."
                )
        draft.object.delete(using=self._database)
