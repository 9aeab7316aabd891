"""Patches as text and as JSON. Pure: builds strings, prints nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Any

from ..ledger.run_words import time_of
from ..models import Run, RunStep
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


def state_table(
    standings: Sequence[Standing],
    seconds: Mapping[str, float],
    *,
    width: int | None = None,
    is_long: bool = False,
) -> str:
    """Every patch with its state, how far it is, and its last run; beneath it why.

    ``seconds`` is how long the last run of a patch took, by its label. Nothing is wider than
    ``width``; without one each sentence stays on a line of its own. With ``is_long`` title and
    place of each patch are told, too.
    """
    rows = [
        [each.label, _word(each), _objects(each), *_last_run(each, seconds)] for each in standings
    ]
    beneath = [[*(_about(each) if is_long else ()), each.why] for each in standings]
    head = ["Patch", "State", "Objects", "Run", "When", "Took", "By"]
    return "\n".join(_fitted(head, rows, beneath, width, text_columns=7))


def _fitted(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    beneath: Sequence[Iterable[str]],
    width: int | None,
    *,
    text_columns: int,
) -> Iterator[str]:
    """A table, and beneath each row its sentences.

    Where it would be wider than ``width``, it goes without the columns that tell nothing; where
    it still is, each row becomes a record.
    """
    telling = [
        column
        for column in range(len(head))
        if any(row[column] not in _NOTHING for row in rows) or column == 0
    ]
    short = [[row[column] for column in telling] for row in (head, *rows)]
    tables = [
        table(head, rows, text_columns=text_columns).splitlines(),
        table(
            short[0], short[1:], text_columns=sum(column < text_columns for column in telling)
        ).splitlines(),
    ]
    for lines in tables:
        if width is None or max(map(len, lines)) <= width:
            yield lines[0]
            for line, sentences in zip(lines[1:], beneath, strict=True):
                yield line
                for sentence in sentences:
                    yield from _indented(sentence, width)
            return
    for row, sentences in zip(short[1:], beneath, strict=True):
        cells = [
            f"{name.lower()} {cell}"
            for name, cell in zip(short[0][1:], row[1:], strict=True)
            if cell not in _NOTHING
        ]
        yield from wrap(
            f"{row[0]}: {', '.join(cells)}", max(width or 0, 40), subsequent_indent="  "
        )
        for sentence in sentences:
            yield from _indented(sentence, width)


#: Cells that tell nothing.
_NOTHING = ("", "-", "0")


def _word(standing: Standing) -> str:
    return str(standing.state.label)


def _objects(standing: Standing) -> str:
    record = standing.record
    if record is None or record.total is None:
        return ""
    if record.processed == record.total:
        return f"{record.total:,}"
    return f"{record.processed:,} of {record.total:,}"


def _last_run(standing: Standing, seconds: Mapping[str, float]) -> list[str]:
    record = standing.record
    if record is None:
        return ["", "", "", ""]
    moment = record.finished_at or record.started_at
    run = "" if record.run_id is None else str(record.run_id)
    took = f"{seconds[standing.label]:.1f}s" if standing.label in seconds else ""
    return [run, time_of(moment) if moment else "", took, record.owner]


def _about(standing: Standing) -> list[str]:
    """What the patch is for, and where it is written."""
    return [standing.definition.title, standing.definition.place]


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


def state_document(standings: Iterable[Standing], seconds: Mapping[str, float]) -> dict[str, Any]:
    """The same as JSON."""
    return {"patches": [_document(each, seconds) for each in standings]}


def _document(standing: Standing, seconds: Mapping[str, float]) -> dict[str, Any]:
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
        "seconds": round(seconds[standing.label], 3) if standing.label in seconds else None,
        **moments,
    }


def plan_table(
    standings: Sequence[Standing],
    due: Collection[str],
    phases: Mapping[str, str],
    width: int | None,
) -> str:
    """Every chosen patch in order, with its phase and whether it would run now; what it is for."""
    rows = [
        [
            each.label,
            _word(each),
            phases[each.label],
            "yes" if each.label in due else "no",
            ", ".join(each.definition.depends_on) or "-",
        ]
        for each in standings
    ]
    beneath = [[each.definition.title, each.why] for each in standings]
    head = ["Patch", "State", "Phase", "Runs", "After"]
    return "\n".join(_fitted(head, rows, beneath, width, text_columns=5))


def plan_document(
    standings: Sequence[Standing], due: Collection[str], phases: Mapping[str, str]
) -> dict[str, Any]:
    """The same as JSON."""
    return {
        "patches": [
            {
                "patch": each.label,
                "title": each.definition.title,
                "state": each.state.value,
                "why": each.why,
                "phase": phases[each.label],
                "runs": each.label in due,
                "after": list(each.definition.depends_on),
            }
            for each in standings
        ]
    }


def closing_table(steps: Iterable[RunStep], width: int | None = None) -> str:
    """The table that ends a run: a line for each patch that was executed, and their total."""
    steps = [step for step in steps if not _is_left(step)]
    rows = [
        [step.label, *(_counts([step]) if _has_objects(step) else _NO_COUNTS), _took([step])]
        for step in steps
    ]
    if len(steps) > 1:
        rows.append(["Total", *_counts(steps), _took(steps)])
    head = ["Patch", *_COUNTS.values(), "time"]
    return "\n".join(_fitted(head, rows, [()] * len(rows), width, text_columns=1)) if steps else ""


def _is_left(step: RunStep) -> bool:
    """Whether it was not executed at all."""
    return step.status in (RunStatus.PENDING, RunStatus.SKIPPED)


def _has_objects(step: RunStep) -> bool:
    return bool(step.has_key or step.read)


_NO_COUNTS = ("-",) * len(_COUNTS)


def _counts(steps: Iterable[RunStep]) -> list[str]:
    return [str(sum(getattr(step, name) for step in steps)) for name in _COUNTS]


def _took(steps: Iterable[RunStep]) -> str:
    return f"{sum(step.seconds for step in steps):.1f}s"


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
    if unread := [step.label for step in done.steps if _is_cut(step, done)]:
        said.append(
            f"Only the first {_limit(done)} objects of each patch were processed (--limit):"
            f" {', '.join(unread)}. The same command without --limit goes on there."
        )
    if left := [s.label for s in done.steps if s.status == RunStatus.PENDING and not s.error]:
        said.append(f"Not begun, because the run had ended before: {', '.join(left)}.")
    for label, text in done.outputs.items():
        said += [f"{label}: {line}" for line in text.splitlines()]
    return said


def _limit(done: PatchRun) -> int | None:
    return done.run.options.get("limit") if done.run is not None else None


def _is_cut(step: RunStep, done: PatchRun) -> bool:
    """Whether ``--limit`` left objects of it to a later run."""
    limit = _limit(done)
    return limit is not None and step.status == RunStatus.PARTIAL and step.read >= limit


def waiting(standings: Iterable[Standing]) -> Iterator[str]:
    """One sentence for each patch that did not run, since it is blocked or comes too late."""
    for each in standings:
        yield f"{each.label} was not run: it is {_word(each)}. {each.why}"


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


def run_document(done: PatchRun, left: Iterable[Standing] = ()) -> dict[str, Any]:
    """The JSON document of one run of patches; ``left`` as for :func:`waiting`."""
    return {
        "run": done.run.pk if done.run else None,
        "dry_run": bool(done.run and done.run.is_dry),
        "status": str(done.run.current_status) if done.run else "done",
        "error": done.run.error if done.run else "",
        "patches": [_step_document(step, done) for step in done.steps],
        "waiting": waiting_document(left),
    }


def waiting_document(left: Iterable[Standing]) -> list[dict[str, str]]:
    """What :func:`waiting` says, for JSON."""
    return [{"patch": each.label, "state": each.state.value, "why": each.why} for each in left]


def _step_document(step: RunStep, done: PatchRun) -> dict[str, Any]:
    label = step.label
    state = done.states.get(label, PatchState.PENDING)
    return {
        "patch": label,
        "state": state.value,
        "status": str(step.current_status),
        **_counted(step),
        "passed": step.passed,
        "seconds": round(step.seconds, 3),
        "error": step.error,
        "output": done.outputs.get(label, ""),
    }


def _counted(step: RunStep) -> dict[str, int]:
    return {name: getattr(step, count) for count, name in _COUNTS.items()}


def runs_table(runs: Iterable[Run], width: int | None = None) -> str:
    """Every run of patches, newest first; beneath it what ended it."""
    runs = list(runs)
    rows, beneath = [], []
    for run in runs:
        steps = list(run.steps.all())
        started = time_of(run.started_at) if run.started_at else ""
        what = [str(run.pk), run.mode, str(run.current_status), started, run.owner]
        counts = _NO_COUNTS if run.is_rollback else _counts(steps)
        rows.append([*what, str(len(steps)), *counts, _took(steps)])
        beneath.append(run.error.splitlines())
    head = ["Run", "Mode", "Status", "Started", "By", "patches", *_COUNTS.values(), "time"]
    return "\n".join(_fitted(head, rows, beneath, width, text_columns=5))


def runs_document(runs: Iterable[Run]) -> dict[str, Any]:
    """The same as JSON."""
    return {
        "runs": [
            {
                "run": run.pk,
                "kind": run.kind,
                "mode": run.mode,
                "dry_run": run.is_dry,
                "status": str(run.current_status),
                "error": run.error,
                "owner": run.owner,
                "host": run.host,
                "started_at": run.started_at.isoformat() if run.started_at else None,
                "finished_at": run.finished_at.isoformat() if run.finished_at else None,
                "patches": [
                    {
                        "patch": step.label,
                        "status": str(step.current_status),
                        **_counted(step),
                        "seconds": round(step.seconds, 3),
                        "error": step.error,
                    }
                    for step in run.steps.all()
                ],
            }
            for run in runs
        ]
    }
