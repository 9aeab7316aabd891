"""What a rollback would undo or undid, as text and as JSON. Pure: prints nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..undo import Rollback, RollbackPlan
from ..utils.wording import number_of
from .migrations import table

_COUNTS = ("deleted", "restored", "forgotten")


def undo_table(plan: RollbackPlan) -> str:
    """A line for each migration in the order in which they are undone, and their total."""
    lines = [[undo.label, *_texts([undo.counts[name] for name in _COUNTS])] for undo in plan.undos]
    total = ["Total", *_texts([plan.total(name) for name in _COUNTS])]
    return table([plan.noun.capitalize(), *_COUNTS], [*lines, total])


def _texts(numbers: Sequence[int]) -> list[str]:
    return [str(number) for number in numbers]


def question(plan: RollbackPlan) -> str:
    """What a person is asked before it is done."""
    undone = (
        f"Delete {number_of(plan.total('deleted'), 'object')}, restore"
        f" {plan.total('restored')} and forget {number_of(plan.total('forgotten'), 'link')}"
        f" without an object to undo, of {number_of(len(plan.undos), plan.noun)}? [y/N] "
    )
    if not plan.refusals.count:
        return undone
    left = number_of(2, plan.noun).removeprefix("2 ")
    listed = f"Not what the {left} left, and undone by force:\n{plan.refusals.text()}\n"
    return listed + undone


def plan_document(plan: RollbackPlan) -> dict[str, Any]:
    """The JSON document of a plan."""
    return {
        "plan": [{"migration": undo.label, **undo.counts} for undo in plan.undos],
        "refusals": [
            {
                "migration": each.migration,
                "key": each.key,
                "object": each.object,
                "why": each.why,
                "force_helps": not each.is_final,
            }
            for each in plan.refusals.shown
        ],
        "refusal_count": plan.refusals.count,
        "notes": plan.notes,
    }


def rollback_document(done: Rollback) -> dict[str, Any]:
    """The JSON document of a rollback that was done."""
    return {
        "run": done.run.pk,
        "dry_run": False,
        "status": str(done.run.status),
        "migrations": [
            {"migration": undo.label, "status": str(step.status), **undo.counts}
            for undo, step in zip(done.plan.undos, done.steps, strict=True)
        ],
        "notes": done.plan.notes,
    }


def verdict(done: Rollback) -> str:
    """The sentence that ends a rollback."""
    pending = [step for step in done.steps if step.status == "pending"]
    what = number_of(len(done.steps), done.plan.noun)
    if len(pending) == len(done.steps):
        return f"Run {done.run.pk}: rolled back {what}, pending again."
    return f"Run {done.run.pk}: rolled back part of {what}; the rest of their objects stays."
