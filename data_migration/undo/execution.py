"""A rollback plan -> done, in one transaction, and recorded as a run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from django.db import Error, connections, transaction
from django.db.models import Model, ProtectedError, RestrictedError

from .. import signals
from ..exceptions import LedgerError
from ..ledger import Ledger
from ..ledger.forgetting import forget_undone
from ..ledger.images import Image, former_values, merged
from ..models import Run, RunStep
from ..outcomes import Mode, RunKind, RunStatus
from ..plan.graph import Plan
from ..utils.chunks import query_chunks
from ..utils.databases import database_of
from ..utils.wording import words
from .deletion import delete
from .rollback_plan import plan_rollback
from .selection import Selection
from .undos import RollbackPlan, Undo, run_of


@dataclass(frozen=True, slots=True)
class Rollback:
    """A rollback that was done: its run, what it undid, and the step of each migration."""

    run: Run
    plan: RollbackPlan
    steps: list[RunStep]


def roll_back(
    selection: Selection,
    plan: Plan,
    ledger: Ledger,
    *,
    force: bool = False,
    queued: Run | None = None,
) -> Rollback:
    """Undo the selection: all of it, or nothing. ``run_started`` and ``run_finished`` are sent.

    ``queued`` is the run that was recorded when it was asked for, a new one without. Raises
    :exc:`LedgerError` when something stands against it that ``force`` does not overrule, or when
    the database refuses.
    """
    options = {**selection.recorded(), "force": force}
    run = ledger.start_run(
        (), kind=RunKind.ROLLBACK, mode=Mode.ROLLBACK, options=options, queued=queued
    )
    # Steps are recorded with what they did, so a refused or killed rollback has none.
    with (
        ledger.lock.beating(run, dict),
        _announced(run, ledger),
        _in_words(),
        transaction.atomic(using=ledger.database),
    ):
        ledger.lock.check()
        # Planned here, since people may have worked on while the question was asked.
        undoing = plan_rollback(selection, plan, ledger)
        refuse(undoing, force=force)
        steps = _undo(undoing, run, ledger)
    return Rollback(run, undoing, steps)


@contextmanager
def _announced(run: Run, ledger: Ledger) -> Iterator[None]:
    """Tell that the run begins, record how it ended, and tell that."""
    try:
        signals.run_started.send(Run, run=run)
        yield
    except BaseException as error:
        stopped = not isinstance(error, Exception)
        status = RunStatus.INTERRUPTED if stopped else RunStatus.FAILED
        ledger.finish_run(run, status, str(error) or words(error))
        signals.run_finished.send(Run, run=run)
        raise
    ledger.finish_run(run, RunStatus.DONE)
    signals.run_finished.send(Run, run=run)


@contextmanager
def _in_words() -> Iterator[None]:
    """Tell of the database's errors what they mean for the rollback."""
    try:
        yield
    except Error as error:
        raise LedgerError(
            "Nothing was rolled back: the target database says:"
            f" {type(error).__name__}: {words(error)}. When that is mended, the same command does"
            " it."
        ) from error


def refuse(plan: RollbackPlan, *, force: bool) -> None:
    """Raise :exc:`LedgerError` when something stands against the plan."""
    if not plan.refusals.stops(force=force):
        return
    count = plan.refusals.count
    what = "1 reason speaks" if count == 1 else f"{count} reasons speak"
    advice = "" if plan.refusals.has_final else "\nUndo it nevertheless with --force."
    raise LedgerError(
        f"Nothing was rolled back: {what} against it.\n{plan.refusals.text()}{advice}"
    )


def _undo(plan: RollbackPlan, run: Run, ledger: Ledger) -> list[RunStep]:
    objects = _Objects(plan, ledger.database)
    with objects.unchecked():
        # Relations first, so that no deletion takes along what only the run made refer to it;
        # the rest after it, since it may need what is unique.
        objects.restore(relations=True)
        _delete(plan, ledger.database)
        objects.recreate()
        objects.restore(relations=False)
    objects.restore_m2m()
    for undo in plan.undos:
        forget_undone(undo.part.book, run=undo.part.run, hashes=undo.part.hashes)
    # At the end, since on MySQL a step locks its run, and the heartbeat has to wait for it.
    return [
        _record(undo, run, position, ledger) for position, undo in enumerate(plan.undos, start=1)
    ]


def _delete(plan: RollbackPlan, database: str) -> None:
    try:
        delete(plan.group, database=database)
    except (ProtectedError, RestrictedError) as error:
        kept = getattr(error, "protected_objects", None) or error.restricted_objects  # type: ignore[union-attr]
        named = sorted(f"{each._meta.label} {each.pk}" for each in kept)
        more = f" and {len(named) - 5} more" if len(named) > 5 else ""
        raise LedgerError(
            f"Nothing was rolled back: {', '.join(named[:5])}{more} protect what would be deleted"
            " (on_delete of their relation). Delete them first, or let them refer to others."
        ) from error


