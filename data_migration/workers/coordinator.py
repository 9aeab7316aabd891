"""The ranges in which others read the rows of a migration: made, handed out and watched here."""

from __future__ import annotations

from .. import exceptions
from ..ledger import LinkBook, Messages
from ..ledger.claims import hand_out
from ..ledger.steps import untraced
from ..models import StepRange
from ..progress import Progress
from ..sources.query import QueryFeed
from ..spec.fingerprint import fingerprint
from ..spec.legacy_key import key_columns_of
from ..step.context import StepContext
from .crew import Crew
from .divide import divide
from .takeover import earlier_ranges, new_ranges
from .unsplit import NotSplit, refers_by_itself, why_not_split
from .watching import Watch


class RangeCoordinator:
    """Shares the rows of one step out in ranges of its key, where it can be split.

    The hooks around the rows run in this process, those for rows in the workers. Where a step
    cannot be split, its ``split_reason`` says why.
    """

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._ranges: list[StepRange] = []

    def divide(self, context: StepContext, feed: QueryFeed, *, is_incremental: bool) -> bool:
        """Whether the step has ranges: those of an interrupted run where it goes on."""
        try:
            self._ranges = _ranges_of(context, feed, is_incremental)
        except NotSplit as reason:
            context.step.split_reason = f"read by one process, because {reason}"[:255]
            return False
        return True

    def hand_out(self, context: StepContext) -> None:
        """Write down the ranges."""
        step, ranges = context.step, self._ranges
        step.split_into = len(ranges)
        step.split_reason = f"read in {len(ranges)} ranges of {ranges[0].column!r} by" + (
            f" {self._crew.name}"
        )
        hand_out(step, ranges, database=context.database)

    def watch(self, context: StepContext, messages: Messages, progress: Progress) -> None:
        """Wait until every range has ended. Raises what ended one, or the wish to stop."""
        Watch(
            self._crew, context.step, context.options, database=context.database, progress=progress
        ).until_they_end()
        # Workers have added to what is remembered of the migration.
        context.state.refresh_from_db(fields=["layouts"])
        messages.handled_elsewhere()


def _ranges_of(context: StepContext, feed: QueryFeed, is_incremental: bool) -> list[StepRange]:
    """The ranges of a step, not saved yet. Raises :exc:`NotSplit`."""
    migration = type(context.migration)
    if why := why_not_split(migration, context.options, high_water=is_incremental):
        raise NotSplit(why)
    try:
        feed.look()
    except exceptions.SourceError as error:
        raise NotSplit("its query cannot be read in ranges") from error
    key = key_columns_of(context.label, context.migration, feed.columns)
    if not key:
        raise NotSplit("it has no legacy key")
    if refers_by_itself(migration.model, feed.columns):
        raise NotSplit("its rows refer to other rows of the query")
    if found := earlier_ranges(context, column=key[0]):
        return found
    if context.updates and untraced(
        context.state, run=context.step.run_id, database=context.database
    ):
        raise NotSplit("an interrupted run has read a part of it in another way")
    parts = divide(feed, key, workers=context.options.workers, batch=context.batch_size)
    book = LinkBook(context.state, database=context.database)
    return new_ranges(context.step, parts, fingerprint(migration), had_links=not book.is_empty())
