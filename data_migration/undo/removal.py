"""Rows that were linked before and are absent from their query now: reported, or deleted.

Every key of a pass is noted in a :class:`~data_migration.undo.seen.Seen`. When all steps of a run
are done, the links whose keys were not seen tell what is gone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import Error, transaction
from django.db.models import Model

from ..exceptions import DataMigrationError, LedgerError, SpecError
from ..ledger import Ledger, Link, LinkBook, Message
from ..ledger.forgetting import forget_deleted
from ..ledger.images import Images
from ..models import RunStep
from ..options import RunOptions
from ..outcomes import MessageKind, Mode, OnConflict, Removed, RunStatus
from ..plan.graph import Plan
from ..spec.migration import Migration
from ..utils.chunks import query_chunks
from ..utils.wording import words
from .deletion import delete
from .edits import Edits, SharedLink, Sharing, all_targets
from .references import join_end, references
from .seen import Seen, Watched


class Removal:
    """What is gone from the queries of one run. ``plan`` are all migrations in their order."""

    def __init__(self, plan: Plan, ledger: Ledger, options: RunOptions) -> None:
        self._plan = plan
        self._ledger = ledger
        self._options = options
        self._parts: dict[str, Watched] = {}

    def watch(
        self, step: RunStep, migration: Migration, book: LinkBook, *, is_incremental: bool
    ) -> Seen | None:
        """Where the keys of the step's rows are to be noted; None where nobody asks for them.

        Raises :exc:`SpecError` when the migration deletes what is gone and this run does not
        read its whole query.
        """
        policy = Removed(migration.removed)
        if policy == Removed.KEEP or self._options.retry_failed or book.is_empty():
            return None
        if partly := self._partly(is_incremental):
            self._cannot_judge(step, policy, *partly)
            return None
        part = Watched(step, migration, book, policy)
        self._parts[step.migration] = part
        return part.seen

    def _partly(self, is_incremental: bool) -> tuple[str, str] | None:
        """Why a part of the query is read, and what to do instead."""
        if self._options.limit is not None:
            return f"--limit {self._options.limit} reads", "without --limit"
        if is_incremental:
            return "a read from the high-water mark on brings", "with --full"
        return None

    def _cannot_judge(self, step: RunStep, policy: Removed, why: str, how: str) -> None:
        sentence = (
            f'{step.migration}: removed = "{policy}" compares the ledger with the whole query,'
            f" and {why} only a part of it."
        )
        if policy == Removed.DELETE:
            raise SpecError(f'{sentence} Run it {how}, or set removed = "report".')
        self._options.warn(f"{sentence} Rows that are gone were not looked for; run it {how}.")

    def read_to_end(self, step: RunStep) -> None:
        """The step's query was read to its end, so that what was not seen is gone."""
        if step.migration in self._parts:
            self._parts[step.migration].is_read = True

    def settle(self) -> None:
        """Report and delete; after all steps. The deletions are one transaction.

        Raises :exc:`LedgerError` when more is gone than ``removed_limit`` allows, or when the
        database refuses; then nothing is deleted, and the steps that had something to delete are
        recorded as failed.
        """
        parts = [part for part in self._parts.values() if part.is_read]
        for part in parts:
            if part.policy == Removed.REPORT:
                self._report(part)
        deleting = [part for part in parts if part.policy == Removed.DELETE and part.gone]
        if deleting:
            with self._failing(deleting):
                if not self._options.force_removal:
                    _check_limits(deleting)
                with self._saving(deleting):
                    _Deletion(deleting, self._plan, self._ledger).run()

    def close(self) -> None:
        """Drop what was noted."""
        for part in self._parts.values():
            part.seen.close()
        self._parts.clear()

    def _report(self, part: Watched) -> None:
        for pairs in part.gone_objects():
            with self._saving([part]):
                for link, instance in pairs:
                    if instance is not None:
                        _note(self._ledger, part, link, 'it stays, since removed = "report"')

    @contextmanager
    def _failing(self, parts: Sequence[Watched]) -> Iterator[None]:
        """Record what ends the block with the steps, whose rows are done already."""
        try:
            yield
        except BaseException as error:
            stopped = not isinstance(error, Exception)
            why = "stopped at once" if stopped else str(error) or words(error)
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
    def _saving(self, parts: Sequence[Watched]) -> Iterator[None]:
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


def _check_limits(parts: Iterable[Watched]) -> None:
    refused = []
    for part in parts:
        gone, total = len(part.gone), part.book.count()
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


def _note(ledger: Ledger, part: Watched, link: Link, end: str) -> None:
    what = f"the row of {part.model._meta.label} {link.object_pk} is gone from the legacy database"
    ledger.note(
        part.step,
        Message(MessageKind.REMOVED, f"{what}; {end}", key=link.key, key_hash=link.key_hash),
    )


