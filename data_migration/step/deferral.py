"""The second pass: relations whose targets came after their rows, filled when every step ran.

A relation of a row whose target was not there stands in the ledger as a
:class:`~data_migration.models.DeferredRelation` where it is ``deferred``, and with
``skip_missing`` where the target may still come. It goes when the relation is filled, when a
person filled it meanwhile, when the object is gone, or with a warning when nothing is outstanding
any more of the migrations that fill the target. What a later run than the object's own filled or
gave up has a before-image, so that undoing that run leaves the relation open again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from django.db import transaction

from ..exceptions import RowFailure
from ..fields.digests import FieldDigests, targets_digest
from ..fields.lookup import field_of
from ..fields.primary_keys import pk_from_text
from ..ledger import Ledger, Link, LinkBook, Outstanding
from ..ledger.deferrals import DeferralBook, open_columns
from ..ledger.images import Images
from ..ledger.lookup import LinkLookup
from ..ledger.messages import warned_of
from ..models import DeferredRelation, MigrationState, Run, RunStep
from ..options import RunOptions
from ..outcomes import MessageKind, Mode, Unsettled
from ..plan.graph import Plan, PlanStep
from ..rows.drafts import Draft, Note
from ..rows.identity import Identity
from ..rows.keys import key_of_text, key_text
from ..transform.legacy_targets import Linked
from ..transform.relations import RelationColumn, resolve
from ..utils.databases import database_of
from ..utils.masking import MASK, is_hidden
from ..writers.late_relations import LateRelation
from .recording import message_of
from .remember import snapshot

CHUNK = 500


def fill_deferred(
    plan: Plan, ledger: Ledger, options: RunOptions, run: Run, steps: Sequence[RunStep]
) -> dict[str, int]:
    """Fill what can be filled of all migrations in ``plan``, whichever run left it open.

    ``steps`` are those of ``run``, which is going on. Commits chunk by chunk in a committed run,
    else works in the run's own transaction. Returns how many relations were filled of rows that
    earlier runs wrote, by label.
    """
    filled: dict[str, int] = {}
    outstanding = Outstanding(ledger)
    started = {step.migration: step for step in steps if step.started_at is not None}
    for plan_step, column, state in _open(plan, ledger.database):
        each = _Pass(plan_step, column, state, ledger, options, outstanding, run=run.pk)
        if number := each.run(started.get(plan_step.label)):
            filled[plan_step.label] = filled.get(plan_step.label, 0) + number
    return filled


def _open(plan: Plan, database: str) -> Iterator[tuple[PlanStep, str, MigrationState]]:
    """The relations with something to fill, in the order of the plan."""
    columns = open_columns(database)
    for plan_step in plan:
        for column in columns.get(plan_step.label, ()):
            if column in plan_step.migration.column_description:
                state = MigrationState.objects.using(database).get(label=plan_step.label)
                yield plan_step, column, state


def _relation(
    plan_step: PlanStep, column: str, database: str, outstanding: Outstanding
) -> RelationColumn:
    """The column as the second pass resolves it."""
    migration = plan_step.migration
    linked = Linked(
        label=plan_step.label,
        sources=plan_step.sources,
        find=LinkLookup(database),
        keyed=plan_step.keyed,
        outstanding=outstanding,
    )
    return RelationColumn(
        column,
        replace(migration.column_description[column], deferred=True),
        field_of(migration.model, column),
        model=migration.model,
        database=database,
        with_instances=False,
        linked=linked,
    )


class _Pass:
    """Fills one relation of one migration, as far as its targets are not outstanding."""

    def __init__(
        self,
        plan_step: PlanStep,
        column: str,
        state: MigrationState,
        ledger: Ledger,
        options: RunOptions,
        outstanding: Outstanding,
        *,
        run: int,
    ) -> None:
        self._label = plan_step.label
        self._migration = plan_step.migration
        self._state = state
        self._ledger = ledger
        self._database = ledger.database
        self._mode = options.mode
        self._number = run
        self._book = LinkBook(state, database=ledger.database)
        self._open = DeferralBook(state, database=ledger.database)
        self._images = Images(state, database=ledger.database, run=run)
        model = plan_step.migration.model
        self._objects = model._base_manager.using(ledger.database)
        self._relation = _relation(plan_step, column, ledger.database, outstanding)
        described = plan_step.migration.column_description[column]
        #: Whether what stays open is a warning of its row: ``deferred=True`` asks for it.
        self._warns = described.skip_missing and not described.deferred
        self._writer = LateRelation(self._relation, model, database=ledger.database)

    def run(self, step: RunStep | None) -> int:
        """Go through the open rows; ``step`` is the migration's own of this run, if it has one.

        Returns how many relations are filled of rows that earlier runs wrote.
        """
        last = filled = 0
        while rows := self._open.page(self._relation.column, after=last, size=CHUNK):
            last = rows[-1].pk
            with (
                self._ledger.committing(step)
                if step is not None and self._mode == Mode.COMMIT
                else transaction.atomic(using=self._database)
            ):
                drafts, changed = self._fill(rows, step)
                self._warn(step, drafts)
            filled += sum(not draft.deferred and self._is_older(draft, step) for draft in changed)
        return filled

    def _is_older(self, draft: Draft, step: RunStep | None) -> bool:
        return step is None if draft.link is None else bool(draft.link.run != self._number)

    def _fill(
        self, rows: list[DeferredRelation], step: RunStep | None
    ) -> tuple[list[Draft], set[Draft]]:
        """Fill one chunk; returns the drafts with something to warn of, and those that changed."""
        drafts = {self._draft(row): row for row in rows}
        pk_of = pk_from_text(self._objects.model)
        # A person may be filling the same relations: who comes second sees what the first did.
        objects = database_of(self._database).locking(self._objects)
        stored = objects.in_bulk({pk_of(row.object_pk) for row in rows})
        for draft, row in drafts.items():
            draft.existing = stored.get(pk_of(row.object_pk))
        there = [draft for draft in drafts if draft.existing is not None]
        links = self._book.find([d.identity.hash for d in there if d.identity.hash])
        for draft in there:
            draft.link = links.get(draft.identity.hash)
        resolve([self._relation], there)
        filled = [draft for draft in there if draft.error is None]
        changed = self._writer.write(filled)
        for draft in there:
            self._judge(draft)
        self._remember([d for d in there if d in changed or d.notes], changed)
        self._close(drafts)
        if self._warns:
            self._tell([draft for draft in there if draft.deferred], step)
        return [draft for draft in there if draft.notes], changed

    def _draft(self, row: DeferredRelation) -> Draft:
        value, columns = key_of_text(row.value), self._relation.columns
        parts = value if len(columns) > 1 else (value,)
        identity = Identity(hash=row.key_hash.hex if row.key_hash else "", text=row.key)
        return Draft(row.row_number, dict(zip(columns, parts, strict=True)), identity)

    def _judge(self, draft: Draft) -> None:
        """Note what will not come; keep for later what still may."""
        relation = self._relation
        if isinstance(draft.error, RowFailure):
            draft.notes += (Note(relation.column, draft.error.value, draft.error.cause),)
            draft.deferred = ()
        elif draft.deferred:
            awaited = self._awaited(draft)
            gone = [key for key in relation.unresolved(draft) if key not in awaited]
            for error in map(relation.missing, gone):
                draft.notes += (Note(relation.column, error.value, error.cause),)
            if not awaited:
                draft.deferred = ()

    def _awaited(self, draft: Draft) -> list[Any]:
        """The keys whose targets may still come."""
        relation = self._relation
        return [key for key in relation.unresolved(draft) if relation.outlook(key) is not None]

    def _tell(self, drafts: list[Draft], step: RunStep | None) -> None:
        """Note the targets that a row is without for now, once since the row was written.

        Rows without a key are known by no run but the one that reads them.
        """
        hashes = [draft.identity.hash for draft in drafts if draft.link is not None]
        column = self._relation.column
        told = warned_of(self._state, column, hashes, database=self._database)
        for draft in drafts:
            if draft.link is None:
                is_told = step is None
            else:
                is_told = told.get(draft.identity.hash, 0) >= draft.link.run
            for error in map(self._relation.missing, () if is_told else self._awaited(draft)):
                draft.notes += (Note(column, error.value, error.cause),)

    def _remember(self, drafts: list[Draft], changed: set[Draft]) -> None:
        """Renew the links: what was filled is ours from now on, what was warned of stays open."""
        linked = [draft for draft in drafts if draft.link is not None]
        # Images are what it takes to undo this run, where that does not delete the object.
        here = {draft.identity.hash for draft in linked if draft.link.run == self._number}
        made_here = here - self._images.kept_of(here) if here else here
        self._images.keep(snapshot(d) for d in linked if d.identity.hash not in made_here)
        links = []
        for draft in linked:
            # Never without an image where it is another one: a rollback would take the object
            # for one that this run made.
            link: Link = draft.link._replace(run=self._number)
            if draft in changed and link.written:
                link = link._replace(written=self._rewritten(draft, link))
            if draft.notes:
                link = link._replace(unsettled=Unsettled.WARNED)
            links.append(link)
        self._book.replace(links)

    def _rewritten(self, draft: Draft, link: Link) -> bytes:
        known = self._book.written(link)
        model = self._objects.model
        own = {field.name for field in model._meta.concrete_fields}
        m2m = tuple(name for name in known if name not in own)
        digests = FieldDigests(model, m2m, database=self._database)
        self._book.know_layout(digests.layout, digests.names)
        name = self._relation.name
        if not self._relation.is_many:
            field = self._relation.field.name
            known[field] = digests.of(field, draft.existing)
        elif known.get(name) == targets_digest(draft.changes.m2m_before[name]):
            # Where a person changed the rest meanwhile, that stays to be seen.
            added = [getattr(target, "pk", target) for target in draft.m2m[name]]
            known[name] = targets_digest(chain(draft.changes.m2m_before[name], added))
        return digests.repacked(known)

    def _close(self, drafts: dict[Draft, DeferredRelation]) -> None:
        """Remove the rows that are settled, and of the others what was found."""
        done = [row.pk for draft, row in drafts.items() if not draft.deferred]
        self._open.close(done)
        if self._relation.is_many:
            for draft, row in drafts.items():
                left = key_text(self._awaited(draft)) if draft.deferred else row.value
                if left != row.value:
                    self._open.narrow(row.pk, left)

    def _warn(self, step: RunStep | None, drafts: list[Draft]) -> None:
        """Count and keep the warnings, with this run's step or the last committed one."""
        messages = [
            message_of(draft, MessageKind.WARNING, self._masked(note))
            for draft in drafts
            for note in draft.notes
        ]
        if step is None:
            self._ledger.warn_afterwards(self._label, messages)
        else:
            for message in messages:
                self._ledger.note(step, message)

    def _masked(self, note: Note) -> Note:
        migration = self._migration
        described, sensitive = migration.column_description, migration.sensitive_columns
        if not is_hidden(note.column, described, sensitive):
            return note
        label = self._relation.targets.klass._meta.label
        return Note(note.column, MASK, f"the target in {label} is missing")
