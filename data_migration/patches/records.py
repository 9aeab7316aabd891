"""What each patch's state is in one database, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db.models import Count

from ..ledger import PATCHES, lock_holder
from ..ledger.messages import open_failures
from ..ledger.patches import PatchBook
from ..ledger.run_words import time_of
from ..models import PatchRecord, RunStep
from ..outcomes import PatchState, RunStatus
from ..utils.wording import number_of
from .definition import Definition, step_label
from .digest import digest_of
from .schema import Schema

#: What depends on a patch may run when that is in one of these states.
SETTLED = frozenset(
    {PatchState.DONE, PatchState.CHANGED_SINCE, PatchState.FAKED, PatchState.NOT_NEEDED}
)
#: A run has something to do.
DUE = frozenset({PatchState.PENDING, PatchState.PARTIAL, PatchState.FAILED})

Records = Mapping[tuple[str, str], list[PatchRecord]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """One patch as it is now; ``why`` is a sentence, empty where the state says it all.

    ``record`` is the one that counts, under whichever name it ran; None where it is pending.
    ``failed`` are objects that are still to be mended.
    """

    definition: Definition
    state: PatchState
    why: str = ""
    record: PatchRecord | None = None
    failed: int = 0

    @property
    def label(self) -> str:
        return self.definition.label

    @property
    def is_settled(self) -> bool:
        return self.state in SETTLED

    @property
    def is_due(self) -> bool:
        return self.state in DUE

    @property
    def cannot_run(self) -> bool:
        """Whether something keeps it from running, which ``why`` tells."""
        return self.state in (PatchState.BLOCKED, PatchState.IMPOSSIBLE)


def standings(
    patches: Iterable[Definition], *, database: str, schema: Schema | None = None
) -> list[Standing]:
    """Every patch in its order; a fixed number of queries.

    ``patches`` are all of them: one may depend on another. ``schema`` is what Django's own
    migrations have done, if that is known already.
    """
    schema = schema or Schema.of(database)
    records = _records(database)
    failed = _failed(database)
    at_work = _at_work(database)
    found: dict[str, Standing] = {}
    for definition in patches:
        record, replaced = _record_of(definition, records)
        labels = [definition.label, *([record.label] if record is not None else [])]
        rows = sum(failed[step_label(label)] for label in dict.fromkeys(labels))
        state, why = replaced or _state(definition, record, rows)
        if definition.step_label == at_work:
            state, why = PatchState.RUNNING, ""
        elif state in DUE:
            state, why = _obstacle(definition, schema, found) or (state, why)
        found[definition.label] = Standing(
            definition=definition, state=state, why=why, record=record, failed=rows
        )
    return list(found.values())


def last_seconds(found: Iterable[Standing], database: str) -> dict[str, float]:
    """How long the last run of each took, by its label; without those that nobody remembers."""
    runs = {
        (each.record.run_id, step_label(each.record.label)): each.label
        for each in found
        if each.record is not None and each.record.run_id is not None
    }
    steps = RunStep.objects.using(database).filter(run__in={run for run, _ in runs})
    return {
        runs[run, migration]: seconds
        for run, migration, seconds in steps.values_list("run", "migration", "seconds")
        if (run, migration) in runs
    }


def _records(database: str) -> Records:
    found: dict[tuple[str, str], list[PatchRecord]] = {}
    for record in PatchBook(database).records():
        found.setdefault((record.app, record.name), []).append(record)
    return found


def _failed(database: str) -> Counter[str]:
    rows = open_failures(database).filter(migration__label__startswith=step_label(""))
    counted = rows.order_by().values_list("migration__label").annotate(rows=Count("pk"))
    return Counter(dict(counted))


def _at_work(database: str) -> str:
    """The step of the patch that is being run; empty where none is."""
    run = lock_holder(database, PATCHES)
    if run is None:
        return ""
    steps = RunStep.objects.using(database).filter(run=run, status=RunStatus.RUNNING)
    return str(run.live.get("migration") or steps.values_list("migration", flat=True).last() or "")


def _record_of(
    definition: Definition, records: Records
) -> tuple[PatchRecord | None, tuple[PatchState, str] | None]:
    """The record that counts, and the state where only a part of what it replaces has run.

    A first revision takes over whatever revision ran under an old name, a later one only its like.
    """
    if own := _latest(records.get((definition.app_label, definition.name), []), definition):
        return own, None
    old: dict[str, PatchRecord | None] = {}
    for label in definition.replaces:
        app, _, name = label.partition(".")
        rows = records.get((app, name), [])
        any_revision = rows[-1] if rows and definition.revision == _FIRST else None
        old[label] = _latest(rows, definition) or any_revision
    there = [record for record in old.values() if record is not None]
    if not there:
        return None, None
    settled = [record for record in there if record.state in SETTLED]
    if len(there) == len(old) and len(settled) == len(there):
        return there[-1], None
    if len(old) == 1:
        return there[0], None
    done = ", ".join(sorted(label for label, each in old.items() if each in settled)) or "nothing"
    left = ", ".join(sorted(label for label, each in old.items() if each not in settled))
    return there[-1], (
        PatchState.BLOCKED,
        f"Of what it replaces {done} has run and {left} has not. Run that from the former code,"
        f" or say that all is done: manage.py run_patches --fake {definition.label} --reason TEXT",
    )


_FIRST = "1"


def _latest(records: list[PatchRecord], definition: Definition) -> PatchRecord | None:
    same = [each for each in records if each.revision == definition.revision]
    return max(same, key=lambda each: each.repeat, default=None)


def _state(
    definition: Definition, record: PatchRecord | None, failed: int
) -> tuple[PatchState, str]:
    """What the record says, were it not for the schema and for other patches."""
    if record is None:
        return PatchState.PENDING, ""
    match PatchState(record.state):
        case PatchState.PARTIAL:
            return PatchState.PARTIAL, _how_far(record, failed)
        case PatchState.FAKED:
            return PatchState.FAKED, _faked(record)
        case PatchState.DONE if record.digest != digest_of(definition):
            ran = f" since {time_of(record.finished_at)}" if record.finished_at else ""
            if definition.patch.on_change == "rerun":
                return PatchState.PENDING, f"Its code or a file that it watches changed{ran}."
            return PatchState.CHANGED_SINCE, (
                f"Its code or a file that it watches changed{ran}. It is not run again by itself:"
                f" run it with --force {definition.label}, or accept the change with --fake"
                f" {definition.label} --reason TEXT."
            )
        case state:
            return state, record.reason


def _how_far(record: PatchRecord, failed: int) -> str:
    of = f" of {record.total:,}" if record.total is not None else ""
    done = f"{record.processed:,}{of} objects processed"
    if record.is_walked:
        return f"{done}; {number_of(failed, 'object')} failed and can be tried again."
    also = f", {failed:,} failed" if failed else ""
    return f"{done}{also}. A run goes on there.{f' {record.reason}' if record.reason else ''}"


def _faked(record: PatchRecord) -> str:
    when = f", {time_of(record.finished_at)}" if record.finished_at else ""
    return f"By {record.owner or 'somebody'}{when}: {record.reason}"


def _obstacle(
    definition: Definition, schema: Schema, found: Mapping[str, Standing]
) -> tuple[PatchState, str] | None:
    """What keeps a patch that is due from running now; None where nothing does."""
    if gone := schema.too_late(definition):
        return PatchState.IMPOSSIBLE, gone
    if waits := schema.too_early(definition):
        return PatchState.BLOCKED, waits
    for label in definition.depends_on:
        if (other := found.get(label)) is not None and other.cannot_run:
            return PatchState.BLOCKED, f"It runs after {label}, which is {other.state.label}."
    return None
