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


def with_failures(plan: Plan, failed: Collection[str]) -> Plan:
    """The steps with failed rows that can be tried again, and the skipped ones."""
    return Plan(tuple(s for s in plan if s.migration.skip or s.label in failed))


def with_consequences(tried: Plan, whole: Plan, failed: Mapping[str, Collection[str]]) -> Plan:
    """The steps that are tried again, and those of ``whole`` that may have failed because of them.

    ``failed`` are the columns that failed rows are to be blamed on, by label.
    """
    labels = {step.label for step in tried}
    bring = {step.label for step in tried if not step.migration.skip}
    for step in whole:
        columns = failed.get(step.label, ())
        if any(bring.intersection(step.sources.get(column, ())) for column in columns):
            bring.add(step.label)
    return Plan(tuple(step for step in whole if step.label in labels | bring))


def changed(plan: Plan, applied: Mapping[str, str]) -> set[str]:
    """The labels of the migrations whose spec changed since it was applied.

    ``applied`` are the fingerprints of then by label.
    """
    return {
        step.label
        for step in plan
        if step.label in applied and applied[step.label] != fingerprint(step.migration)
    }


def pending(plan: Plan, finished: Collection[str]) -> list[PlanStep]:
    """The steps that were never finished and are not skipped."""
    return [step for step in plan if step.label not in finished and not step.migration.skip]


def waiting(
    plan: Plan, finished: Collection[str], open_relations: Mapping[str, Collection[str]]
) -> list[str]:
    """The labels of the steps with open relations, given by column.

    Not where they wait for skipped migrations only: nobody wants those run.
    """
    skipped = {step.label for step in plan if step.migration.skip}

    def waits(step: PlanStep, column: str) -> bool:
        awaited = {label for label in step.sources.get(column, ()) if label not in finished}
        is_known = column in step.migration.column_description
        return is_known and not (awaited and awaited <= skipped)

    return [
        step.label
        for step in plan
        if any(waits(step, column) for column in open_relations.get(step.label, ()))
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
