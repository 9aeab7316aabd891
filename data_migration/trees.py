"""Relations to the model that is being migrated: rows that wait for other rows of the query.

A row whose parent is not stored yet waits until it is. What still waits when the query has ended
either waits for something that does not exist, or for a row that waits itself, in a loop.
"""

from __future__ import annotations

from collections.abc import Collection

from .drafts import Draft
from .exceptions import MissingTarget
from .resolve import RelationColumn, resolve


class Tree:
    """The relations of one step to its own model."""

    def __init__(self, relations: Collection[RelationColumn], database: str) -> None:
        self._parents = [r for r in relations if r.is_self and not r.is_many]
        self._links = [r for r in relations if r.is_self and r.is_many]
        self._database = database

    def dead_ends(self, waiting: list[Draft]) -> list[Draft]:
        """The drafts that wait for something other than each other: they wait in vain.

        A loop through a relation that may not be NULL is a dead end as well.
        """
        dead: set[Draft] = set()
        for relation in self._parents:
            coming = {relation.own_key(draft) for draft in waiting} if relation.field.null else ()
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

    def complete_links(self, late: list[Draft]) -> None:
        """Resolve many-to-manys to the model itself again, now that every target is stored.

        A draft that misses a target for good fails; its object goes if this step created it.
        """
        resolve(self._links, late, final=True)
        for draft in late:
            if draft.existing is None:
                if isinstance(draft.error, MissingTarget):
                    draft.instance.delete(using=self._database)
                draft.existing = draft.instance
