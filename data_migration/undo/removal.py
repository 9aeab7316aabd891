"""Rows that were linked before and are absent from their query now: reported, or deleted.

Every key of a pass is noted in its :class:`~data_migration.undo.gone_rows.GoneRows`. When all
steps of a run are done, the links whose keys were not read tell what is gone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import Error, transaction

from ..exceptions import DataMigrationError, LedgerError, SpecError
from ..ledger import Link, LinkBook, Message, StepLedger
from ..ledger.forgetting import forget_deleted
from ..ledger.images import Images, had_parent
from ..models import RunStep
from ..options import RunOptions
from ..outcomes import MessageKind, Mode, OnConflict, Removed, RunStatus
from ..plan.graph import Plan
from ..spec.migration import Migration
from ..utils.redaction import redact
from ..utils.wording import words
from .deletion import delete
from .gone_rows import GoneRows
from .judge import Candidate, Edited, Judge, Reason, Shared
from .keys_read import KeysRead
from .m2m_targets import all_targets
from .selection import models_of


class Removal:
    """What is gone from the queries of one run. ``plan`` are all migrations in their order."""

    def __init__(self, plan: Plan, ledger: StepLedger, options: RunOptions) -> None:
        self._plan = plan
        self._ledger = ledger
        self._options = options
        self._gone: dict[str, GoneRows] = {}

    def watch(
        self,
        step: RunStep,
        migration: Migration,
        book: LinkBook,
        *,
        is_incremental: bool,
        deleted: Mapping[str, Any] | None = None,
    ) -> KeysRead | None:
        """Where the keys of the step's rows are to be noted; None where nobody asks for them.

        ``deleted`` fills with what the source itself names as deleted, by hash of the key: of a
        part of the rows that is all that is gone. None where it never does.

        Raises :exc:`SpecError` when the migration deletes what is gone and this run does not
        read its whole query.
        """
        policy = Removed(migration.removed)
        if policy == Removed.KEEP or self._options.retry_failed or book.is_empty():
            return None
        if deleted is not None and (self._options.limit is not None or is_incremental):
            if self._options.limit is None:
                self._gone[step.migration] = GoneRows(
                    step=step, migration=migration, book=book, policy=policy, named=deleted
                )
            return None
        if self._options.limit is not None:
            why, how = f"--limit {self._options.limit} reads", "without --limit"
        elif is_incremental:
            why, how = "a read from the high-water mark on brings", "with --full"
        else:
            gone = GoneRows(step=step, migration=migration, book=book, policy=policy)
            self._gone[step.migration] = gone
            return gone.keys
        sentence = (
            f'{step.migration}: removed = "{policy}" compares the ledger with the whole query,'
            f" and {why} only a part of it."
        )
        if policy == Removed.DELETE:
            raise SpecError(f'{sentence} Run it {how}, or set removed = "report".')
        self._options.warn(f"{sentence} Rows that are gone were not looked for; run it {how}.")
        return None

    def read_to_end(self, step: RunStep) -> None:
        """The step's query was read to its end, so that what was not read is gone."""
        if step.migration in self._gone:
            self._gone[step.migration].is_read = True

    def settle(self) -> None:
        """Report and delete; after all steps. The deletions are one transaction.

        Raises :exc:`LedgerError` when more is gone than ``removed_limit`` allows, or when the
        database refuses; then nothing is deleted, and the steps that had something to delete are
        recorded as failed.
        """
        parts = [part for part in self._gone.values() if part.is_read]
        for part in parts:
            if part.policy == Removed.REPORT:
                self._report(part)
        deleting = [part for part in parts if part.policy == Removed.DELETE and part.hashes]
        if deleting:
            with self._failing(deleting):
                if not self._options.force_removal:
                    _check_limits(deleting)
                with self._saving(deleting):
                    _Deletion(deleting, self._plan, self._ledger).run()

    def close(self) -> None:
        """Drop what was noted."""
        for part in self._gone.values():
            part.keys.close()
        self._gone.clear()

    def _report(self, part: GoneRows) -> None:
        for pairs in part.objects(to_delete=False):
            with self._saving([part]):
                for link, instance in pairs:
                    if instance is not None:
                        _note(self._ledger, part, link, 'it stays, since removed = "report"')

    @contextmanager
    def _failing(self, parts: Sequence[GoneRows]) -> Iterator[None]:
        """Record what ends the block with the steps, whose rows are done already."""
        try:
            yield
        except BaseException as error:
            stopped = not isinstance(error, Exception)
            why = "stopped at once" if stopped else redact(str(error)) or words(error)
            if not isinstance(error, DataMigrationError):
                why = f"What is gone from the legacy database was not deleted: {why}"
            for part in parts:
                part.step.status = RunStatus.INTERRUPTED if stopped else RunStatus.FAILED
                part.step.error = why
                if self._options.mode == Mode.ATOMIC:
                    self._ledger.keep_failures_only(part.step)
                elif self._options.mode == Mode.COMMIT:
                    self._ledger.save_step(part.step)
            raise

    @contextmanager
    def _saving(self, parts: Sequence[GoneRows]) -> Iterator[None]:
        """Keep the counts and messages of the block together with what it does."""
        before = {part.step: part.step.counts() for part in parts}
        try:
            with transaction.atomic(using=self._ledger.database):
                yield
                if self._options.mode == Mode.COMMIT:
                    for step in before:
                        self._ledger.save_step(step)
        except BaseException:
            for step, counts in before.items():
                self._ledger.keep_failures_only(step, counts)
            raise


