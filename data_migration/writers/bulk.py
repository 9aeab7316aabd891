"""The ``bulk`` and ``copy`` writers: a batch at a time, bad rows found by halving."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import Any

from ..fields.primary_keys import is_set
from ..fields.stock import is_clock
from ..outcomes import Outcome, WriterName
from ..rows.drafts import Draft
from ..spec.migration import Migration
from ..tables import Unsuitable, Updates
from ..utils.chunks import chunks
from .base import Writer
from .conflicts import Conflicts
from .inserts import Inserts, django_has_to, refuse_empty_key, written_fields
from .joins import Joins, ThroughJoins
from .packets import Portions
from .timestamps import keeping_queryset


class BulkWriter(Writer):
    """Many rows in one statement: no signals, no ``save()``; every hook still runs."""

    name = WriterName.BULK
    by_copy = False

    def __init__(self, migration: Migration, **options: Any) -> None:
        super().__init__(migration, **options)
        self._portion = Portions(self.database)
        #: Why ``bulk_create`` writes new objects; empty where it does not.
        self.django_writes = django_has_to(self.model, database=self.database)
        self._inserts = Inserts(self.model, database=self.database, by_copy=self.by_copy)
        self._updates = Updates(self.model, database=self.database)

    def make_joins(self, conflicts: Conflicts | None) -> Joins:
        return ThroughJoins(self.model, conflicts, database=self.database, by_copy=self.by_copy)

    def write(self, drafts: list[Draft]) -> None:
        """Write as many together as fit into one INSERT, so that a bad row repeats only those.

        ``hook_after_save`` runs again for the good rows of a half that had to be repeated: what
        it did before was rolled back.
        """
        size = len(drafts)
        if self.django_writes:
            fields = written_fields(self.model)
            size = max(1, self._db.connection.ops.bulk_batch_size(fields, drafts))
        for portion in chunks(drafts, size):
            self._write_or_halve(portion)

    def _write_or_halve(self, drafts: list[Draft]) -> None:
        """Write together; when that fails, each half by itself, down to the bad rows."""
        error = self.attempt(drafts)
        if error is not None:
            self._halve(drafts, error)

    def _halve(self, drafts: list[Draft], error: Exception) -> None:
        """Find the bad rows among drafts that cannot be written together.

        Where nothing is wrong with the first half, the second one is not tried as a whole: it is
        known to fail. So a bad row costs one INSERT for each halving, and two at most.
        """
        if len(drafts) == 1:
            self.refuse(drafts[0], error)
            return
        first, second = drafts[: len(drafts) // 2], drafts[len(drafts) // 2 :]
        self._write_or_halve(first)
        is_known = len(second) > 1 and all(
            draft.outcome not in (None, Outcome.FAILED) for draft in first
        )
        if is_known:
            self._halve(second, error)
        else:
            self._write_or_halve(second)

    def create(self, drafts: list[Draft]) -> None:
        """Insert past Django where nothing speaks against it; a row by itself goes through it.

        So whatever is wrong with a row is said in the same words by every writer.
        """
        if not self.django_writes and len(drafts) > 1:
            try:
                self._inserts(drafts, partial(self.meanwhile, drafts))
                return
            except Unsuitable:  # nothing is written yet
                pass
        for draft in drafts:
            if draft.instance is None:
                draft.instance = self.model(**draft.values)
                draft.has_key = is_set(draft.instance.pk)
            refuse_empty_key(draft.instance)
        rows = keeping_queryset(self.model, self.database)
        for portion in self._portion(drafts):
            rows.bulk_create([draft.instance for draft in portion])

    def save_again(self, drafts: list[Draft]) -> None:
        fields = [field for field in written_fields(self.model) if not field.primary_key]
        for draft in drafts:
            for field in fields:
                if is_clock(field) and draft.values.get(field.attname):
                    setattr(draft.instance, field.attname, draft.values[field.attname])
            values = {field.attname: getattr(draft.instance, field.attname) for field in fields}
            rows = self.model._base_manager.using(self.database)
            rows.filter(pk=draft.instance.pk).update(**values)

    def update(self, drafts: list[Draft]) -> None:
        # By what changed, so that a column that did not change is not written.
        groups: dict[tuple[str, ...], list[Any]] = defaultdict(list)
        for draft in drafts:
            groups[draft.changes.fields].append(draft.existing)
        for names, instances in sorted(groups.items(), key=lambda group: group[0]):
            self._updates(instances, names)


class CopyWriter(BulkWriter):
    """``bulk`` with PostgreSQL's COPY in place of INSERT, for objects and many-to-manys."""

    name = WriterName.COPY
    by_copy = True
