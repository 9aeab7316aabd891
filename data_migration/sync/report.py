"""What is told of runs of syncs, as text and as JSON. Pure: builds strings, prints nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..outcomes import Mode
from ..reports.migrations import closing_table, run_document
from .push import PushDiff
from .runner import AccountRun


def text(done: AccountRun) -> Iterator[str]:
    """The closing table, what a rehearsal would send, and how the run ended."""
    yield closing_table(done.steps)
    yield from map(diff, done.diffs)
    yield verdict(done)


def diff(change: PushDiff) -> str:
    """One row over there, field by field."""
    lines = [f"{change.label}: {change.action.label} {change.key or 'for ' + change.object_pk}"]
    lines += [
        f"  {name}: {after!r}" if before is None else f"  {name}: {before!r} -> {after!r}"
        for name, (before, after) in change.changes.items()
    ]
    return "\n".join(lines)


def verdict(done: AccountRun) -> str:
    run = done.run
    if run.mode == Mode.REHEARSAL:
        return (
            f"Rehearsal (run {run.pk}): nothing was written here, and nothing was sent. Write and"
            " send with --commit."
        )
    how = "committed" if run.status == "done" else f"ended: {run.get_status_display()}"
    return f"Run {run.pk}: {how}."


def document(done: AccountRun) -> dict[str, Any]:
    return {"account": done.account, **run_document(done.run, done.steps)}
