"""Patches as text and as JSON. Pure: builds strings, prints nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Any

from ..ledger.run_words import time_of
from ..models import RunStep
from ..outcomes import Mode, PatchState, RunStatus
from ..reports.migrations import table
from ..utils.wording import number_of
from .records import Standing
from .runner import PatchRun

#: The counts of a step, and what they are called of objects.
_COUNTS = {
    "read": "processed",
    "updated": "changed",
    "unchanged": "unchanged",
    "skipped": "skipped",
    "failed": "failed",
}


def state_table(standings: Sequence[Standing], width: int | None = None) -> str:
    """Every patch with its state, how far it is, and its last run; beneath it why.

    Sentences are wrapped to ``width``; without one each stays on a line of its own.
    """
    rows = [[each.label, _word(each), _objects(each), *_last_run(each)] for each in standings]
    head, *lines = table(
        ["Patch", "State", "Objects", "Run", "When", "By"], rows, text_columns=6
    ).splitlines()
    shown = [head]
    for standing, line in zip(standings, lines, strict=True):
        shown.append(line)
        shown += _indented(standing.why, width)
    return "\n".join(shown)


def _word(standing: Standing) -> str:
    return str(PatchState(standing.state).label)


def _objects(standing: Standing) -> str:
    record = standing.record
    if record is None or record.total is None:
        return ""
    if record.processed == record.total:
        return f"{record.total:,}"
    return f"{record.processed:,} of {record.total:,}"


def _last_run(standing: Standing) -> list[str]:
    record = standing.record
    if record is None:
        return ["", "", ""]
    moment = record.finished_at or record.started_at
    run = "" if record.run_id is None else str(record.run_id)
    return [run, time_of(moment) if moment else "", record.owner]


def _indented(text: str, width: int | None) -> list[str]:
    if not text or width is None:
        return [f"  {text}"] if text else []
    return wrap(text, max(width, 40), initial_indent="  ", subsequent_indent="  ")


def outputs(standings: Iterable[Standing]) -> Iterator[str]:
    """What the patches logged, each below its name."""
    for standing in standings:
        if standing.record is not None and standing.record.output:
            yield f"{standing.label}:"
            yield from (f"  {line}" for line in standing.record.output.splitlines())


def summary(standings: Collection[Standing]) -> str:
    """How many patches are in which state, in one line."""
    found = [
        f"{number} {state.label}"
        for state in PatchState
        if (number := sum(each.state == state for each in standings))
    ]
    patches = "1 patch" if len(standings) == 1 else f"{len(standings)} patches"
    return f"{patches}: {', '.join(found)}."


def state_document(standings: Iterable[Standing]) -> dict[str, Any]:
    """The same as JSON."""
    return {"patches": [_document(each) for each in standings]}


def _document(standing: Standing) -> dict[str, Any]:
    definition, record = standing.definition, standing.record
    moments = {
        name: value.isoformat() if record and (value := getattr(record, name)) else None
        for name in ("started_at", "finished_at")
    }
    return {
        "patch": standing.label,
        "title": definition.title,
        "revision": definition.revision,
        "state": standing.state.value,
        "why": standing.why,
        "place": definition.place,
        "processed": record.processed if record else 0,
        "total": record.total if record else None,
        "failed": standing.failed,
        "run": record.run_id if record else None,
        "owner": record.owner if record else "",
        "host": record.host if record else "",
        "output": record.output if record else "",
        **moments,
    }


def plan_table(
    standings: Sequence[Standing],
    due: Collection[str],
    phases: Mapping[str, str],
    width: int | None,
) -> str:
    """Every chosen patch in order, with its phase and whether it would run now."""
    rows = [
        [
            str(number),
            each.label,
            _word(each),
            phases[each.label],
            "yes" if each.label in due else "no",
            ", ".join(each.definition.depends_on) or "-",
        ]
        for number, each in enumerate(standings, start=1)
    ]
    head, *lines = table(
        ["#", "Patch", "State", "Phase", "Runs", "After"], rows, text_columns=6
    ).splitlines()
    shown = [head]
    for standing, line in zip(standings, lines, strict=True):
        shown.append(line)
        shown += _indented(standing.why, width)
    return "\n".join(shown)


def plan_document(
    standings: Sequence[Standing], due: Collection[str], phases: Mapping[str, str]
) -> dict[str, Any]:
    """The same as JSON."""
    return {
        "patches": [
            {
                "patch": each.label,
                "state": each.state.value,
                "why": each.why,
                "phase": phases[each.label],
                "runs": each.label in due,
                "after": list(each.definition.depends_on),
            }
            for each in standings
        ]
    }


def closing_table(steps: Sequence[RunStep]) -> str:
    """The table that ends a run: a line for each patch."""
    rows = [
        [
            step.label,
            *(_counts(step) if step.has_key or step.read else ["-"] * len(_COUNTS)),
            f"{step.seconds:.1f}s",
        ]
        for step in steps
    ]
    return table(["Patch", *_COUNTS.values(), "time"], rows)


def _counts(step: RunStep) -> list[str]:
    return [str(getattr(step, name)) for name in _COUNTS]


def afterwords(done: PatchRun) -> list[str]:
    """What the closing table does not tell, one sentence each."""
    said = []
    for step in done.steps:
        label = step.label
        if step.passed:
            said.append(
                f"{label}: {number_of(step.passed, 'object')} had been done by earlier runs."
            )
        if done.states.get(label) == PatchState.NOT_NEEDED:
            said.append(f"{label} is not needed here: its is_needed() said so.")
        if step.status == RunStatus.SKIPPED and not step.error:
            said.append(f"{label} was skipped: another run has just done it.")
        if step.split_reason:
            said.append(f"{label} was {step.split_reason}.")
    for label, text in done.outputs.items():
        said += [f"{label}: {line}" for line in text.splitlines()]
    return said


def verdict(done: PatchRun) -> str:
    """The last line: what is in the database now."""
    if done.run is None or not done.steps:
        return "Nothing to do."
    if done.run.mode == Mode.REHEARSAL:
        return f"Rehearsal (run {done.run.pk}): nothing was written. Write with --commit."
    finished = [label for label, state in done.states.items() if state in _FINISHED]
    if len(finished) == len([step for step in done.steps if step.status != RunStatus.SKIPPED]):
        return f"Run {done.run.pk}: committed."
    partly = [
        f"a part of {label}"
        for label, state in done.states.items()
        if state == PatchState.PARTIAL and _has_written(done, label)
    ]
    if not finished and not partly:
        return f"Run {done.run.pk}: nothing was written."
    return f"Run {done.run.pk}: committed {', '.join([*finished, *partly])}."


_FINISHED = (PatchState.DONE, PatchState.NOT_NEEDED)


def _has_written(done: PatchRun, label: str) -> bool:
    return any(step.updated or step.unchanged for step in done.steps if step.label == label)


def run_document(done: PatchRun) -> dict[str, Any]:
    """The JSON document of one run of patches."""
    return {
        "run": done.run.pk if done.run else None,
        "dry_run": bool(done.run and done.run.is_dry),
        "status": str(done.run.current_status) if done.run else "done",
        "error": done.run.error if done.run else "",
        "patches": [_step_document(step, done) for step in done.steps],
    }


def _step_document(step: RunStep, done: PatchRun) -> dict[str, Any]:
    label = step.label
    state = done.states.get(label, PatchState.PENDING)
    return {
        "patch": label,
        "state": state.value,
        "status": str(step.current_status),
        **{name: getattr(step, name) for name in _COUNTS},
        "passed": step.passed,
        "seconds": round(step.seconds, 3),
        "error": step.error,
        "output": done.outputs.get(label, ""),
    }
