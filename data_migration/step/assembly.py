"""The parts of a step, made once everything about it is decided."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from django.db import connections

from ..ledger import LinkBook
from ..sources.feed import Feed
from ..spec.fingerprint import fingerprint
from ..spec.legacy_key import search_attrs_of
from ..tables import nothing
from ..transform.existing import Existing
from ..undo.keys_read import KeysRead
from ..writers import Conflicts, Instances
from .ahead import Ahead
from .batch import Batch, Group
from .compilation import CompiledStep, Compiler
from .context import StepContext
from .delta import Rerun
from .memory import LinkMemory, Memory, NoMemory
from .pipeline import Pipeline, Record
from .preparation import Identification, Preparation
from .remember import Keeper


class Links(NamedTuple):
    """What a keyed step has of earlier runs.

    ``failed`` are the hashes of keys whose rows failed before; ``keys_read`` takes note of every
    key where somebody asks for the rows that are gone.
    """

    book: LinkBook
    failed: Collection[str]
    keys_read: KeysRead | None = None


def assemble(
    context: StepContext,
    compiler: Compiler,
    compiled: CompiledStep,
    feed: Feed,
    groups: Iterable[Group],
    *,
    links: Links | None,
    record: Record,
) -> tuple[Ahead[Batch], Pipeline]:
    """The batches that the rows in ``groups`` come in, and the pipeline for them.

    ``links`` is None where rows have no key. Raises :exc:`SpecError` for an updateable migration
    that names nothing by which existing objects are found.
    """
    migration, database, transform = context.migration, context.database, compiler.transform
    is_first = links is None or links.book.is_empty()
    hooks = context.hooks
    # Every row will be transformed, and no hook may touch the database for that.
    transforms_ahead = transform.is_pure and is_first and hooks.update_existing is None
    seed = fingerprint(type(migration))
    preparation = Preparation(
        Identification(compiled.key, feed.columns, seed) if links is not None else None,
        transform if transforms_ahead else None,
    )
    batches = Ahead(map(preparation, groups))
    fetch_ahead = batches.fetch_if_quick if feed.is_apart(connections[database]) else nothing
    memory: Memory
    if links is None:
        conflicts, memory = None, NoMemory(fetch_ahead)
    else:
        conflicts = Conflicts(migration, links.book.written, database=database)
        memory = LinkMemory(
            migration.model,
            links.book,
            _rerun(context, links.failed),
            keeper=Keeper(
                links.book,
                migration.model,
                run=context.step.run_id,
                m2m=lambda: sorted(
                    [
                        *(each.name for each in transform.relations if each.is_many),
                        *migration._terms.lists,
                    ]
                ),
                # Of an instance only when its hooks have run.
                digests_early=not compiled.instances,
                meanwhile=fetch_ahead,
            ),
            conflicts=conflicts,
            keys_read=links.keys_read,
            is_empty=is_first,
        )
    label, model = context.label, migration.model
    attrs: tuple[str, ...] = ()
    # Of a migration without a key nothing is there before it was read to its end.
    is_new = links is None and not (context.state.is_read or migration.allow_updates)
    if context.updates and (migration.search_attr or not is_new):
        has_links = links is not None
        attrs = search_attrs_of(label, migration, feed.columns, has_links=has_links)
    pipeline = Pipeline(
        context,
        transform=transform,
        is_transformed=transforms_ahead,
        memory=memory,
        existing=Existing(model, attrs, database=database) if attrs else None,
        instances=Instances(
            migration,
            database=database,
            hooks=hooks,
            conflicts=conflicts,
            only_existing=not compiled.instances,
        ),
        writer=compiler.choice.writer(
            migration,
            database=database,
            hooks=hooks,
            conflicts=conflicts,
            meanwhile=memory.while_written,
        ),
        record=record,
    )
    return batches, pipeline


def _rerun(context: StepContext, failed: Collection[str]) -> Rerun:
    run = context.step.run_id
    own_hook = context.hooks.update_existing is not None
    return Rerun(
        run=run,
        pass_run=context.state.pass_run or run,
        updates=context.updates,
        full=context.options.full,
        calls_hook=own_hook and not context.migration.track_changes,
        failed=failed,
        is_first=not context.state.is_read,
    )
