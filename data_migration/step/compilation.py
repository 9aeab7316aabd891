"""What is decided once for a step, as a value that people can read: the hot loop follows it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..conf import settings
from ..exceptions import SpecError, UnknownColumn
from ..fields.lookup import field_of
from ..ledger import Outstanding
from ..plan.graph import PlanStep
from ..sources import close_connection
from ..spec.hooks import Hooks
from ..spec.legacy_key import key_columns_of
from ..spec.migration import Migration
from ..transform.legacy_targets import Find, Linked
from ..transform.relations import RelationColumn
from ..transform.values import Transform
from ..utils.wording import suggest
from ..writers import choose_writer, instances_needed
from .reading import opened


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
        lines = [
            self.label,
            f"written by {self.writer}: {self.writer_reason}",
            f"a model instance for each new row: {self.instances}"
            if self.instances
            else "without model instances: nobody asks for them",
            f"legacy key: {', '.join(self.key) or 'none, so one transaction and no links'}",
            f"hooks of rows: {', '.join(self.hooks) or 'none'}",
            *(f"{column} -> {what}" for column, what in self.columns),
        ]
        return "\n  ".join(lines)

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


class Compiler:
    """Decides how a migration is imported: the writer at once, the rest by the query's columns.

    ``find`` asks the ledger for objects by legacy key, ``outstanding`` for what is still to come
    of them; without it nothing is. Raises :exc:`SpecError` for a writer that
    does not exist, or that cannot write the model.
    """

    def __init__(
        self,
        plan_step: PlanStep,
        migration: Migration,
        hooks: Hooks,
        *,
        database: str,
        find: Find,
        outstanding: Outstanding | None = None,
    ) -> None:
        self._label = plan_step.label
        self._migration = migration
        self._hooks = hooks
        self._database = database
        self.choice = choose_writer(plan_step.label, migration, database=database)
        linked = Linked(
            label=plan_step.label,
            sources=plan_step.sources,
            find=find,
            keyed=plan_step.keyed,
            outstanding=outstanding,
        )
        self.transform = Transform(migration, database=database, hooks=hooks, linked=linked)

    def compile(self, columns: Sequence[str]) -> CompiledStep:
        """Decide what depends on the columns.

        Raises :exc:`SpecError` for a column without a place in the model, and for a
        ``legacy_key`` or a sensitive column that the query does not return.
        """
        migration, (writer, reason) = self._migration, self.choice
        try:
            self.transform.check_columns(columns)
        except UnknownColumn as error:
            raise SpecError(f"{self._label}: {error.cause}.") from error
        refuse_unknown_sensitive(
            self._label, migration, columns, may_add=not self.transform.is_pure
        )
        return CompiledStep(
            label=self._label,
            writer=writer.name,
            writer_reason=reason,
            instances=instances_needed(
                migration.model, writer, columns, hooks=self._hooks, database=self._database
            ),
            key=key_columns_of(self._label, migration, columns),
            hooks=self._hooks.see_rows,
            columns=tuple(_described(self.transform, columns)),
        )


def refuse_unknown_sensitive(
    label: str, migration: Migration, columns: Sequence[str], *, may_add: bool
) -> None:
    """Raise :exc:`SpecError` for a sensitive column that is none: it would hide nothing.

    What ``may_add`` columns, a hook, can add for the model or for other hooks is one as well.
    """
    added = {*migration.column_description} if may_add else set[str]()
    for name in migration.sensitive_columns:
        if name not in columns and name not in added:
            if may_add and field_of(migration.model, name) is not None:
                continue
            raise SpecError(
                f"{label}: sensitive_columns names {name!r}, which the query does not return, so"
                f" it would hide nothing.{suggest(name, columns)}"
            )


def _described(transform: Transform, columns: Sequence[str]) -> Iterator[tuple[str, str]]:
    if not transform.is_pure:
        yield "every column", "known when its row comes: hook_before_transformation may change it"
        return
    described = transform.migration.column_description.items()
    excluded = {name for name, each in described if each.exclude}
    for column in columns:
        if action := transform.actions[column]:
            name, conversion = action
            own_type = None if conversion is None else conversion.own_type
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
    connections: list[Any] = []
    try:
        for step in steps:
            migration: Migration = step.migration()
            hooks = Hooks(migration)
            compiler = Compiler(step, migration, hooks, database=database, find=_no_links)
            with opened(step.label, migration, hooks, connections.append) as feed:
                feed.look()
                columns = feed.columns
            yield compiler.compile(columns)
    finally:
        for connection in {id(each): each for each in connections}.values():
            close_connection(connection)


def _no_links(labels: Sequence[str], keys: Collection[Any]) -> Mapping[Any, Sequence[str]]:
    return {}
