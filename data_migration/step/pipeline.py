"""rows -> drafts -> objects, links and counts: what happens to one batch of a step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from django.db import transaction

from ..exceptions import RowFailure
from ..ledger import LinkBook
from ..outcomes import Outcome
from ..rows.drafts import Draft
from ..sources.rows import Rows
from ..spec.hooks import hook_is_overridden
from ..spec.legacy_key import search_attrs_of
from ..tables import Meanwhile, nothing
from ..transform.existing import Existing
from ..transform.relations import resolve
from ..transform.trees import Tree, Waiting
from ..transform.values import Transform
from ..undo.keys_read import KeysRead
from ..writers import Conflicts, Instances, Writer
from .batch import Batch
from .context import StepContext
from .delta import Delta, Rerun
from .remember import Deferrals, Keeper

Record = Callable[[list[Draft]], None]


class Pipeline:
    """Runs the batches of one step inside transactions that the caller holds.

    ``record`` receives every draft once, when its outcome is final.
    """

    def __init__(
        self,
        context: StepContext,
        *,
        writer: Writer,
        transform: Transform,
        record: Record,
    ) -> None:
        self._step = context.step
        self._compares = context.updates
        self._migration = migration = context.migration
        self._database = database = context.database
        self._writer = writer
        self._record_final = record
        self._transform = transform
        self._make_instances = Instances(migration, database=database)
        self._updates_by_hook = hook_is_overridden(type(migration), "hook_update_existing")
        self._waiting = Waiting(transform.relations)
        self._late: list[Draft] = []
        self._number = 1
        #: Makes the next batch ready; called while the database takes this one.
        self.fetch_ahead: Meanwhile = nothing
        self._delta: Delta | None = None
        self._keeper: Keeper | None = None
        self._seen: KeysRead | None = None
        self._existing: Existing | None = None
        self._deferrals = Deferrals(context.state, transform.legacy_value, database=database)

    def remember(
        self,
        book: LinkBook,
        rerun: Rerun,
        *,
        key: Sequence[str],
        columns: Sequence[str],
        seen: KeysRead | None,
    ) -> None:
        """Compare the rows with the links in ``book``, and keep a link for each.

        ``seen`` takes note of every key where somebody asks for the rows that are gone.
        """
        self._seen = seen
        conflicts = Conflicts(self._migration, book.written, database=self._database)
        self._make_instances.conflicts = self._writer.joins.conflicts = conflicts
        self._delta = Delta(self._migration, book, rerun, conflicts, key=key, columns=columns)
        relations = self._transform.relations
        self._keeper = Keeper(
            book,
            self._migration.model,
            run=rerun.run,
            m2m=lambda: sorted(relation.name for relation in relations if relation.is_many),
        )

    def write_values(self) -> None:
        """Write new objects from the values of their rows, without a model instance for each."""
        self._make_instances.only_existing = True

    def find_existing(self, columns: Sequence[str]) -> None:
        """Look for stored objects of rows that have no link."""
        step, migration = self._step, self._migration
        attrs = search_attrs_of(
            step.migration, migration, columns, has_links=self._delta is not None
        )
        if attrs:
            self._existing = Existing(migration.model, attrs, database=self._database)

    def prepare(self, rows: Rows) -> Batch:
        """The part of a batch's way that needs no database: it may be done :mod:`.ahead`."""
        batch = Batch(self._number, rows)
        self._number += len(rows)
        if self._delta is not None and batch:
            self._delta.identify(batch)
        if self._transforms_ahead:
            self._transform([draft for draft in batch.drafts if draft.error is None])
        return batch

    def pass_over(self, batch: Batch) -> None:
        """Count the rows that need nothing; the batch goes on without them.

        Nothing is written, so no transaction is needed.
        """
        if batch.identity is None or self._delta is None:
            return
        if self._seen is not None:
            self._seen.add(batch.identity.hashes)
        batch.is_new = self._delta.is_new(batch)
        if any(unchanged := self._delta.unchanged(batch.identity)):
            batch.keep([not each for each in unchanged])
            if self._compares:
                self._step.count(Outcome.UNCHANGED, sum(unchanged))
            else:
                self._step.passed += sum(unchanged)

    def process(self, batch: Batch) -> None:
        """The hot loop: one batch of rows, after :meth:`prepare` and :meth:`pass_over`."""
        drafts = batch.drafts
        while drafts:
            drafts, repeated = self._recognise(drafts, batch)
            if self._existing is not None and self._updates_by_hook:
                self._find_for_hook(self._existing, drafts)
            if not self._transforms_ahead:
                self._transform([draft for draft in drafts if self._is_transformed(draft)])
            self._write_what_is_ready(drafts)
            drafts = repeated

    @property
    def _transforms_ahead(self) -> bool:
        """Whether every row will be transformed, and no hook may touch the database for that."""
        is_known = self._delta is not None and not self._delta.is_first
        return self._transform.is_pure and not (is_known or self._updates_by_hook)

    def _recognise(self, drafts: list[Draft], batch: Batch) -> tuple[list[Draft], list[Draft]]:
        """The drafts that need work, and those for which others have to be written first.

        The others are recorded, or were done by an earlier run.
        """
        delta = self._delta
        if delta is None:
            return drafts, []
        recognised = drafts if batch.is_new else list(delta.recognise(drafts))
        repeated = delta.take_repeated()
        self._step.passed += len(drafts) - len(recognised) - len(repeated)
        open_ = [draft for draft in recognised if draft.outcome is None]
        if len(open_) < len(recognised):
            self._record_ended([draft for draft in recognised if draft.outcome is not None])
        if self._updates_by_hook:
            for draft in open_:
                draft.raw = draft.row.copy() if draft.existing is not None else None
        return open_, repeated

    def _record_ended(self, drafts: list[Draft]) -> None:
        if self._keeper is not None:
            self._keeper.keep([draft for draft in drafts if draft.conflicts])
        self._record_final(drafts)

    def _find_for_hook(self, existing: Existing, drafts: list[Draft]) -> None:
        """Find existing objects by the raw row, since that is what their hook will get."""
        if existing.is_found_by_row(self._migration.column_description):
            existing.find_by_row([draft for draft in drafts if draft.link is None])
        for draft in drafts:
            draft.raw = draft.raw or draft.row.copy()

    def _goes_to_hook(self, draft: Draft) -> bool:
        return draft.existing is not None and self._updates_by_hook and not draft.is_resumed

    def _is_transformed(self, draft: Draft) -> bool:
        return draft.error is None and not self._goes_to_hook(draft)

    def _write_what_is_ready(self, drafts: list[Draft]) -> None:
        """Write the drafts and those that waited for them; the rest waits for later rows."""
        while drafts:
            self._look_up(drafts)
            ready = [draft for draft in drafts if not draft.waiting]
            self._put_off([draft for draft in drafts if draft.waiting])
            if not ready:
                return
            self._write(ready)
            drafts = self._waiting.called_by(ready)

    def _put_off(self, drafts: list[Draft]) -> None:
        self._waiting.add(drafts)
        if self._delta is not None:
            self._delta.reserve(drafts)

    def _look_up(self, drafts: list[Draft]) -> None:
        open_ = [draft for draft in drafts if self._is_transformed(draft)]
        resolve(self._transform.relations, open_)
        if self._existing is not None:
            self._existing.find_by_values([draft for draft in open_ if draft.link is None])

    def _write(self, drafts: list[Draft]) -> None:
        self._save(drafts)
        self._record(drafts)

    def _save(self, drafts: list[Draft]) -> None:
        # Row by row, hook_before_save sees the rows before it stored.
        row_by_row = self._writer.is_row_by_row
        for portion in ([draft] for draft in drafts) if row_by_row else (drafts,):
            new = [draft for draft in portion if not draft.is_resumed]
            self._make_instances(new)
            open_ = [draft for draft in new if draft.outcome is None]
            self._writer.meanwhile = self._meanwhile(open_)
            self._writer.write(open_)
        if resumed := [draft for draft in drafts if draft.is_resumed and draft.error is None]:
            self._resume(resumed)
        if self._keeper is not None:
            self._keeper.keep(drafts, self.fetch_ahead)
        if self._transform.defers:
            self._deferrals.keep(drafts)

    def _meanwhile(self, drafts: list[Draft]) -> Meanwhile:
        """What to do while new objects are written: the last thing to be written comes next."""
        if self._keeper is None:
            return self.fetch_ahead
        are_values = self._make_instances.only_existing
        return partial(self._keeper.digest, drafts) if are_values else nothing

    def _resume(self, drafts: list[Draft]) -> None:
        """Go on with objects whose many-to-manys an interrupted run has left open."""
        self._update_joins([draft for draft in drafts if not draft.has_late_m2m])
        for draft in (draft for draft in drafts if draft.error is None):
            draft.outcome = Outcome.CREATED if draft.is_new else Outcome.UPDATED
            if draft.is_new:
                draft.instance, draft.existing = draft.existing, None
                draft.pk = draft.instance.pk

    def _record(self, drafts: list[Draft]) -> None:
        late = [draft for draft in drafts if draft.has_late_m2m and draft.error is None]
        self._late.extend(late)
        self._record_final(_without(drafts, late))

    def finish(self, batch_size: int) -> None:
        """Settle the rows that wait for each other, or for what never came."""
        tree = Tree(self._transform.relations, self._database)
        while waiting := self._waiting.take_all():
            dead = tree.dead_ends(waiting)
            if dead:
                resolve(self._transform.relations, dead, final=True)
                self._write(dead)
                self._write_what_is_ready(_without(waiting, dead))
            else:
                self._write_loop(tree, waiting)
        self._complete_m2m(tree, batch_size)

    def _write_loop(self, tree: Tree, drafts: list[Draft]) -> None:
        tree.cut(drafts)
        self._save(drafts)
        tree.close(drafts)
        self._rekeep(drafts)
        self._record(drafts)

    def _complete_m2m(self, tree: Tree, batch_size: int) -> None:
        late, self._late = self._late, []
        tree.complete_m2m(late)
        for start in range(0, len(late), batch_size):
            drafts = late[start : start + batch_size]
            for draft in self._update_joins([draft for draft in drafts if draft.error is None]):
                if draft.outcome == Outcome.UNCHANGED:
                    draft.outcome = Outcome.UPDATED
            self._rekeep(drafts)
            self._record_final(drafts)

    def _update_joins(self, drafts: list[Draft]) -> set[Draft]:
        """Write many-to-manys of stored objects; a draft with a conflict to be decided fails."""
        update = self._writer.joins.update
        try:
            with transaction.atomic(using=self._database):
                return update(drafts)
        except RowFailure as error:
            if len(drafts) == 1:
                drafts[0].fail(error)
                return set()
            return {each for draft in drafts for each in self._update_joins([draft])}

    def _rekeep(self, drafts: list[Draft]) -> None:
        """Remember what was completed; forget the objects that had to go."""
        if self._keeper is not None:
            self._keeper.forget([draft for draft in drafts if draft.error is not None])
            self._keeper.keep(drafts)


def _without(drafts: list[Draft], others: list[Draft]) -> list[Draft]:
    left_out = set(others)
    return [draft for draft in drafts if draft not in left_out] if left_out else drafts
