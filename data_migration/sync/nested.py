"""What is done when rows were written: their nested lists, and ``post_process``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from collections.abc import Mapping as Dict
from typing import Any
from zlib import crc32

from django.db import transaction
from django.db.models import Model

from ..exceptions import RowFailure, RowSkipped, SpecError
from ..fields.changes import changed_fields
from ..fields.digests import FieldDigests
from ..fields.lookup import stored_values
from ..ledger import LinkLookup
from ..outcomes import Outcome
from ..rows.drafts import Draft, Note
from ..spec.columns import Column
from ..spec.hooks import Hooks
from ..spec.migration import Migration
from ..spec.terms import IsTheirs
from ..transform.legacy_targets import Linked
from ..transform.relations import resolve
from ..transform.values import Transform
from ..utils.databases import database_of
from ..utils.masking import MASK
from ..utils.wording import words
from ..writers.changes import apply_to_existing
from .definition import Definition
from .discovery import Syncs
from .fields import RemoteField, fields_of, relation_column
from .flattening import DOCUMENT, KEY, Flattening, list_column
from .mapping import Mapping
from .words import Nested

REPLACE, MERGE, APPEND = "replace", "merge", "append"


class Finishing:
    """Writes the nested lists of rows that were written, and calls ``post_process`` for those that
    were created or updated, or of which something was left over by an earlier run.

    Each in a savepoint of its own: what fails leaves the row as it was written, and is told.
    """

    def __init__(
        self, definition: Definition, fields: Sequence[RemoteField], syncs: Syncs
    ) -> None:
        mapping = definition.mapping
        self._model: Any = mapping.model
        self.lists = [
            NestedList(field, definition, syncs) for field in fields if field.nested is not None
        ]
        own = mapping.post_process is not Mapping.post_process
        self._post_process = mapping().post_process if own else None

    def __bool__(self) -> bool:
        return bool(self.lists or self._post_process)

    @property
    def wants_documents(self) -> bool:
        """Whether the rows themselves are needed."""
        return self._post_process is not None

    def __call__(
        self,
        drafts: list[Draft],
        *,
        failed: Collection[str],
        is_theirs: IsTheirs,
        database: str,
    ) -> None:
        for each in self.lists:
            each.write(drafts, is_theirs=is_theirs, database=database)
        if self._post_process is None:
            return
        due = [
            draft
            for draft in drafts
            if draft.outcome != Outcome.UNCHANGED or draft.identity.hash in failed
        ]
        rows = self._model._base_manager.using(database)
        objects = rows.in_bulk([_pk(draft) for draft in due]) if due else {}
        for draft in due:
            try:
                with transaction.atomic(using=database):
                    self._post_process(
                        local=objects[_pk(draft)],
                        remote=draft.row[DOCUMENT],
                        created=draft.outcome == Outcome.CREATED,
                    )
            except Exception as error:
                _note(draft, "", None, f"post_process raises {_said(error)}", error, database)


class NestedList:
    """One list of a mapping: which objects its rows are, and how they become that.

    A row is the child whose field has its ``remote_key``, where the mapping of the list has that
    among its fields; without it the rows are compared with the children in their order.

    A list that goes both ways and replaces is merged as a field is, as a whole: what was changed
    here alone stays. ``name`` stands for it in the ledger.
    """

    def __init__(self, field: RemoteField, definition: Definition, syncs: Syncs) -> None:
        assert field.nested is not None
        self._remote = field.remote
        self.name = list_column(field)
        self._mode = field.nested.mode
        self._is_hidden = bool(
            field.remote in definition.mapping.sensitive or field.nested.mapping.sensitive
        )
        self.is_two_way = field.pushes and self._mode == REPLACE
        self._mapping: type[Mapping] = field.nested.mapping
        self._model: Any = self._mapping.model
        self._parent = parent_of(definition.mapping, field.remote, field.nested)
        self._fields = [each for each in fields_of(self._mapping) if each.pulls and each.name]
        self._flatten = Flattening(self._mapping, self._fields)
        self._sources = syncs.sources(self._mapping, definition.connector)
        self._label = definition.label
        keys = [each.name for each in self._fields if each.remote == self._mapping.remote_key]
        self._key = keys[0] if keys else ""

    def write(self, drafts: Iterable[Draft], *, is_theirs: IsTheirs, database: str) -> None:
        """Make the children of the drafts' objects what their lists say."""
        drafts = [draft for draft in drafts if self.name in draft.row]
        if not drafts:
            return
        rows = self._children_of(drafts, database)
        target = self._parent.target_field.attname
        digests = FieldDigests(self._model, database=database)
        owners = {draft: self._value_of(draft, target, database) for draft in drafts}
        stored: dict[Any, list[Any]] = defaultdict(list)
        children = self._model._base_manager.using(database).order_by("pk")
        children = database_of(database).locking(children)
        for child in children.filter(**{f"{self._parent.attname}__in": list(owners.values())}):
            stored[getattr(child, self._parent.attname)].append(child)
        for draft in drafts:
            if draft not in rows:
                continue  # it was told why
            children = stored[owners[draft]]
            if self._stays(draft, rows[draft], children, digests, is_theirs):
                continue
            is_empty = not (rows[draft] or children)  # so are most, which pay for no savepoint
            is_done = is_empty or self._is_written(
                draft, owners[draft], children, rows[draft], database
            )
            if is_done and self.is_two_way:
                agreed = self._digest(map(_values, rows[draft]), digests)
                draft.agreed = {**draft.agreed, self.name: agreed}

    def _is_written(
        self, draft: Draft, owner: Any, children: list[Any], rows: list[Draft], database: str
    ) -> bool:
        """Whether the list of a draft could be written; the draft takes note why not."""
        try:
            with transaction.atomic(using=database):
                is_touched = self._merge(owner, children, rows, database)
        except Exception as error:
            column, value = getattr(error, "column", ""), getattr(error, "value", None)
            where = f"{self._remote}.{column}" if column else self._remote
            said = error.cause if isinstance(error, RowFailure) else _said(error)
            if self._is_hidden:  # what is said may have a value in it
                said, value = type(error).__name__, MASK
            _note(draft, where, value, f"its list is not written: {said}", error, database)
            return False
        if is_touched and draft.outcome == Outcome.UNCHANGED:
            draft.outcome = Outcome.UPDATED
        return True

    def _stays(
        self,
        draft: Draft,
        rows: list[Draft],
        children: list[Any],
        digests: FieldDigests,
        is_theirs: IsTheirs,
    ) -> bool:
        """Whether the list was changed here and not there, or counts as it is here."""
        if draft.existing is None or not self.is_two_way:
            return False
        if any(row.error is not None for row in rows):
            return False  # writing tells
        names = [field.name for field in self._fields]
        return not is_theirs(
            draft,
            self.name,
            [{name: row.values.get(name) for name in names} for row in rows],
            [{name: getattr(child, name, None) for name in names} for child in children],
            theirs=self._digest(map(_values, rows), digests),
            ours=self._digest(map(vars, children), digests),
        )

    def _digest(self, objects: Iterable[Dict[str, Any]], digests: FieldDigests) -> int:
        """Four bytes for objects with these values by attribute; never that of no list."""
        names = [field.name for field in self._fields if field.name in digests.names]
        found = [[digests.of_values(name, values) for name in names] for values in objects]
        if self._key:
            found.sort()  # the key tells them apart, whatever their order is
        return crc32(repr(found).encode()) or 1

    def _value_of(self, draft: Draft, attname: str, database: str) -> Any:
        if attname == self._parent.related_model._meta.pk.attname:
            return _pk(draft)
        rows = self._parent.related_model._base_manager.using(database)
        return rows.values_list(attname, flat=True).get(pk=_pk(draft))

    def _children_of(self, drafts: list[Draft], database: str) -> dict[Draft, list[Draft]]:
        """The rows of the lists, transformed: all of them together, for one query a relation."""
        listed: dict[Draft, list[Draft]] = {}
        documents: list[tuple[Draft, Any]] = []
        for draft in drafts:
            value = draft.row[self.name]
            if value is not None and not isinstance(value, (list, tuple)):
                cause = f"its list is not written: it is no list, but a {type(value).__name__}"
                shown = MASK if self._is_hidden else value
                _note(draft, self._remote, shown, cause, None, database)
                continue
            listed[draft] = []
            documents += [(draft, each) for each in value or ()]
        rows = self._flatten([document for _, document in documents])
        children = [Draft(number, row) for number, row in enumerate(rows.dicts(), start=1)]
        for child, fault in zip(children, rows.faults, strict=False):
            if fault is not None:
                child.fail(fault)
        for child in children:
            child.row.pop(KEY, None)
        transform = self._transform(database)
        transform([child for child in children if child.error is None])
        resolve(transform.relations, [child for child in children if child.error is None])
        for (draft, _), child in zip(documents, children, strict=True):
            if not isinstance(child.error, RowSkipped):
                listed[draft].append(child)
        return listed

    def _transform(self, database: str) -> Transform:
        described: dict[str, Column] = {
            field.name: relation_column(self._mapping, field)
            for field in self._fields
            if field.related is not None
        }
        migration: Migration = type(
            self._label,
            (Migration,),
            {
                "__module__": __name__,
                "model": self._model,
                "column_description": described,
            },
        )()
        linked = Linked(label=self._label, sources=self._sources, find=LinkLookup(database))
        return Transform(migration, database=database, hooks=Hooks(migration), linked=linked)

    def _merge(self, owner: Any, stored: list[Any], rows: list[Draft], database: str) -> bool:
        """Write one list; whether anything was changed. Raises what stands against it."""
        for row in rows:
            if row.error is not None:
                raise row.error
        known = self._matched(stored, rows)
        is_touched = False
        for row in rows:
            child = known.get(row)
            if child is None:
                row.values[self._parent.attname] = owner
                row.instance = child = self._model(**row.values)
                child.save(using=database)
                is_touched = True
            elif self._mode != APPEND:
                before = stored_values(child)
                row.existing = child
                apply_to_existing(row)
                if changed := changed_fields(child, before):
                    child.save(using=database, update_fields=changed)
                    is_touched = True
            else:
                continue
            for name, targets in row.m2m.items():
                manager = getattr(child, name)
                if set(manager.values_list("pk", flat=True)) != set(targets):
                    manager.set(targets)
                    is_touched = True
        if self._mode == REPLACE:
            kept = {child.pk for child in known.values()}
            for child in (child for child in stored if child.pk not in kept):
                child.delete(using=database)
                is_touched = True
        return is_touched

    def _matched(self, stored: list[Any], rows: list[Draft]) -> dict[Draft, Model]:
        """The child that each row is. Raises :exc:`RowFailure` for two rows of one key."""
        if self._key:
            by_key = {self._key_of(child): child for child in reversed(stored)}
            keys = [self._key_in(row) for row in rows]
            for key in keys:
                if keys.count(key) > 1:
                    raise RowFailure(
                        "two rows of the list have this key", column=self._key, value=key
                    )
            return {row: by_key[key] for row, key in zip(rows, keys, strict=True) if key in by_key}
        if self._mode == REPLACE:
            return dict(zip(rows, stored, strict=False))
        left = list(stored)
        found = {}
        for row in rows:
            same = next((child for child in left if _has(child, row)), None)
            if same is not None:
                found[row] = same
                left.remove(same)
        return found

    def _key_of(self, child: Any) -> Any:
        return getattr(child, self._model._meta.get_field(self._key).attname)

    def _key_in(self, row: Draft) -> Any:
        field = self._model._meta.get_field(self._key)
        return row.values.get(field.attname, row.values.get(field.name))


