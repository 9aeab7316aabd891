"""Drafts -> objects, links and counts: what happens to one batch of a step."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import compress
from typing import Protocol

from django.db import transaction

from ..exceptions import RowFailure
from ..outcomes import Outcome
from ..rows.drafts import Draft
from ..transform.existing import Existing
from ..transform.relations import RelationColumn, resolve
from ..transform.trees import Waiting
from ..transform.values import Transform
from ..writers import Instances, Writer
from .batch import Batch
from .context import StepContext
from .memory import Memory
from .remember import Deferrals


class Record(Protocol):
    """Receives every draft once, when its outcome is final."""

    def __call__(self, drafts: list[Draft]) -> None: ...

    def count(self, outcome: Outcome, numbers: Sequence[int]) -> None:
        """The same for rows that are unchanged, of which no draft is made."""


class Pipeline:
    """Takes the batches of one step through its stages, in transactions that the caller holds.

    ``existing`` finds stored objects of rows that the ``memory`` does not know, where they are
    looked for. Rows come transformed with ``is_transformed``. ``record`` receives every draft
    once, when its outcome is final.
    """

    def __init__(
        self,
        context: StepContext,
        *,
        transform: Transform,
        is_transformed: bool,
        memory: Memory,
        existing: Existing | None,
        instances: Instances,
        writer: Writer,
        record: Record,
    ) -> None:
        self._step = context.step
        self._compares = context.updates
        self._migration = context.migration
        self.database = database = context.database
        self._transform = transform
        self._is_transformed = is_transformed
        self.memory = memory
        self._existing = existing
        self._instances = instances
        self.writer = writer
        self.record = record
        self._updates_by_hook = context.hooks.update_existing is not None
        self._terms = context.migration._terms
        self._deferrals = Deferrals(
            context.state, transform.model, transform.legacy_value, database=database
        )
        #: Rows that need others of the query to be written before them.
        self.waiting = Waiting(transform.relations)
        #: Rows that are written but for many-to-manys to others of the query; not recorded yet.
        self._late: list[Draft] = []

    @property
    def relations(self) -> Collection[RelationColumn]:
        """Those of the step, complete when the first row has been seen."""
        return self._transform.relations

    def pass_over(self, batch: Batch) -> Batch:
        """Count the rows that need nothing; what is left of the batch.

        Nothing is written, so no transaction is needed.
        """
        done = self.memory.done_with(batch)
        if not any(done):
            return batch
        if self._compares:
            self.record.count(Outcome.UNCHANGED, list(compress(batch.numbers, done)))
        else:
            self._step.passed += sum(done)
        return batch.only([not each for each in done])

    def process(self, batch: Batch) -> None:
        """The hot loop: what :meth:`pass_over` left of a batch."""
        drafts = batch.drafts
        known = self.memory.recognise(drafts, batch)
        while drafts:
            self._step.passed += len(drafts) - sum(map(len, known))
            if known.ended:
                self.memory.keep_conflicts(known.ended)
                self.record(known.ended)
            if self._updates_by_hook:
                self._find_for_hook(known.open)
            if not self._is_transformed:
                self._transform([draft for draft in known.open if self._needs_values(draft)])
            self.write_what_is_ready(known.open)
            drafts = known.repeated
            if drafts:  # now that the rows before them are written
                known = self.memory.recognise(drafts)

    def _find_for_hook(self, drafts: list[Draft]) -> None:
        """Keep the raw rows, since that is what the hook will get, and find objects by them."""
        existing = self._existing
        if existing is None:
            for draft in drafts:
                draft.raw = draft.row.copy() if draft.existing is not None else None
            return
        if existing.is_found_by_row(self._migration.column_description):
            existing.find_by_row([draft for draft in drafts if draft.link is None])
        for draft in drafts:
            draft.raw = draft.row.copy()

    def _needs_values(self, draft: Draft) -> bool:
        """Whether the row is to be transformed: not where a hook gets the object and the row."""
        goes_to_hook = (
            self._updates_by_hook and draft.existing is not None and draft.resumes is None
        )
        return draft.error is None and not goes_to_hook

    def write_what_is_ready(self, drafts: list[Draft]) -> None:
        """Write the drafts and those that waited for them; the rest waits for later rows."""
        while drafts:
            open_ = [draft for draft in drafts if self._needs_values(draft)]
            resolve(self.relations, open_)
            if self._existing is not None:
                fresh = [draft for draft in open_ if draft.link is None]
                self._existing.find_by_values(fresh)
                if self._terms.match:
                    self.memory.refuse_taken(fresh)
            put_off = [draft for draft in drafts if draft.waiting]
            self.waiting.add(put_off)
            self.memory.reserve(put_off)
            ready = [draft for draft in drafts if not draft.waiting]
            if not ready:
                return
            self.write(ready)
            drafts = self.waiting.called_by(ready)

    def write(self, drafts: list[Draft]) -> None:
        """Write and record drafts that wait for nothing."""
        self.store(drafts)
        self.record_or_keep(drafts)

    def store(self, drafts: list[Draft]) -> None:
        """Write drafts and remember them."""
        # Row by row, hook_before_save sees the rows before it stored.
        for portion in ([each] for each in drafts) if self.writer.is_row_by_row else (drafts,):
            new = [draft for draft in portion if draft.resumes is None]
            self._instances(new)
            self.writer.write([draft for draft in new if draft.outcome is None])
        self.writer.write_put_off()
        if self._terms.finish is not None:
            self.memory.finish(drafts, self._terms.finish)
        self._resume([d for d in drafts if d.resumes is not None and d.error is None])
        self.memory.keep(drafts)
        if self._transform.defers:
            self._deferrals.keep(drafts)

    def _resume(self, drafts: list[Draft]) -> None:
        """Go on with objects whose many-to-manys an interrupted run has left open."""
        if drafts:
            self.update_joins([draft for draft in drafts if not draft.has_late_m2m])
        for draft in drafts:
            if draft.error is None:
                draft.outcome = draft.resumes

    def record_or_keep(self, drafts: list[Draft]) -> None:
        """Record the drafts but for those with many-to-manys that come later."""
        late = [draft for draft in drafts if draft.has_late_m2m and draft.error is None]
        self._late.extend(late)
        self.record(without(drafts, late))

    def take_late(self) -> list[Draft]:
        """Take out what :meth:`record_or_keep` kept."""
        late, self._late = self._late, []
        return late

    def complete(self, drafts: list[Draft], columns: Collection[str] = ()) -> None:
        """Remember what was added to drafts after :meth:`store`: relations of ``columns``."""
        self.memory.complete(drafts)
        if self._transform.defers:
            self._deferrals.keep_late(drafts, columns)

    def update_joins(self, drafts: list[Draft]) -> set[Draft]:
        """Write many-to-manys of stored objects; a draft with a conflict to be decided fails."""
        try:
            with transaction.atomic(using=self.database):
                return self.writer.joins.update(drafts)
        except RowFailure as error:
            if len(drafts) == 1:
                drafts[0].fail(error)
                return set()
            return {each for draft in drafts for each in self.update_joins([draft])}


def without(drafts: list[Draft], others: Iterable[Draft]) -> list[Draft]:
    """The drafts that are none of the others."""
    left_out = set(others)
    return [draft for draft in drafts if draft not in left_out] if left_out else drafts