def _check_limits(parts: Iterable[GoneRows]) -> None:
    refused = []
    for part in parts:
        gone, total = len(part.hashes), part.book.count()
        if gone * 100 > part.migration.removed_limit * total:
            refused.append(
                f"{part.step.migration}: {gone:,} of {total:,} rows"
                f" ({100 * gone / total:.3g} %) are gone from the legacy database, more than"
                f" removed_limit = {part.migration.removed_limit:g} allows."
            )
    if refused:
        raise LedgerError(
            "\n".join(refused) + "\nNothing was deleted. Check that the queries still return"
            " every row; if they do, delete the objects with --force-removal."
        )


def _note(ledger: StepLedger, part: GoneRows, link: Link, end: str) -> None:
    what = f"the row of {part.model._meta.label} {link.object_pk} is gone from the legacy database"
    ledger.note(
        part.step,
        Message(MessageKind.REMOVED, f"{what}; {end}", key=link.key, key_hash=link.key_hash),
    )


class _Deletion:
    """Deletes the objects of rows that are gone, but for those that have to stay."""

    def __init__(self, parts: Sequence[GoneRows], plan: Plan, ledger: StepLedger) -> None:
        self._parts = parts
        self._judge = Judge(parts, models_of(plan), database=ledger.database)
        self._ledger = ledger
        self._database = ledger.database
        self._group: dict[Any, set[Any]] = defaultdict(set)
        #: Those of the group whose rows in their parents' tables were there before, and stay.
        self._uncovered: dict[Any, set[Any]] = defaultdict(set)
        #: Why an object stays, by its model and primary key.
        self._kept: dict[tuple[Any, Any], Reason] = {}

    def run(self) -> None:
        """Needs a transaction around it."""
        against: list[Reason] = []
        for part in self._parts:
            for pairs in part.objects(to_delete=True):
                there = [Candidate(link, each) for link, each in pairs if each is not None]
                self._group[part.model].update(each.instance.pk for each in there)
                self._uncovered[part.model].update(_uncovered(part, there))
                if part.migration.on_conflict != OnConflict.OVERWRITE:
                    against += self._judge.edited(part, there)
        # Of an edited object that another row has, the row is what is told.
        against += self._judge.shared(self._group)
        self._keep({(reason.model, reason.pk): reason for reason in against})
        while referred_to := self._referred_to():  # what stays may refer to more
            self._keep(referred_to)
        forgotten = [(part.book, self._remember(part)) for part in self._parts]
        try:
            delete(self._group, database=self._database, uncovered=self._uncovered)
        except Error as error:
            raise LedgerError(
                "Nothing was deleted: the target database does not let go of objects whose rows"
                f" are gone from the legacy database: {words(error)}. Mend that, or set"
                ' removed = "report".'
            ) from error
        for book, hashes in forgotten:
            forget_deleted(book, hashes)

    def _keep(self, reasons: dict[tuple[Any, Any], Reason]) -> None:
        self._kept |= reasons
        for model, pk in reasons:
            self._group[model].discard(pk)

    def _referred_to(self) -> dict[tuple[Any, Any], Reason]:
        """The objects of the group that something refers to which stays, maybe to their parent."""
        found: dict[tuple[Any, Any], Reason] = {}
        for reference in self._judge.referred_to(
            self._group, self._parts, uncovered=self._uncovered
        ):
            of, pk = reference.model, reference.pk
            models = [model for model in self._group if issubclass(model, of)]
            meant = [(model, pk) for model in models if pk in self._group[model]]
            # Whoever does not share the primary key of a parent is not told apart: all stay.
            for each in meant or [(model, pk) for model in models for pk in self._group[model]]:
                found.setdefault(each, reference)
        return found

    def _remember(self, part: GoneRows) -> list[str]:
        """Keep an image of what goes and a message of what stays; returns the keys to forget."""
        images = Images(part.book.state, database=self._database, run=part.step.run_id)
        group, staying = self._group[part.model], set()
        for pairs in part.objects(to_delete=True):
            going = [(link, each) for link, each in pairs if each is not None and each.pk in group]
            targets = all_targets([each for _, each in going], database=self._database)
            images.keep_deleted(going, targets)
            part.step.removed += len({each.pk for _, each in going})
            for link, instance in pairs:
                if instance is None:
                    continue
                if reason := self._kept.get((part.model, instance.pk)):
                    _note(self._ledger, part, link, f"it stays: {_in_words(reason)}")
                    staying.add(link.key_hash)
        return [key_hash for key_hash in part.hashes if key_hash not in staying]


def _uncovered(part: GoneRows, candidates: Sequence[Candidate]) -> Iterator[Any]:
    """The primary keys of the objects that have a row in a parent's table from before them."""
    if not part.model._meta.parents:
        return
    book = part.book
    images = Images(book.state, database=book.database).find([x.link.key_hash for x in candidates])
    for link, instance, _ in candidates:
        kept = images.get(link.key_hash, ())
        if any(had_parent(part.model, each) for each in kept if each.object_pk == link.object_pk):
            yield instance.pk


def _in_words(reason: Reason) -> str:
    match reason:
        case Edited(names=names):
            return f"somebody changed it since it was written ({', '.join(sorted(names))})"
        case Shared(link=link):
            return f"{link.state.label} has it for its row {link.key}"
        case _:
            return str(reason)