def parent_of(mapping: type[Mapping], remote: str, nested: Nested) -> Any:
    """The foreign key by which the objects of a nested list belong to their parent.

    Raises :exc:`SpecError` where there is none, or where several are not told apart.
    """
    child, parent = nested.mapping.model, mapping.model
    found = [
        field
        for field in child._meta.concrete_fields
        if field.many_to_one or field.one_to_one
        if field.related_model is not None
        and issubclass(parent, field.related_model)
        and (not nested.parent or field.name == nested.parent)
    ]
    if len(found) == 1:
        return found[0]
    named = f" called {nested.parent!r}" if nested.parent else ""
    several = ", ".join(field.name for field in found) or "none"
    raise SpecError(
        f"{mapping.__name__}.fields[{remote!r}]: {child._meta.label} needs one foreign key"
        f"{named} to {parent._meta.label}, and has {several}. Name it:"
        f' Nested({nested.mapping.__name__}, parent="...").'
    )


def _values(row: Draft) -> Dict[str, Any]:
    """The values of a row by attribute, which it may have by the names of fields."""
    return row.values if row.object is None else {**vars(row.object), **row.values}


def _has(child: Any, row: Draft) -> bool:
    """Whether the child has all the values of the row already."""
    before = stored_values(child)
    copy = type(child)(**before)
    row.existing = copy
    apply_to_existing(row)
    row.existing = None
    return not changed_fields(copy, before)


def _pk(draft: Draft) -> Any:
    return draft.pk if draft.existing is None else draft.existing.pk


def _said(error: Exception) -> str:
    said, name = words(error), type(error).__name__
    return name if said == name else f"{name}: {said}"


def _note(
    draft: Draft,
    column: str,
    value: Any,
    cause: str,
    error: Exception | None,
    database: str,
) -> None:
    """Tell what went wrong with a written row; raise it where the database itself is at fault."""
    if error is not None and database_of(database).is_at_fault(error):
        raise error
    note = Note(column, value, cause)
    if note not in draft.unfinished:
        draft.unfinished += (note,)
