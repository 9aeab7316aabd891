"""The rows of a step that had to wait: settled when the query has been read."""

from __future__ import annotations

from ..outcomes import Outcome
from ..transform.relations import resolve
from ..transform.trees import Tree
from ..utils.chunks import chunks
from .pipeline import Pipeline, without


def settle(pipeline: Pipeline, batch_size: int) -> None:
    """Write the rows that wait for each other, or for what never came; complete many-to-manys."""
    tree = Tree(pipeline.relations, pipeline.database)
    while waiting := pipeline.waiting.take_all():
        if dead := tree.dead_ends(waiting):
            resolve(pipeline.relations, dead, final=True)
            pipeline.write(dead)
            pipeline.write_what_is_ready(without(waiting, dead))
        else:  # a loop: written without the relation that closes it, which is then set
            tree.cut(waiting)
            pipeline.store(waiting)
            tree.close(waiting)
            pipeline.complete(waiting)
            pipeline.record_or_keep(waiting)
    _complete_m2m(pipeline, tree, batch_size)


def _complete_m2m(pipeline: Pipeline, tree: Tree, batch_size: int) -> None:
    """Write the many-to-manys whose targets are rows that came later; every row is there now."""
    late = pipeline.take_late()
    columns = {each.column for each in pipeline.relations if each.is_self and each.is_many}
    tree.complete_m2m(late)
    for drafts in chunks(late, batch_size):
        for draft in pipeline.update_joins([draft for draft in drafts if draft.error is None]):
            if draft.outcome == Outcome.UNCHANGED:
                draft.outcome = Outcome.UPDATED
        pipeline.complete(drafts, columns)
        pipeline.record(drafts)
