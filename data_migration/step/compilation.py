"""What is decided once for a step, as a value that people can read: the hot loop follows it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..conf import settings
from ..exceptions import SpecError, UnknownColumn
from ..plan.graph import PlanStep
from ..sources import Reader, close_connection
from ..sources.narrowing import no_rows
from ..spec.hooks import Hooks
from ..spec.legacy_key import key_columns_of
from ..spec.migration import Migration
from ..transform.legacy_targets import Linked
from ..transform.relations import RelationColumn
from ..transform.values import Transform
from ..writers import Writer, choose_writer, instances_needed
from .reading import open_source


@dataclass(frozen=True, kw_only=True, slots=True)
class CompiledStep:
    """The decisions about one migration, whose query returns ``columns``.

    ``instances`` says why each new row becomes a model instance; empty where none does. ``key``
    are the columns of the legacy key, ``hooks`` the overridden ones that see rows, ``columns``
    each column and what becomes of it.
    """

    label: str
    writer: str
    writer_reason: str
    instances: str
    key: tuple[str, ...]
    hooks: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return "\n  ".join((self.label, *self._decisions(), *self._columns()))

    def _decisions(self) -> Iterator[str]:
        yield f"written by {self.writer}: {self.writer_reason}"
        if self.instances:
            yield f"a model instance for each new row: {self.instances}"
        else:
            yield "without model instances: nobody asks for them"
        yield f"legacy key: {', '.join(self.key) or 'none, so one transaction and no links'}"
        yield f"hooks of rows: {', '.join(self.hooks) or 'none'}"

    def _columns(self) -> list[str]:
        return [f"{column} -> {what}" for column, what in self.columns]

    def document(self) -> dict[str, Any]:
        """The same for JSON."""
        return {
            "writer": str(self.writer),
            "writer_reason": self.writer_reason,
            "instances": self.instances or None,
            "legacy_key": list(self.key),
            "hooks": list(self.hooks),
            "columns": dict(self.columns),
        }


def compile_step(
    label: str,
    columns: Sequence[str],
    *,
    transform: Transform,
    writer: Writer,
    writer_reason: str,
) -> CompiledStep:
    """Decide what depends on the columns of the query.

    Raises :exc:`SpecError` for a column without a place in the model, and for a ``legacy_key``
    that the query does not return.
    """
    migration = transform.migration
    try:
        transform.check_columns(columns)
    except UnknownColumn as error:
        raise SpecError(f"{label}: {error.cause}.") from error
    return CompiledStep(
        label=label,
        writer=writer.name,
        writer_reason=writer_reason,
        instances=instances_needed(migration, writer, columns),
        key=key_columns_of(label, migration, columns),
        hooks=transform.hooks.see_rows,
        columns=tuple(_described(transform, columns)),
    )


def _described(transform: Transform, columns: Sequence[str]) -> Iterator[tuple[str, str]]:
    if not transform.is_pure:
        yield "every column", "known when its row comes: hook_before_transformation may change it"
        return
    described = transform.migration.column_description.items()
    excluded = {name for name, each in described if each.exclude}
    for column in columns:
        if action := transform.actions[column]:
            name, own_type, _ = action
            kept = f"{own_type.__name__} as it is, " if own_type else ""
            yield column, f"{name} ({kept}anything {'else ' if own_type else ''}by the field)"
        elif column in excluded:
            yield column, "left to the hooks"
    for relation in transform.relations:
        yield ", ".join(relation.columns), f"{relation.name} ({_lookup(relation)})"


def _lookup(relation: RelationColumn) -> str:
    targets = relation.targets
    keys = f"{targets.klass._meta.label} by {targets.name}"
    if targets.prefetches:
        return f"{keys}: all in memory up to {settings.relation_cache_size:,}, else by batch"
    return f"{keys}: one lookup for each batch"


def explain(steps: Iterable[PlanStep], *, database: str) -> Iterator[CompiledStep]:
    """Compile steps without running them. Opens their sources, and reads no row.

    Raises :exc:`SpecError` and :exc:`~data_migration.exceptions.SourceError` like a run.
    """
    opened: dict[int, Any] = {}  # a spec may hand out the same connection several times
    try:
        for step in steps:
            migration: Migration = step.migration()
            connection = open_source(step.label, migration)
            opened[id(connection)] = connection
            yield _explained(step, migration, connection, database)
    finally:
        for connection in opened.values():
            close_connection(connection)


def _explained(
    step: PlanStep, migration: Migration, connection: Any, database: str
) -> CompiledStep:
    hooks = Hooks(migration)
    writer, reason = choose_writer(step.label, migration, database=database, hooks=hooks)
    linked = Linked(label=step.label, sources=step.sources, find=_no_links)
    transform = Transform(migration, database=database, hooks=hooks, linked=linked)
    reader = Reader(connection, step.label)
    try:
        reader.execute(*no_rows(connection, migration.query or "", migration.query_params))
        columns = reader.columns
    finally:
        reader.close()
    return compile_step(
        step.label, columns, transform=transform, writer=writer, writer_reason=reason
    )


def _no_links(labels: Sequence[str], keys: Collection[Any]) -> Mapping[Any, Sequence[str]]:
    return {}
