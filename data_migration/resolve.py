"""Relations: the values of a column -> the objects they mean, one lookup per batch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import Any, Final

from django.core.exceptions import FieldDoesNotExist
from django.db import connections
from django.db.models import F, Field, ForeignKey, ManyToManyField, Model, QuerySet
from django.db.models.fields.reverse_related import ManyToManyRel

from .columns import Column, Relation
from .conf import settings
from .converters import Converter, key_converter
from .drafts import Draft, Note
from .exceptions import ConversionError, MissingTarget

MISSING: Final = object()
AMBIGUOUS: Final = object()


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
        self._search_attr = searched.attname if searched else ""
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
            return [] if self._is_none(value) else [self._key(value)]
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

    def _is_none(self, value: Any) -> bool:
        return value is None or (value == "" and not self.targets.is_text)

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
        """The key under which other rows will find the draft's object."""
        values = draft.values
        return values.get(self._search_attr, values.get(self.targets.attr))

    def assign(self, draft: Draft, keys: list[Any], *, final: bool) -> None:
        """Give the draft its targets.

        A target of the model itself that does not exist yet makes the draft wait, unless
        ``final``. A missing one is noted with ``skip_missing``, else :exc:`MissingTarget`.
        """
        if not self.is_many and len(keys) == 1:
            target = self.targets.get(keys[0])
            if target is not MISSING and target is not AMBIGUOUS:
                draft.values[self.name] = target
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


def field_at(klass: type[Model], attr: str) -> Field[Any, Any] | None:
    """The field that a search attribute ends at, None for one with a lookup after it."""
    field, lookup = _path(klass, attr)
    return None if lookup else field


class Targets:
    """The objects of ``klass`` by the value of ``attr``; remembers as many as the setting allows.

    ``value_attr`` names what is wanted of each object; None means the object itself.
    """

    def __init__(
        self,
        klass: type[Model],
        attr: str,
        *,
        value_attr: str | None,
        prefetch: bool,
        database: str,
    ) -> None:
        self.klass = klass
        self.attr = attr
        field, self._lookup = _path(klass, attr)
        self.is_text = field is None or field.empty_strings_allowed
        # Without a field of its own (a relation's other side) a value is searched as it is.
        self.convert: Converter = key_converter(field or Field(), attr, database=database)
        self._value_attr = value_attr
        self._queryset: QuerySet[Any] = klass._base_manager.using(database)
        self._limit = settings.relation_cache_size
        self._prefetch = prefetch and not self._lookup
        self._cache: dict[Any, Any] = {}
        self._chunk = min(connections[database].features.max_query_params or 10_000, 10_000)

    def get(self, key: Any) -> Any:
        return self._cache.get(key, MISSING)

    def forget(self) -> None:
        """Ask the database again: objects that were found are gone."""
        self._cache.clear()

    def load(self, keys: set[Any]) -> None:
        """Make :meth:`get` know those of ``keys`` that exist."""
        if self._prefetch and keys:
            self._prefetch = False
            if self._queryset[: self._limit + 1].count() <= self._limit:
                self._remember(self._pairs(self._queryset.all()))
        missing = keys - self._cache.keys()
        if missing and len(self._cache) + len(missing) > self._limit:
            self._cache.clear()
            missing = keys
        for chunk in _chunks(missing, self._chunk):
            self._remember(self._search(chunk))

    def _search(self, keys: list[Any]) -> Iterator[tuple[Any, Any]]:
        if not self._lookup:
            yield from self._pairs(self._queryset.filter(**{f"{self.attr}__in": keys}))
            return
        # A lookup such as iexact has no form for many values at once.
        for key in keys:
            for _, target in self._pairs(self._queryset.filter(**{self.attr: key})[:2]):
                yield key, target

    def _pairs(self, queryset: QuerySet[Any]) -> Iterator[tuple[Any, Any]]:
        path = self.attr.removesuffix(f"__{self._lookup}") if self._lookup else self.attr
        if self._value_attr is not None:
            yield from queryset.values_list(path, self._value_attr).iterator()
            return
        for target in queryset.annotate(legacy_search_value=F(path)).iterator():
            yield target.legacy_search_value, target

    def _remember(self, pairs: Iterator[tuple[Any, Any]]) -> None:
        fresh: dict[Any, Any] = {}
        for key, target in pairs:
            fresh[key] = target if fresh.get(key, target) == target else AMBIGUOUS
        self._cache.update(fresh)


def _assigned(field: Any, with_instances: bool) -> tuple[str, bool]:
    """What a relation's field wants of its target: (attribute, whether the object itself)."""
    if isinstance(field, ForeignKey):
        return field.target_field.attname, with_instances
    if isinstance(field, ManyToManyField):
        return field.m2m_reverse_target_field_name(), False
    if isinstance(field, ManyToManyRel):
        return field.field.m2m_target_field_name(), False
    return "pk", True  # the other side of a foreign key takes objects only


def _path(klass: type[Model], attr: str) -> tuple[Field[Any, Any] | None, str]:
    """The field at the end of a lookup path, and the lookup (``iexact``) after it, if any."""
    model: Any = klass
    field: Any = None
    for position, part in enumerate(parts := attr.split("__")):
        try:
            field = model._meta.pk if part == "pk" else model._meta.get_field(part)
        except (FieldDoesNotExist, AttributeError):
            return _plain(field), "__".join(parts[position:])
        model = field.related_model
    return _plain(field), ""


def _plain(field: Any) -> Field[Any, Any] | None:
    while isinstance(field, ForeignKey):
        field = field.target_field
    return field if isinstance(field, Field) else None


def _chunks(keys: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(keys)
    while chunk := list(islice(iterator, size)):
        yield chunk
