"""What the ledger says, as text and as JSON. Pure: builds strings, prints nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from django.utils import timezone

from ..ledger.patterns import FOLLOWS
from ..models import Run, RunStep
from ..outcomes import RunStatus
from ..plan.graph import Plan, PlanStep
from ..step.compilation import CompiledStep
from ..utils.wording import number_of

_COUNTS = ("read", "created", "updated", "unchanged", "skipped", "failed", "warnings")


def closing_table(steps: Sequence[RunStep]) -> str:
    """The table that ends every run: a line for each migration and their total."""
    lines = [[step.migration, *_counts(step), f"{step.seconds:.1f}s"] for step in steps]
    totals = [str(sum(getattr(step, name) for step in steps)) for name in _COUNTS]
    total = ["Total", *totals, f"{sum(step.seconds for step in steps):.1f}s"]
    return table(["Migration", *_COUNTS, "time"], [*lines, total])


def _counts(step: RunStep) -> list[str]:
    return [str(getattr(step, name)) for name in _COUNTS]


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, text_columns: int = 1) -> str:
    """Rows in columns: the first ``text_columns`` to the left, the others to the right."""
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < text_columns else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def afterwords(steps: Sequence[RunStep], limit: int | None) -> list[str]:
    """What the closing table does not tell of a run, one sentence each."""
    passed = [
        f"{step.migration}: {number_of(step.passed, 'row')} had been done by earlier runs."
        for step in steps
        if step.passed
    ]
    removed = [
        f"{step.migration}: deleted {step.removed}, gone from the legacy database."
        for step in steps
        if step.removed
    ]
    unread = _unfinished_reads(steps, limit)
    return [*passed, *removed, *unread, *writers(steps), *splits(steps)]


def _unfinished_reads(steps: Iterable[RunStep], limit: int | None) -> list[str]:
    """Where ``--limit`` left rows unread, and how to read them."""
    cut = [
        step
        for step in steps
        if limit is not None
        and step.read + step.passed >= limit
        and step.status == RunStatus.PARTIAL
    ]
    ways = {
        "The same command without --limit goes on there.": [s for s in cut if s.has_key],
        "Without a legacy key they can be committed only as a whole, without --limit.": [
            s for s in cut if not s.has_key
        ],
    }
    return [
        f"Only the first {limit} rows of each query were read (--limit):"
        f" {', '.join(step.migration for step in found)}. {way}"
        for way, found in ways.items()
        if found
    ]


def consequences(
    steps: Iterable[RunStep], found: Mapping[str, Mapping[str, int]]
) -> Iterator[str]:
    """One sentence for each migration with failures that are mended with their targets.

    ``found`` as of :meth:`Ledger.consequences() <data_migration.ledger.Ledger>`.
    """
    for step in steps:
        for start, number in found.get(step.migration, {}).items():
            rows = f"{step.migration}: {number} of {step.failed} failed rows"
            one = number == 1
            if start == FOLLOWS:
                yield (
                    f"{rows} only {'follows' if one else 'follow'} from the failure of"
                    f" {'its target' if one else 'their targets'}, and"
                    f" {'is' if one else 'are'} tried again with"
                    f" {'it' if one else 'them'}."
                )
            else:
                yield (
                    f"{rows} only {'misses' if one else 'miss'}"
                    f" {'a target' if one else 'targets'} that --limit left unread."
                )


def filled_relations(found: Mapping[str, int]) -> Iterator[str]:
    """One sentence for each migration with relations that a run has filled, by its label."""
    for label, number in found.items():
        relations, targets = (
            ("relation", "its target") if number == 1 else ("relations", "their targets")
        )
        yield f"{label}: {number} {relations} of earlier runs got {targets}."


def open_relations(found: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """One sentence for each migration with relations that are still to be filled."""
    for label, columns in found.items():
        number = sum(columns.values())
        wait = (
            "relation waits for its target" if number == 1 else "relations wait for their targets"
        )
        each = ", ".join(f"{column}: {rows}" for column, rows in columns.items())
        yield f"{label}: {number} {wait} ({each})."


def unfinished(steps: Iterable[RunStep]) -> Iterator[str]:
    """One sentence for each migration whose last run ended early."""
    for step in steps:
        ended = "failed" if step.current_status == RunStatus.FAILED else "was interrupted"
        yield f"{step.migration}: its last run {ended}. The same command goes on. {step.error}"


def splits(steps: Iterable[RunStep]) -> list[str]:
    """One sentence for each migration that several processes were asked to share."""
    return [f"{step.migration}: {step.split_reason}." for step in steps if step.split_reason]


def writers(steps: Iterable[RunStep]) -> list[str]:
    """One sentence for each migration whose rows were not written in bulk."""
    return [
        f"{step.migration}: written with {step.writer}, because {step.writer_reason}."
        for step in steps
        if step.writer == "save"
    ]


def run_document(
    run: Run,
    steps: Iterable[RunStep],
    follow: Mapping[str, Mapping[str, int]] = MappingProxyType({}),
) -> dict[str, Any]:
    """The JSON document of one run; ``follow`` as ``found`` of :func:`consequences`."""
    return {
        "run": run.pk,
        "dry_run": run.is_dry,
        "status": str(run.current_status),
        "error": run.error,
        "migrations": [
            {
                **step_document(step),
                **_where_any(consequences=sum(follow.get(step.migration, {}).values())),
            }
            for step in steps
        ],
    }


def step_document(step: RunStep) -> dict[str, Any]:
    """The JSON object of one migration in a run."""
    return {
        "migration": step.migration,
        "status": str(step.current_status),
        **_counts_of_rows(step),
        "seconds": round(step.seconds, 3),
        "writer": str(step.writer),
        "writer_reason": step.writer_reason,
        "split_into": step.split_into,
        "split_reason": step.split_reason,
        "error": step.error,
    }


def plan_table(
    plan: Plan,
    states: dict[str, RunStep],
    todo: Collection[PlanStep],
    waiting: Collection[str] = (),
) -> str:
    """The migrations in order: where each stands, whether it would run, what it waits for.

    ``waiting`` as for :func:`state_of`.
    """
    rows = [
        [
            str(number),
            step.label,
            step.migration.model._meta.label,
            state_of(step.label, plan, states, waiting),
            "yes" if step in todo else "no",
            ", ".join(step.needs) or "-",
        ]
        for number, step in enumerate(plan, start=1)
    ]
    return table(["#", "Migration", "Model", "State", "Runs", "Needs"], rows, text_columns=6)


def plan_document(
    plan: Plan,
    states: dict[str, RunStep],
    todo: Collection[PlanStep],
    compiled: Iterable[CompiledStep] = (),
    waiting: Collection[str] = (),
) -> dict[str, Any]:
    """The JSON document of a plan, with how each of the ``compiled`` steps would be run."""
    ways = {step.label: {"compiled": step.document()} for step in compiled}
    return {
        "plan": [
            {
                "migration": step.label,
                "model": step.migration.model._meta.label,
                "state": state_of(step.label, plan, states, waiting),
                "runs": step in todo,
                "needs": list(step.needs),
                **ways.get(step.label, {}),
            }
            for step in plan
        ]
    }


def state_of(
    label: str, plan: Plan, states: dict[str, RunStep], waiting: Collection[str] = ()
) -> str:
    """Where a migration stands, in one word; ``waiting`` are those with open relations."""
    if any(step.label == label and step.migration.skip for step in plan):
        return RunStatus.SKIPPED.value
    state = str(states[label].current_status) if label in states else RunStatus.PENDING.value
    is_done = state == RunStatus.DONE
    return RunStatus.PARTIAL.value if is_done and label in waiting else state


def state_table(
    plan: Plan,
    states: dict[str, RunStep],
    changed: Collection[str] = (),
    waiting: Mapping[str, Mapping[str, int]] = MappingProxyType({}),
) -> str:
    """The state of every migration after its last committed run, and why some failed.

    ``changed`` are the migrations whose spec is no longer the one that was applied, ``waiting``
    the open relations by label and column.
    """
    rows = []
    for plan_step in plan:
        step = states.get(plan_step.label)
        counts = _counts(step) if step and not step.run.is_rollback else ["-"] * len(_COUNTS)
        last = f"run {step.run_id}, {moment(step.started_at)}" if step else "never"
        state = state_of(plan_step.label, plan, states, waiting)
        rows.append([plan_step.label, state, *counts, last])
    lines = [table(["Migration", "State", *_COUNTS, "Last run"], rows, text_columns=2)]
    labels = [plan_step.label for plan_step in plan]
    known = [states[label] for label in labels if label in states]
    lines += [step.error for step in known if step.error]
    lines += [f"{step.migration}: {_undone(step)}" for step in known if step.run.is_rollback]
    lines += [
        f"{label}: the spec changed since it was applied. Rows that were imported stay as they"
        f" are until migrate_legacy {label} --update --commit compares them."
        for label in labels
        if label in changed
    ]
    lines += open_relations({label: waiting[label] for label in labels if label in waiting})
    return "\n".join(lines)


def _undone(step: RunStep) -> str:
    """What a rollback did to a migration; its step keeps the restored among the updated."""
    done = f"{number_of(step.removed, 'object')} deleted, {step.updated} restored"
    return f"rolled back by run {step.run_id}: {done}."


def _counts_of_rows(step: RunStep) -> dict[str, int]:
    """The counts for JSON: a rollback reads no row, so none of them was updated by it."""
    counts = step.counts()
    return {**counts, "updated": 0, "restored": step.updated} if step.run.is_rollback else counts


def state_document(
    plan: Plan,
    states: dict[str, RunStep],
    changed: Collection[str] = (),
    waiting: Mapping[str, Mapping[str, int]] = MappingProxyType({}),
) -> dict[str, Any]:
    """The JSON document of the states; ``changed`` and ``waiting`` as for :func:`state_table`."""
    migrations = []
    for plan_step in plan:
        step = states.get(plan_step.label)
        migrations.append(
            {
                "migration": plan_step.label,
                "state": state_of(plan_step.label, plan, states, waiting),
                "last_run": step.run_id if step else None,
                "error": step.error if step else "",
                "spec_changed": plan_step.label in changed,
                **_where_any(open_relations=waiting.get(plan_step.label, {})),
                **(_state_counts(step) if step else {}),
            }
        )
    return {"migrations": migrations}


def _state_counts(step: RunStep) -> dict[str, int]:
    counts = _counts_of_rows(step)
    undone = {"removed", "restored"} if step.run.is_rollback else set()
    return {name: count for name, count in counts.items() if name in {*_COUNTS, *undone}}


def _where_any(**counts: int | Mapping[str, int]) -> dict[str, Any]:
    """Counts for JSON, left out where there is nothing to count."""
    return {name: each for name, each in counts.items() if each}


def runs_table(runs: Iterable[Run]) -> str:
    """Every run, newest first, and what ended some of them."""
    runs = list(runs)
    rows = []
    for run in runs:
        steps = list(run.steps.all())
        sums = [str(sum(getattr(step, name) for step in steps)) for name in _COUNTS]
        if run.is_rollback:
            sums = ["-"] * len(_COUNTS)
        rows.append(
            [str(run.pk), run.mode, str(run.current_status), moment(run.started_at), *sums]
        )
    lines = [table(["Run", "Mode", "Status", "Started", *_COUNTS], rows, text_columns=4)]
    lines += [f"Run {run.pk}: {run.error}" for run in runs if run.error]
    lines += [
        f"{step.migration}: {_undone(step)}"
        for run in runs
        if run.is_rollback
        for step in run.steps.all()
    ]
    return "\n".join(lines)


def runs_document(runs: Iterable[Run]) -> dict[str, Any]:
    """The JSON document of the runs."""
    return {
        "runs": [
            {
                **run_document(run, run.steps.all()),
                "mode": run.mode,
                "started_at": run.started_at.isoformat() if run.started_at else None,
                "finished_at": run.finished_at.isoformat() if run.finished_at else None,
            }
            for run in runs
        ]
    }


def moment(at: Any) -> str:
    """A moment in local time, as every table has it."""
    return timezone.localtime(at).strftime("%Y-%m-%d %H:%M") if at else "-"