class _Deletion:
    """Deletes the objects of rows that are gone, but for those that have to stay."""

    def __init__(self, parts: Sequence[Watched], plan: Plan, ledger: Ledger) -> None:
        self._parts = {part.book.state.pk: part for part in parts}
        self._sharing = Sharing(plan, database=ledger.database)
        self._ledger = ledger
        self._database = ledger.database
        self._group: dict[Any, set[Any]] = defaultdict(set)
        #: Why an object stays, by its model and primary key.
        self._kept: dict[tuple[Any, Any], str] = {}

    def run(self) -> None:
        """Needs a transaction around it."""
        for part in self._parts.values():
            self._choose(part)
        self._keep_what_other_rows_have()
        self._keep_what_is_referred_to()
        forgotten = {part.step: self._remember(part) for part in self._parts.values()}
        self._delete()
        for part in self._parts.values():
            forget_deleted(part.book, forgotten[part.step])

    def _choose(self, part: Watched) -> None:
        """Put the objects of one migration into the group, without those that people changed."""
        edits = Edits(part.model, part.book)
        asks = part.migration.on_conflict != OnConflict.OVERWRITE
        for pairs in part.gone_objects():
            there = [(link, instance) for link, instance in pairs if instance is not None]
            self._group[part.model].update(instance.pk for _, instance in there)
            edited = edits.find(there) if asks else {}
            for link, instance in there:
                if names := edited.get(link.key_hash):
                    self._keep_edited(part, link, instance, names)

    def _keep_edited(self, part: Watched, link: Link, instance: Model, names: set[str]) -> None:
        """Keep the object unless other rows, that are gone as well, wrote it as it is."""
        links = list(self._sharing.links_to(part.model, [link.object_pk]))
        if any(map(self._is_there, links)):
            return  # another reason to keep it, which is told first
        own = (part.book.state.pk, link.key_hash)
        others = [each for each in links if (each.state.pk, each.key_hash) != own]
        if names := self._sharing.unexplained(instance, names, others):
            why = f"somebody changed it since it was written ({', '.join(sorted(names))})"
            self._keep({(part.model, instance.pk): why})

    def _is_there(self, link: SharedLink) -> bool:
        """Whether the link's row is not known to be gone."""
        part = self._parts.get(link.state.pk)
        return part is None or link.key_hash in part.seen

    def _keep(self, why: dict[tuple[Any, Any], str]) -> None:
        self._kept |= why
        for model, pk in why:
            self._group[model].discard(pk)

    def _keep_what_other_rows_have(self) -> None:
        for model in self._group:
            to_python, why = model._meta.pk.to_python, {}
            for chunk in query_chunks(self._group[model], self._database):
                for link in self._sharing.links_to(model, map(str, chunk)):
                    if self._is_there(link):
                        text = f"{link.state.label} has it for its row {link.key}"
                        why[model, to_python(link.object_pk)] = text
            self._keep(why)

    def _keep_what_is_referred_to(self) -> None:
        own = {end for part in self._parts.values() for end in _own_ends(part)}
        found = True
        while found:  # what stays may refer to more
            why: dict[tuple[Any, Any], str] = {}
            for each in references(self._group, database=self._database, own=own):
                for model, pk in self._meant(each.model, each.pk):
                    why.setdefault((model, pk), str(each))
            self._keep(why)
            found = bool(why)

    def _meant(self, model: type[Model], pk: Any) -> list[tuple[Any, Any]]:
        """The objects of the group that ``pk`` of ``model``, maybe their parent, stands for."""
        models = [each for each in self._group if issubclass(each, model)]
        meant = [(each, pk) for each in models if pk in self._group[each]]
        # Whoever does not share the primary key of a parent is not told apart: all stay.
        return meant or [(each, other) for each in models for other in self._group[each]]

    def _remember(self, part: Watched) -> list[str]:
        """Keep an image of what goes and a message of what stays; returns the keys to forget."""
        images = Images(part.book.state, database=self._database, run=part.step.run_id)
        group, staying = self._group[part.model], set()
        for pairs in part.gone_objects():
            going = [(link, each) for link, each in pairs if each is not None and each.pk in group]
            targets = all_targets([each for _, each in going], database=self._database)
            images.keep_deleted(going, targets)
            part.step.removed += len({each.pk for _, each in going})
            for link, instance in pairs:
                if instance and (why := self._kept.get((part.model, instance.pk))):
                    _note(self._ledger, part, link, f"it stays: {why}")
                    staying.add(link.key_hash)
        return [key_hash for key_hash in part.gone if key_hash not in staying]

    def _delete(self) -> None:
        try:
            delete(self._group, database=self._database)
        except Error as error:
            raise LedgerError(
                "Nothing was deleted: the target database does not let go of objects whose rows"
                f" are gone from the legacy database: {words(error)}. Mend that, or set"
                ' removed = "report".'
            ) from error


def _own_ends(part: Watched) -> Iterator[tuple[type[Model], str]]:
    """The join rows that the migration wrote, from whichever side."""
    for name in sorted({name for layout in part.book.state.layouts.values() for name in layout}):
        if (end := join_end(part.model, name)) is not None:
            yield end
