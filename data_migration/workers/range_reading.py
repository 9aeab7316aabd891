"""The rows of one range, taken through the stages of a step by one worker."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..ledger import LinkBook, LinkLookup, Outstanding
from ..ledger.claims import RangeLedger
from ..models import StepRange
from ..plan.graph import PlanStep
from ..progress import Progress
from ..rows.keys import key_of_text
from ..sources.key_ranges import KeyRange
from ..sources.query import QueryFeed
from ..step.assembly import Links, assemble
from ..step.batches import BatchLoop
from ..step.compilation import Compiler
from ..step.context import StepContext
from ..step.earlier import UpTo
from ..step.exits import exits_fail
from ..step.reading import Keep, opened
from ..step.recording import Recorder
from ..step.settle import settle
from .divide import first_row, whole_groups
from .takeover import former_range
from .taking import LetGo


def read_range(
    row: StepRange,
    context: StepContext,
    ledger: RangeLedger,
    plan_step: PlanStep,
    keep_open: Keep,
) -> None:
    """Read the rows of the range; what is once for a step is the coordinator's.

    Raises what ends it early, :exc:`LetGo` where the worker is to stop.
    """
    step, migration, database = context.step, context.migration, context.database
    compiler = Compiler(
        plan_step,
        migration,
        context.hooks,
        database=database,
        find=LinkLookup(database),
        outstanding=Outstanding(ledger),
    )

    def reached(key: Any) -> None:
        ledger.position = key

    def after(rows: int) -> None:
        # Not where no row is left: the range is done then, and nobody need take it again.
        if rows and context.options.should_stop():
            raise LetGo

    transaction = partial(ledger.committing, step)
    with (
        exits_fail(step, context.options.should_stop),
        opened(context.label, migration, context.hooks, keep_open) as whole,
    ):
        assert isinstance(whole, QueryFeed), "nothing else is shared out"
        others = step.run.steps.using(database).exclude(pk=step.pk)
        record = Recorder(
            context,
            ledger,
            steps=[*others, step],
            progress=Progress(),
            earlier=UpTo(_handled_before(row, context, whole)),
            elsewhere=lambda: ledger.lock.elsewhere,
        )
        feed = whole.in_range(range_of(row))
        feed.open()
        book = LinkBook(context.state, database=database, had_links=row.had_links)
        batches, pipeline = assemble(
            context,
            compiler,
            compiler.compile(feed.columns),
            feed,
            whole_groups(feed.rows(context.batch_size), row.column),
            links=Links(book, ledger.messages_for(step).failed_before),
            record=record,
        )
        BatchLoop(pipeline, transaction, reached=reached, after=after).run(batches)
        with transaction():
            settle(pipeline, context.batch_size)


def _handled_before(row: StepRange, context: StepContext, feed: QueryFeed) -> int:
    """How many of the rows that are still to be read an earlier run of the pass has handled."""
    former = former_range(row, context) if context.updates else None
    if former is None:
        return 0
    (behind,) = first_row(feed.number_in_range(range_of(former)))
    return int((former.total or 0) - behind - row.read - row.passed)


def range_of(row: StepRange) -> KeyRange:
    """The rows of the range that are still to be read."""

    def value(text: str | None) -> Any:
        return None if text is None else key_of_text(text)

    return KeyRange(
        column=row.column,
        lower=value(row.lower),
        upper=value(row.upper),
        after=value(row.position),
        is_null=row.is_null,
    )
