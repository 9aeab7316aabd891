"""row -> Draft: each column's value becomes a value of the model's field.

What each column means is decided once per step, the first time it is seen; the loop over the rows
only follows it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from django.db.models import Field, ForeignKey, Model

from ..exceptions import ConversionError, UnknownColumn
from ..fields.converters import Conversion
from ..fields.lookup import field_of, has_column, takes_objects
from ..fields.losses import Changed
from ..rows.drafts import Draft, Note
from ..spec.columns import Column, as_key
from ..spec.hooks import Hooks
from ..spec.migration import Migration
from ..utils.masking import SensitiveRow
from .legacy_targets import Linked
from .relations import RelationColumn
from .savepoints import HookSavepoints


class ObjectsOnly:
    """In place of a :class:`Conversion` for a relation that is kept in the columns of others."""

    own_type: type | None = None

    def __init__(self, field: Any, column: str) -> None:
        names = (getattr(field, name, "") for name in ("ct_field", "fk_field"))
        self._columns = " and ".join(filter(None, names)) or "the columns that it is made of"
        self._column = column

    def __call__(self, value: Any) -> Any:
        """The object. Raises :exc:`ConversionError` for anything else."""
        if value is None or isinstance(value, Model):
            return value
        raise ConversionError(
            f"{self._column} has no column of its own and takes an object: give {self._columns},"
            " or put the object into the row in hook_before_transformation()",
            column=self._column,
            value=value,
        )

    def of_all(self, values: Sequence[Any]) -> list[Any]:
        return list(map(self, values))


#: Where a column's value goes: (keyword argument, how it becomes the field's; None as it is);
#: None: not a plain value.
Action = tuple[str, Conversion | ObjectsOnly | None] | None


class Transform:
    """The compiled transformation of one step.

    ``linked`` is needed where relations are found by legacy key.
    """

    def __init__(
        self,
        migration: Migration,
        *,
        database: str,
        hooks: Hooks,
        linked: Linked | None = None,
    ) -> None:
        self.migration = migration
        self.model = migration.model
        self.actions = _Actions(self)
        self.relations: list[RelationColumn] = []
        self.hooks = hooks
        self._before = self.hooks.before_transformation
        #: Whether a hook may bring a sensitive value to another column.
        self._remembers = bool(migration.sensitive_columns and hooks.see_rows)
        self._savepoints = HookSavepoints(database)
        self._database = database
        self._linked = linked
        described = migration.column_description.items()
        #: Column -> the relations (by their entries) that it is a part of.
        self._parts: dict[str, list[str]] = {}
        for entry, description in described:
            for column in description.columns:
                self._parts.setdefault(column, []).append(entry)
        #: Whether a relation may be filled after its row was written.
        self.defers = any(each.deferred or each.skip_missing for _, each in described)

    @property
    def is_pure(self) -> bool:
        """Whether rows are transformed without a hook, so without the database."""
        return self._before is None

    def check_columns(self, columns: Collection[str]) -> None:
        """Raise :exc:`UnknownColumn` for a column without a place in the model.

        Says nothing when ``hook_before_transformation`` may rename or remove columns.
        """
        if self._before is not None:
            return
        for column in columns:
            self.actions[column]
        for entry, description in self.migration.column_description.items():
            if absent := [column for column in description.columns if column not in columns]:
                raise UnknownColumn(
                    f"is_a() of {entry!r} reads {', '.join(description.columns)}, and the query"
                    f" does not return {', '.join(absent)}",
                    column=entry,
                )

    def legacy_value(self, draft: Draft, column: str) -> Any:
        """What is to be looked for again of a deferred relation of the draft."""
        (relation,) = (each for each in self.relations if each.column == column)
        return relation.deferred_value(draft)

    def __call__(self, drafts: list[Draft]) -> None:
        """Fill each draft's ``values``; a draft whose row cannot be transformed fails."""
        if self._remembers:
            for draft in drafts:
                draft.row = SensitiveRow(draft.row)
        if self._before is None and self._by_column(drafts):
            return
        with self._savepoints.watching():
            for draft in drafts:
                try:
                    self._transform(draft)
                except Exception as error:
                    draft.fail(error)

    def _by_column(self, drafts: list[Draft]) -> bool:
        """Transform rows of one shape a column at a time; False where a value stands against it.

        Then nothing is changed, and row by row will tell which of them it is.
        """
        rows = [draft.row for draft in drafts]
        if len(set(map(len, rows))) != 1:
            return False
        columns: dict[str, Iterable[Any]] = {}
        losses: list[tuple[Draft, Note]] = []
        try:
            for column in rows[0]:
                if action := self.actions[column]:
                    name, conversion = action
                    values = [row[column] for row in rows]
                    made = values if conversion is None else conversion.of_all(values)
                    if made is not values and Changed in set(map(type, made)):
                        made = list(_kept(column, values, made, drafts, losses))
                    columns[name] = made
        except Exception:
            return False
        if columns:
            names = tuple(columns)
            for draft, row in zip(drafts, zip(*columns.values(), strict=True), strict=True):
                draft.values = dict(zip(names, row, strict=True))
        for draft, note in losses:
            draft.notes += (note,)
        return True

    def _transform(self, draft: Draft) -> None:
        row, values, actions = draft.row, draft.values, self.actions
        if self._before is not None:
            self._savepoints.run(self._before, row)
        for column, value in row.items():
            action = actions[column]
            if action is not None:
                name, conversion = action
                made = value if conversion is None else conversion(value)
                if type(made) is Changed:
                    draft.notes += (_loss(column, value, made),)
                    made = made.value
                values[name] = made

    def action(self, column: str) -> Action:
        """Decide what ``column`` means; relations are put aside for :meth:`resolve`."""
        for entry in self._parts.get(column, ()):
            self._add_entry(entry)
        description = self.migration.column_description.get(column)
        if description is not None and description.exclude:
            return None
        if description is not None:
            self._add_entry(column, is_column=True)
            return None
        field = field_of(self.model, column)
        if field is None and column in self._parts:
            return None
        if field is None:
            raise self._unknown(column)
        if isinstance(field, ForeignKey) and getattr(field, "db_constraint", True):
            self._add_relation(column, as_key(field), field)
            return None
        if not isinstance(field, Field):
            return column, None
        if field.generated or not (has_column(field) or takes_objects(field)):
            raise self._unknown(column)
        if not has_column(field):
            return column, ObjectsOnly(field, column)
        name = field.attname if column == "pk" else column
        return name, Conversion(field, column, database=self._database)

    def _add_entry(self, entry: str, *, is_column: bool = False) -> None:
        """Add the relation of an entry of ``column_description``, once."""
        description = self.migration.column_description[entry]
        if is_column and description.columns and entry not in description.columns:
            raise UnknownColumn(
                f"the query returns {entry!r}, but is_a() of it reads"
                f" {', '.join(description.columns)}. Leave the column out of the query, or name it"
                " in columns",
                column=entry,
            )
        if all(relation.column != entry for relation in self.relations):
            self._add_relation(entry, description, field_of(self.model, entry))

    def _add_relation(self, column: str, description: Column, field: Any) -> None:
        if field is None:
            raise self._unknown(column)
        self.relations.append(
            RelationColumn(
                column,
                description,
                field,
                model=self.model,
                database=self._database,
                # Hooks that see the instance may ask for the related object, so they get it.
                with_instances=bool(self.hooks.see_new_instances) and not description.assign_by_id,
                linked=self._linked,
            )
        )

    def _unknown(self, column: str) -> UnknownColumn:
        names = ", ".join(sorted(field.name for field in self.model._meta.concrete_fields))
        return UnknownColumn(
            f"the query returns {column!r}, which is no field of {self.model._meta.label}"
            f" ({names}). Rename the column with AS, describe a many-to-many with"
            f" is_a(..., m2m=True), or leave it to your hooks with is_a(exclude=True)",
            column=column,
        )


def _kept(
    column: str,
    values: list[Any],
    made: list[Any],
    drafts: list[Draft],
    losses: list[tuple[Draft, Note]],
) -> Iterator[Any]:
    """What is kept of a column's values; of those that lost something ``losses`` take note."""
    for value, each, draft in zip(values, made, drafts, strict=True):
        if type(each) is Changed:
            losses.append((draft, _loss(column, value, each)))
            yield each.value
        else:
            yield each


def _loss(column: str, value: Any, made: Changed) -> Note:
    return Note(column, value, made.cause, is_settled=True)


class _Actions(dict[str, Action]):
    """column -> Action, decided when a column is seen for the first time."""

    def __init__(self, transform: Transform) -> None:
        self._transform = transform

    def __missing__(self, column: str) -> Action:
        self[column] = self._transform.action(column)
        return self[column]
