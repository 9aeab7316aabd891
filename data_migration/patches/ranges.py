"""The objects of a patch in ranges of their keys, for several processes, and their process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

from django.apps import apps as installed
from django.core.exceptions import FieldError
from django.db import Error, NotSupportedError
from django.db.models import Window
from django.db.models.functions import RowNumber

from ..exceptions import SpecError
from ..ledger.claims import RangeLedger, ranges_of_record
from ..ledger.patches import PatchBook
from ..models import PatchRecord, RunStep, StepRange
from ..outcomes import Mode, RunStatus
from ..rows.keys import key_of_text, key_text
from ..step.exits import exits_fail
from ..tables.walk import Page, Walk, key_of
from ..utils.databases import database_of
from ..workers import Crew
from ..workers.crew import Processes
from ..workers.divide import PER_WORKER, SPREAD
from ..workers.process import serve
from ..workers.taking import LetGo, Stop, take_ranges
from ..workers.unsplit import BATCHES, NotSplit
from .batches import Batches, pause, seconds_to_wait, walk_of
from .definition import Definition, label_of_step
from .digest import digest_of
from .discovery import discover
from .images import keeper_of
from .options import PatchOptions
from .output import logging_to
from .patch import Context, Patch
from .transactions import no_implicit_commits


def crew_for(options: PatchOptions) -> Crew | None:
    """The processes that share the work of a run; None where this one is to do it alone."""
    is_alone = options.workers == 1 or options.mode != Mode.COMMIT
    if is_alone or database_of(options.database).has_one_writer:
        return None
    return Processes(options.workers, options.database, module=__name__)


def why_not_split(patch: type[Patch], options: PatchOptions) -> str:
    """Why one process does it although several were asked for, to follow "because"; else empty."""
    if patch.is_whole():
        return "it is done in one transaction, as a whole"
    if not patch.split:
        return "it says split = False"
    if options.mode == Mode.REHEARSAL:
        return "a rehearsal is one transaction"
    if database_of(options.database).has_one_writer:
        return f"{database_of(options.database).name} takes one writer at a time"
    if options.retry_failed:
        return "only failed objects are processed"
    if options.limit is not None:
        return "--limit wants the first objects"
    return ""


# ------------------------------------------------------------------ where ranges begin and end


def earlier_ranges(step: RunStep, record: PatchRecord, *, database: str) -> list[StepRange]:
    """The ranges with which a patch goes on, each where it got to; empty where it has none."""
    ranges = []
    for former in ranges_of_record(record, database=database):
        is_done = former.status == RunStatus.DONE
        done = former.read + former.passed
        ranges.append(
            StepRange(
                step=step,
                number=former.number,
                status=RunStatus.DONE if is_done else RunStatus.PENDING,
                column=former.column,
                lower=former.lower,
                upper=former.upper,
                position=former.position,
                # The object that ended a range was counted there, and is met again.
                passed=done if former.total is None else min(done, former.total),
                total=former.total,
                rows_before=former.rows_before,
                fingerprint=record.mark,
            )
        )
    return ranges


def new_ranges(
    step: RunStep, record: PatchRecord, walk: Walk, *, workers: int, batch: int
) -> list[StepRange]:
    """Ranges of about as many objects each, of those above the record's cursor; not saved yet.

    The first is open below, and the last one above, up to the record's upper bound. Raises
    :exc:`NotSplit` where there are too few objects, or nothing to divide them by.
    """
    cursor, upper = walk.from_text(record.cursor), walk.from_text(record.upper)
    rows = walk.total(cursor, upper)
    if rows < BATCHES * batch:
        raise NotSplit(f"it has {rows:,} objects to process, fewer than {BATCHES} batches")
    if isinstance(upper, tuple):
        raise NotSplit("the key of its objects has several columns")
    wanted = max(2, min(PER_WORKER * workers, rows // batch))
    try:
        bounds = _bounds(walk, cursor, upper, rows, wanted)
    except (Error, FieldError, NotSupportedError) as error:
        raise NotSplit("its queryset() cannot be divided") from error
    counted = [walk.total(cursor, upper, below=bound) for bound in bounds]
    edges = [None, *(key_text(key_of(bound)) for bound in bounds), None]
    ranges = []
    for number, (ends, before, after) in enumerate(
        zip(pairwise(edges), [0, *counted], [*counted, rows], strict=True), start=1
    ):
        is_first = number == 1
        ranges.append(
            StepRange(
                step=step,
                number=number,
                status=RunStatus.PENDING,
                column=walk.model._meta.pk.column,
                lower=ends[0],
                upper=ends[1],
                position=key_text(key_of(cursor)) if is_first and cursor is not None else None,
                passed=record.processed if is_first else 0,
                total=after - before + (record.processed if is_first else 0),
                rows_before=0 if is_first else record.processed + before,
                fingerprint=record.mark,
            )
        )
    return ranges


def _bounds(walk: Walk, cursor: Any, upper: Any, rows: int, wanted: int) -> list[Any]:
    """The keys at which the second range begins, the third, and so on."""
    lowest = walk.lower(cursor, upper)
    if type(lowest) is type(upper) is int and upper - lowest < SPREAD * rows:
        width = upper - lowest + 1
        return sorted({lowest + width * number // wanted for number in range(1, wanted)})
    places = sorted({1 + rows * number // wanted for number in range(1, wanted)})
    numbered = walk.between(cursor, upper).annotate(
        place_of_object=Window(RowNumber(), order_by="pk")
    )
    found = numbered.filter(place_of_object__in=places).order_by("pk")
    return list(found.values_list("pk", flat=True))


def reader(row: StepRange, record: PatchRecord, walk: Walk) -> Callable[[Any, int], Page]:
    """Reads a page of the objects of a range behind a key."""
    lower, below = (
        None if text is None else walk.from_text(key_of_text(text))
        for text in (row.lower, row.upper)
    )
    upper = walk.from_text(record.upper)

    def read(after: Any, size: int) -> Page:
        return walk.page(after, upper, size, lower=lower, below=below)

    return read


def position_of(row: StepRange, walk: Walk) -> Any:
    """The last key of the range that is done with; None before the first."""
    return None if row.position is None else walk.from_text(key_of_text(row.position))


# ------------------------------------------------------------------ the process of a worker


def main() -> None:
    """A process of ``run_patches --workers``. Needs ``django.setup()`` before."""
    serve(work_on)


def work_on(step: int, database: str, should_stop: Stop) -> None:
    """Work on the ranges of a step until none waits."""
    take_ranges(step, database, _process, should_stop=should_stop)


def _process(ledger: RangeLedger, should_stop: Stop) -> None:
    """Process the objects of a range. Raises what ends it early."""
    row, step, database = ledger.row, ledger.step, ledger.database
    record = PatchRecord.objects.using(database).get(pk=row.fingerprint.split()[-1])
    definition = _same_definition(step, record)
    options = PatchOptions.from_recorded(
        step.run.options, mode=step.run.mode, database=database, should_stop=should_stop
    )
    lines: list[str] = []
    context = Context(apps=installed, database=database, log=logging_to(lines))
    patch = definition.patch(context)
    walk = walk_of(patch, database=database)
    others = step.run.steps.using(database).exclude(pk=step.pk)
    failed_before = sum(others.values_list("failed", flat=True))

    def elsewhere() -> tuple[int, int]:
        return failed_before + ledger.lock.elsewhere, ledger.lock.elsewhere

    @contextmanager
    def transaction() -> Iterator[None]:
        with ledger.committing(step):
            yield
            if lines:
                text = "".join(f"{line}\n" for line in lines)
                PatchBook(database).add_output(record, text)
        lines.clear()

    def reached(page: Page) -> bool:
        if page.keys:
            ledger.position = key_of(page.keys[-1])
        return not page.keys

    def between(rows: int) -> None:
        if not should_stop() and (seconds := seconds_to_wait(patch, step.label)) > 0:
            pause(seconds, beat=ledger.lock.beat, should_stop=should_stop)
        if should_stop():
            raise LetGo

    with ledger.committing(step):
        keeper = keeper_of(patch, step.migration, walk.model, run=step.run_id, database=database)
    with exits_fail(step, should_stop), no_implicit_commits(definition.label, database):
        Batches(
            patch,
            step,
            ledger,
            options,
            transaction=transaction,
            numbered_from=0,
            elsewhere=elsewhere,
            keeper=keeper,
        ).run(
            reader(row, record, walk),
            after=position_of(row, walk),
            most=None,
            reached=reached,
            between=between,
        )


def _same_definition(step: RunStep, record: PatchRecord) -> Definition:
    """The patch of the step. Raises :exc:`SpecError` unless it is the coordinator's."""
    label = label_of_step(step.migration) or step.migration
    patches = discover()
    if label not in patches:
        raise SpecError(f"{label}: this worker has no such patch. Give it the same code.")
    definition: Definition = patches[label]
    if digest_of(definition) != record.digest:
        raise SpecError(
            f"{label}: the patch of this worker is another one than the coordinator's. Give every"
            " worker the same code, start them anew, and run the same command again."
        )
    return definition
