"""Rollbacks of patches: what one with ``writes`` changed is put back, and it is pending again.

What a patch did is told by the ledger alone, so one whose class is gone can be rolled back too. Of
one that is there only its former names are asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from django.apps import apps
from django.utils import timezone

from ..exceptions import LedgerError, SpecError
from ..ledger import IMPORTS, PATCHES, Ledger
from ..ledger.patches import PatchBook
from ..ledger.states import forget_state
from ..models import MigrationState, PatchRecord, Run, RunStep
from ..outcomes import Mode, PatchState, RunKind
from ..undo import Part, Rollback, RollbackPlan, Selection, Undo, carry_out, check_run, plan_undo
from .definition import label_of_step, step_label
from .discovery import discover

#: A patch whose record is in one of these states may have changed something.
_RAN = (PatchState.DONE, PatchState.PARTIAL)


class _Undoable(NamedTuple):
    """One patch, what of it is undone, and the records that go with that."""

    label: str
    parts: list[Part]
    records: list[PatchRecord]


def lane_of(selection: Selection, database: str) -> str:
    """The lane in which the selection is undone: that of patches where it names any, or their run.

    Raises :exc:`SpecError` where it names migrations as well.
    """
    patches = [label for label in selection.labels if label_of_step(label) is not None]
    if patches and len(patches) < len(selection.labels):
        raise SpecError(
            "Patches and migrations are not rolled back together: name the ones or the others."
        )
    if selection.labels or selection.run is None:
        return PATCHES if patches else IMPORTS
    runs = Run.objects.using(database).filter(pk=selection.run, lane=PATCHES)
    return PATCHES if runs.exists() else IMPORTS


def plan_rollback(
    selection: Selection, models: Mapping[str, Any], *, database: str, locks: bool = False
) -> RollbackPlan:
    """Find out what undoing patches means, the newest first.

    ``models`` are those of all migrations by label: what these filled as well is not deleted.
    ``locks`` as for :func:`data_migration.undo.plan_rollback`. Raises :exc:`SpecError` for what
    makes no sense and :exc:`LedgerError` for what cannot be undone.
    """
    return _planned(_undoables(selection, database), models, database, locks=locks)


def roll_back(
    selection: Selection,
    models: Mapping[str, Any],
    ledger: Ledger,
    *,
    force: bool = False,
    queued: Run | None = None,
) -> Rollback:
    """Undo the selection: all of it, or nothing; its patches are pending again.

    ``ledger`` is one of the lane of patches. Like :func:`data_migration.undo.roll_back`.
    """
    database = ledger.database
    undone: list[_Undoable] = []

    def planned() -> RollbackPlan:
        undone[:] = _undoables(selection, database)
        return _planned(undone, models, database, locks=True)

    forget = partial(_forget, undone, database)
    return carry_out(planned, selection, ledger, force=force, queued=queued, forget=forget)


def _planned(
    undoables: Sequence[_Undoable], models: Mapping[str, Any], database: str, *, locks: bool
) -> RollbackPlan:
    states = MigrationState.objects.using(database).filter(label__startswith=step_label(""))
    labels = states.filter(label__contains="/").values_list("label", flat=True)
    of_patches = {label: model for label in labels if (model := _model_of(label)) is not None}
    parts = [part for each in undoables for part in each.parts]
    full = [part for part in parts if _is_there_something(part)]
    plan = plan_undo(full, {**models, **of_patches}, database=database, locks=locks, noun="patch")
    # One that found nothing to change is pending again as well.
    plan.undos.extend(Undo(part) for part in parts if part not in full)
    return plan


def _is_there_something(part: Part) -> bool:
    has_images = part.images.rows.filter(**part.of_images).exists()
    return has_images or next(part.links(), None) is not None


def _forget(undone: Sequence[_Undoable], database: str, plan: RollbackPlan) -> None:
    for each in undone:
        PatchBook(database).forget(each.records, steps=[step_label(each.label)])
        for part in each.parts:
            if part.book.is_empty() and not part.images.rows.exists():
                forget_state(part.state, database=database)


def _undoables(selection: Selection, database: str) -> list[_Undoable]:
    if selection.keys is not None:
        raise SpecError(
            "--keys is for migrations. A patch is rolled back as a whole, or what its last run did"
            " with --run."
        )
    found = []
    for label in _labels(selection, database):
        records = list(PatchBook(database).records_of(label))
        if selection.run is not None:
            records = _records_of_run(label, records, selection.run, database)
            if not records:
                continue
        _refuse_what_did_not_run(label, records, database)
        parts = _parts(label, selection.run, database)
        found.append(_Undoable(label, parts, records))
    return sorted(found, key=lambda each: -max(record.pk for record in each.records))


def _labels(selection: Selection, database: str) -> list[str]:
    """The labels of the patches that are selected."""
    named = [
        known
        for each in selection.labels
        if (label := label_of_step(each)) is not None
        for known in _known_as(label, database)
    ]
    if selection.run is None:
        return named
    run = check_run(selection.run, database)
    if run.kind != RunKind.PATCH:
        raise LedgerError(f"Run {run.pk} is no run of patches. See: manage.py show_legacy --runs")
    steps = RunStep.objects.using(database).filter(run=run, started_at__isnull=False)
    labels = [label_of_step(each) for each in steps.values_list("migration", flat=True)]
    return [label for label in labels if label and (not named or label in named)]


def _known_as(label: str, database: str) -> list[str]:
    """The names under which the patch has run: its own, else those that it had before."""
    book = PatchBook(database)
    if book.records_of(label):
        return [label]
    try:
        former = discover()[label].replaces
    except (KeyError, SpecError):  # a rollback needs no code, nor code without faults
        former = ()
    return [name for name in former if book.records_of(name)] or [label]


def _records_of_run(
    label: str, records: Sequence[PatchRecord], number: int, database: str
) -> list[PatchRecord]:
    """The records of what this run did, and nothing else did.

    Raises :exc:`LedgerError` where other runs have a part in it: of a patch that is pending again
    the next run would do their part twice.
    """
    own = [each for each in records if each.run_id == number and each.state in _RAN]
    others = RunStep.objects.using(database).filter(
        migration=step_label(label), run__mode=Mode.COMMIT, run__kind=RunKind.PATCH
    )
    for each in own:
        until = each.finished_at or timezone.now()
        meanwhile = others.filter(finished_at__range=(each.started_at, until))
        if meanwhile.exclude(run=number).exists():
            raise LedgerError(_not_alone(label, number))
    if own:
        return own
    if any(_is_there_something(part) for part in _kept(label, number, database)):
        raise LedgerError(_not_alone(label, number))
    return []


def _not_alone(label: str, number: int) -> str:
    return (
        f"Run {number} is not the only one that worked on {label}, and what it did is not undone"
        " by itself: the others' part would be done twice. Roll the patch back as a whole:"
        f" manage.py rollback_legacy {step_label(label)}"
    )


def _refuse_what_did_not_run(label: str, records: Sequence[PatchRecord], database: str) -> None:
    if not records:
        raise LedgerError(
            f"{label} has not run in database {database!r}, at least under this name, so there is"
            " nothing to roll back. See: manage.py show_patches"
        )
    # One that is faked may have got somewhere before somebody said so.
    if not any(each.state in _RAN or each.processed for each in records):
        last = records[-1]
        why = f": {last.reason}" if last.reason else ""
        raise LedgerError(
            f"{label} did nothing that could be rolled back, it is"
            f" {PatchState(last.state).label}{why}"
        )


def _parts(label: str, run: int | None, database: str) -> list[Part]:
    """What is undone of a patch, by model. Raises :exc:`LedgerError` where nothing was kept."""
    parts = _kept(label, run, database)
    if not parts:
        raise LedgerError(
            f"{label} cannot be rolled back: it ran without writes, so nothing was kept of what it"
            " changed. Put right by another patch what it did, or restore a backup; with writes ="
            " [...], the models that it changes, its next run can be rolled back."
        )
    return parts


def _kept(label: str, run: int | None, database: str) -> list[Part]:
    states = MigrationState.objects.using(database).filter(
        label__startswith=f"{step_label(label)}/"
    )
    found = list(states.order_by("pk"))
    parts = []
    for state in found:
        model = _model_of(state.label)
        if model is None:
            raise LedgerError(
                f"{label} changed objects of {_name_of(state.label)}, and there is no such model"
                " any more. Put it back to roll the patch back."
            )
        shown = step_label(label) if len(found) == 1 else state.label
        parts.append(Part(label=shown, model=model, state=state, database=database, run=run))
    return parts


def _name_of(label: str) -> str:
    return label.partition("/")[2]


def _model_of(label: str) -> Any:
    """The model of which something is kept under a label; None where there is none any more."""
    try:
        return apps.get_model(_name_of(label))._meta.concrete_model
    except (LookupError, ValueError):
        return None