def _record(undo: Undo, run: Run, position: int, ledger: Ledger) -> RunStep:
    """The step of one migration, whose links are forgotten by now."""
    status = RunStatus.DONE if undo.part.state.is_read else RunStatus.PARTIAL
    if undo.part.book.is_empty():
        status = RunStatus.PENDING
    counts = {"removed": len(undo.deleted), "updated": undo.counts["restored"]}
    return ledger.add_step(run, undo.label, position=position, status=status, counts=counts)


class _Objects:
    """Puts objects back; those of several migrations into one model together."""

    def __init__(self, plan: RollbackPlan, database: str) -> None:
        self._database = database
        self._connection = connections[database]
        self._undos: dict[Any, list[Undo]] = defaultdict(list)
        # In the order of the plan: what is created again may refer to what comes before it.
        for undo in reversed(plan.undos):
            self._undos[undo.part.model].append(undo)
        self._recreates = any(undo.recreated for undo in plan.undos)

    def unchecked(self) -> AbstractContextManager[Any]:
        """Let objects that come back refer to each other, where foreign keys are checked at once.

        The others check them when the transaction ends.
        """
        if not database_of(self._database).checks_keys_at_once or not self._recreates:
            return nullcontext()
        return _CheckedLater(self._connection, list(self._undos))

    def restore(self, *, relations: bool) -> None:
        """Give changed objects their former values: those of foreign keys, or all others."""
        for model, image, pk in self._images_of("restored"):
            values = {
                name: value
                for name, value in former_values(model, image.values).items()
                if bool(model._meta.get_field(name).is_relation) == relations
            }
            if values:
                rows = model._base_manager.using(self._database)
                rows.filter(pk=pk).update(**values)

    def recreate(self) -> None:
        """Create again what a run deleted, as it was, with its primary key."""
        for model, image, _ in self._images_of("recreated"):
            _insert(model, former_values(model, image.values), self._database)

    def restore_m2m(self) -> None:
        """Give objects their former many-to-many targets, as far as these are there."""
        for kind in ("restored", "recreated"):
            for model, image, pk in self._images_of(kind):
                for name, texts in sorted(image.m2m.items()):
                    instance = model._base_manager.using(self._database).get(pk=pk)
                    _set_targets(getattr(instance, name), texts, self._database)

    def _images_of(self, kind: str) -> Iterator[tuple[type[Model], Image, Any]]:
        """Objects with what they were; what was changed last comes first."""
        for model, undos in self._undos.items():
            pks = {pk for undo in undos for pk in getattr(undo, kind)}
            for chunk in query_chunks(pks, self._database):
                images = self._merged(undos, kind, set(chunk))
                for pk in sorted(images, key=lambda pk: -images[pk].number):
                    yield model, images[pk], pk

    def _merged(self, undos: Iterable[Undo], kind: str, pks: set[Any]) -> Mapping[Any, Image]:
        found: dict[Any, list[Image]] = defaultdict(list)
        for undo in undos:
            part, objects = undo.part, getattr(undo, kind)
            hashes = [
                each if isinstance(each, str) else each.key_hash
                for pk, each in objects.items()
                if pk in pks
            ]
            for images in part.images.find(hashes, **run_of(part)).values():
                for image in images:
                    pk = part.model._meta.pk.to_python(image.object_pk)
                    if pk in pks:
                        found[pk].append(image)
        return {
            pk: merged(sorted(images, key=lambda image: image.number))
            for pk, images in found.items()
        }


class _CheckedLater:
    """Foreign keys are not checked within, but before it ends."""

    def __init__(self, connection: Any, models: Iterable[Any]) -> None:
        self._connection = connection
        self._tables = sorted(
            {each._meta.db_table for model in models for each in (model, *model._meta.all_parents)}
        )

    def __enter__(self) -> None:
        self._connection.disable_constraint_checking()

    def __exit__(self, kind: Any, *rest: Any) -> None:
        self._connection.enable_constraint_checking()
        if kind is None:
            self._connection.check_constraints(table_names=self._tables)


def _insert(model: Any, values: dict[str, Any], database: str) -> None:
    """Insert into the model's tables as ``loaddata`` does: values as they are, signals raw."""
    for each in (*model._meta.all_parents, model):
        names = {field.attname for field in each._meta.local_concrete_fields}
        row = each(**{name: value for name, value in values.items() if name in names})
        row.save_base(raw=True, using=database, force_insert=True)


def _set_targets(manager: Any, texts: Iterable[str], database: str) -> None:
    pk = manager.model._meta.pk
    wanted = [pk.to_python(text) for text in texts]
    rows = manager.model._base_manager.using(database)
    manager.set(rows.filter(pk__in=wanted))
