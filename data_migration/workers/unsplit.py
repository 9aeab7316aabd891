"""Why a step is read by one process although several were asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Model

from ..options import RunOptions
from ..outcomes import Removed
from ..spec.hooks import OwnHooks
from ..spec.migration import Migration

#: They run in the coordinator, and may put something into memory that the others look for.
_ONCE = ("hook_before_all", "hook_after_all")

#: Fewer batches than that are not worth the boundaries.
BATCHES = 4


class NotSplit(Exception):
    """The step cannot be split; the text says why, to follow "because"."""


def why_not_split(
    migration: type[Migration], options: RunOptions, *, high_water: bool = False
) -> str:
    """Why the step will not be split, as far as the spec and the options tell; else empty.

    ``high_water``: only what is at or above a mark is read.
    """
    if options.retry_failed:
        return "only failed rows are read"
    if options.limit is not None:
        return "--limit wants the first rows of the query"
    if high_water:
        return "only rows above the high-water mark are read"
    if migration.split is False:
        return "its spec says split = False"
    if migration.legacy_key is not None and not migration.legacy_key:
        return "it has no legacy key"
    if migration.removed != Removed.KEEP:
        return f'removed = "{Removed(migration.removed)}" has to see every key in one process'
    if any(
        _are_relatives(column.klass, migration.model)
        for column in migration.column_description.values()
        if column.klass is not None and not column.deferred
    ):
        return "it has a relation to its own model, whose rows wait for rows of other ranges"
    own = OwnHooks(migration)
    once = [name for name in _ONCE if name in own]
    if migration.split is None and once and own.see_rows:
        return (
            f"{once[0]} and {own.see_rows[0]} may share something in memory (say split = True if"
            " they do not)"
        )
    return ""


def refers_by_itself(model: type[Model], columns: Sequence[str]) -> bool:
    """Whether a column of the query is the key of another object of the model, as it stands."""
    return any(
        _are_relatives(field.related_model, model)
        for field in model._meta.concrete_fields
        if field.related_model is not None
        and not getattr(field.remote_field, "parent_link", False)
        and {field.name, field.attname} & set(columns)
    )


def _are_relatives(one: Any, other: Any) -> bool:
    """Whether an object of one model may be one of the other."""
    one, other = one._meta.concrete_model, other._meta.concrete_model
    return issubclass(one, other) or issubclass(other, one)
