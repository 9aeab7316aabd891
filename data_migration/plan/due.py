"""From the whole plan to what this run will do, given what was done before."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from django.db import Error
from django.db.models import Model

from ..spec.fingerprint import fingerprint
from .graph import Plan, PlanStep


def due(plan: Plan, finished: Collection[str], *, update: bool = False) -> Plan:
    """The steps that a run would execute, and the skipped ones, which it lists.

    What is finished stays out, unless it is updateable or ``update`` asks for it.
    """
    return Plan(
        tuple(
            step
            for step in plan
            if step.migration.skip
            or step.label not in finished
            or update
            or step.migration.allow_updates
        )
    )


def with_failures(selected: Plan, failed: Mapping[str, Collection[str]], whole: Plan) -> Plan:
    """The steps with failed rows that can be tried again, and the skipped ones.

    ``failed`` are the columns to blame by label. Of ``whole`` those are added that may have failed
    because of targets which the others bring.
    """
    chosen = {step.label for step in selected if step.label in failed}
    for step in whole:
        columns = failed.get(step.label, ())
        if any(chosen.intersection(step.sources.get(column, ())) for column in columns):
            chosen.add(step.label)
    chosen |= {step.label for step in selected if step.migration.skip}
    return Plan(tuple(step for step in whole if step.label in chosen))


def changed(plan: Plan, applied: Mapping[str, str]) -> set[str]:
    """The labels of the migrations whose spec changed since it was applied.

    ``applied`` are the fingerprints of then by label.
    """
    return {
        step.label
        for step in plan
        if step.label in applied and applied[step.label] != fingerprint(step.migration)
    }


def pending(
    selected: Plan,
    whole: Plan,
    finished: Collection[str],
    open_relations: Mapping[str, Collection[str]],
) -> list[PlanStep]:
    """The steps that were never finished, or have open relations, and are not skipped.

    A relation that waits for skipped migrations only is not pending: nobody wants them run.
    """
    skipped = {step.label for step in whole if step.migration.skip}

    def waits(step: PlanStep, column: str) -> bool:
        awaited = {label for label in step.sources.get(column, ()) if label not in finished}
        is_known = column in step.migration.column_description
        return is_known and not (awaited and awaited <= skipped)

    return [
        step
        for step in selected
        if step.label not in skipped
        and (
            step.label not in finished
            or any(waits(step, column) for column in open_relations.get(step.label, ()))
        )
    ]


def left_out(selected: Plan, whole: Plan, finished: Collection[str]) -> list[tuple[str, str]]:
    """(migration, what it needs) where the needed one is neither selected nor finished."""
    labels = {step.label for step in selected}
    skipped = {step.label for step in whole if step.migration.skip}
    return [
        (step.label, needed)
        for step in selected
        if not step.migration.skip
        for needed in step.needs
        if needed not in labels and needed not in finished and needed not in skipped
    ]


def has_rows(model: type[Model], database: str) -> bool:
    """Whether the model's table exists and holds a row."""
    try:
        return model._base_manager.using(database).exists()
    except Error:
        return False
