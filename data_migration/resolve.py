"""Relations: the values of a column -> the objects they mean, one lookup per batch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from django.db.models import ForeignKey, ManyToManyField, Model
from django.db.models.fields.reverse_related import ManyToManyRel

from .columns import Column, Relation
from .drafts import Draft, Note
from .exceptions import ConversionError, MissingTarget
from .targets import AMBIGUOUS, MISSING, Targets, field_at


class Unfit:
    """A value that the searched attribute cannot have, and why."""

    def __init__(self, value: Any, cause: str) -> None:
        self.value = value
        self.cause = cause


class RelationColumn:
    """A column that refers to other objects, compiled for one step."""

    def __init__(
        self,
        column: str,
        description: Column,
        field: Any,
        *,
        model: type[Model],
        database: str,
        with_instances: bool,
    ) -> None:
        assert description.klass is not None
        self.column = column
        self.description = description
        self.field = field
        self.is_many = description.relation is Relation.M2M
        self.is_self = description.klass._meta.concrete_model is model._meta.concrete_model
        value_attr, instances = _assigned(field, with_instances)
        #: The keyword argument (or many-to-many accessor) that receives the target.
        self.name: str = column if self.is_many else field.name if instances else field.attname
        self._own_key = self._own_key_of(field, description)
        searched = field_at(description.klass, description.search_attr)
        is_own = self.is_self and searched is not None and "__" not in description.search_attr
        #: The attribute of this very model that other rows find it by; empty where there is none.
        self.search_attr = searched.attname if searched and is_own else ""
        self.targets = Targets(
            description.klass,
            description.search_attr,
            value_attr=None if instances else value_attr,
            prefetch=description.prefetch and not self.is_self,
            database=database,
        )

    def _own_key_of(self, field: Any, description: Column) -> str:
        """The attribute by which a row of a tree may point at itself; empty where none can."""
        if not self.is_self or not isinstance(field, ForeignKey):
            return ""
        names = {field.target_field.name, "pk" if field.target_field.primary_key else ""}
        return field.target_field.attname if description.search_attr in names else ""

    def keys(self, draft: Draft) -> list[Any]:
        """The column's values as the target's attribute has them; empty for NULL.

        A value that cannot be one of the attribute's is an :class:`Unfit`.
        """
        value = draft.row[self.column]
        if isinstance(value, Model):
            value = getattr(value, self.targets.attr)
        if not self.is_many:
            key = self._single_key(value)
            return [] if key is None else [key]
        try:
            parts = list(self._split(value))
        except UnicodeDecodeError as error:
            return [Unfit(value, f"UnicodeDecodeError: {error}")]
        return list(dict.fromkeys(self._key(part) for part in parts))

    def _key(self, value: Any) -> Any:
        try:
            return self.targets.convert(value)
        except ConversionError as error:
            return Unfit(value, error.cause)

    def _single_key(self, value: Any) -> Any:
        if value is None or self.targets.knows(value):
            return value
        if value == "" and not self.targets.is_text:
            return None
        return self._key(value)

    def _split(self, value: Any) -> Iterator[Any]:
        if isinstance(value, (bytes, bytearray)):
            value = value.decode()
        if isinstance(value, str):
            parts = (part.strip() for part in value.split(self.description.delimiter))
            yield from filter(None, parts)
        elif isinstance(value, Iterable):
            yield from value
        elif value is not None:
            yield value

    def unresolved(self, draft: Draft) -> list[Any]:
        """The keys of the draft whose targets are not known (yet)."""
        keys = self.keys(draft) if self.column in draft.row else []
        return [key for key in keys if self.targets.get(key) is MISSING]

    def own_key(self, draft: Draft) -> Any:
        """The key under which other rows (will) find the draft's object."""
        instance = draft.instance or draft.existing
        if instance is not None:
            return getattr(instance, self.search_attr)
        return draft.values.get(self.search_attr, draft.values.get(self.targets.attr))

    def assign(self, draft: Draft, keys: list[Any], *, final: bool) -> None:
        """Give the draft its targets.

        A target of the model itself that does not exist yet makes the draft wait, unless
        ``final``. A missing one is noted with ``skip_missing``, else :exc:`MissingTarget`.
        """
        if not self.is_many and len(keys) == 1 and self.targets.finds(keys[0]):
            draft.values[self.name] = self.targets.get(keys[0])
            return
        found = list(self._found(draft, keys, final=final))
        if self.is_many:
            draft.links = {**draft.links, self.name: found}
        elif keys and keys == [draft.values.get(self._own_key)]:
            draft.values[self.field.attname] = draft.values[self._own_key]
        else:
            draft.values[self.name] = found[0] if found else None

    def _found(self, draft: Draft, keys: list[Any], *, final: bool) -> Iterator[Any]:
        for key in keys:
            if isinstance(key, Unfit):
                self._miss(draft, key)
                continue
            target = self.targets.get(key)
            if target is AMBIGUOUS:
                raise self._missing(key, "matches more than one")
            if target is not MISSING:
                yield target
            elif self._own_key and draft.values.get(self._own_key) == key:
                continue  # a root that names itself as its parent
            elif self.is_self and not final:
                # A row cannot be written without its parent; links can be added later.
                draft.has_late_links = draft.has_late_links or self.is_many
                draft.waiting = draft.waiting or not self.is_many
            elif key != "" or self.is_many:
                self._miss(draft, key)

    def _miss(self, draft: Draft, key: Any) -> None:
        error = self._missing(key, "matches no")
        if not self.description.skip_missing:
            raise error
        draft.notes += (Note(self.column, error.value, error.cause),)

    def _missing(self, key: Any, what: str) -> MissingTarget:
        label, attr = self.targets.klass._meta.label, self.targets.attr
        if isinstance(key, Unfit):
            cause = f"cannot be the {attr} of a {label}: {key.cause}"
            return MissingTarget(cause, column=self.column, value=key.value)
        cause = f"{attr} = {key!r} {what} {label}"
        return MissingTarget(cause, column=self.column, value=key)


def resolve(
    relations: Collection[RelationColumn], drafts: Iterable[Draft], *, final: bool = False
) -> None:
    """Look up the targets of a batch, one query per relation, and give them to the drafts."""
    drafts = [draft for draft in drafts if draft.error is None]
    # A tree settles some of its relations later: what the others found out stays.
    columns = {relation.column for relation in relations}
    has_links = any(relation.is_many for relation in relations)
    for draft in drafts:
        draft.waiting = False
        draft.has_late_links = draft.has_late_links and not has_links
        if draft.notes:
            draft.notes = tuple(note for note in draft.notes if note.column not in columns)
    for relation in relations:
        _resolve_one(relation, [d for d in drafts if relation.column in d.row], final=final)


def _resolve_one(relation: RelationColumn, drafts: list[Draft], *, final: bool) -> None:
    keys_of = [relation.keys(draft) for draft in drafts]
    relation.targets.load({key for keys in keys_of for key in keys if type(key) is not Unfit})
    for draft, keys in zip(drafts, keys_of, strict=True):
        if draft.error is None:
            try:
                relation.assign(draft, keys, final=final)
            except MissingTarget as error:
                draft.fail(error)


def _assigned(field: Any, with_instances: bool) -> tuple[str, bool]:
    """What a relation's field wants of its target: (attribute, whether the object itself)."""
    if isinstance(field, ForeignKey):
        return field.target_field.attname, with_instances
    if isinstance(field, ManyToManyField):
        return field.m2m_reverse_target_field_name(), False
    if isinstance(field, ManyToManyRel):
        return field.field.m2m_target_field_name(), False
    return "pk", True  # the other side of a foreign key takes objects only
