"""The objects that a relation may refer to, by the value that the legacy rows have for them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import NoneType
from typing import Any, Final

from django.db.models import F, Field, Model, QuerySet

from ..conf import settings
from ..exceptions import ConversionError
from ..fields.converters import key_conversion
from ..fields.paths import AttributePath
from ..fields.stock import fitting_type_of
from ..utils.chunks import chunks
from ..utils.databases import database_of

MISSING: Final = object()
AMBIGUOUS: Final = object()


class Targets(ABC):
    """Objects of ``klass`` by key; remembers as many as the setting allows.

    ``value_attr`` names what is wanted of each object; None means the object itself.
    """

    def __init__(self, klass: type[Model], *, value_attr: str | None, database: str) -> None:
        self.klass = klass
        self._value_attr = value_attr
        self._queryset: QuerySet[Any] = klass._base_manager.using(database)
        # An object takes more than ten times the memory of its key.
        share = 10 if value_attr is None else 1
        self._limit = max(settings.relation_cache_size // share, 1)
        self._cache: dict[Any, Any] = {}
        #: Whether all of them are to be loaded at once, if they are no more than the limit.
        self.prefetches = False
        self._chunk = database_of(database).values_in_query(at_most=10_000)

    def get(self, key: Any) -> Any:
        return self._cache.get(key, MISSING)

    @abstractmethod
    def knows(self, value: Any) -> bool:
        """Whether ``value`` is a key as it is, and one whose target was found before."""

    def finds(self, key: Any) -> bool:
        """Whether exactly one target is known for ``key``."""
        target = self._cache.get(key, MISSING)
        return target is not MISSING and target is not AMBIGUOUS

    @abstractmethod
    def convert(self, value: Any) -> Any:
        """The key that ``value`` stands for. Raises :exc:`ConversionError` where there is none."""

    @abstractmethod
    def key_of(self, instance: Model) -> Any:
        """The key of an object that a hook put into the row."""

    @abstractmethod
    def is_null(self, value: Any) -> bool:
        """Whether ``value`` is an empty text where the key is no text."""

    @abstractmethod
    def described(self, key: Any) -> str:
        """The key as a message names it, such as ``code = 'AT'``."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What a key is of its object."""

    @property
    def ambiguity(self) -> str:
        """What is wrong with a key that has several targets."""
        return f"matches more than one {self.klass._meta.label}"

    def of_all(self, values: list[Any]) -> list[Any] | None:
        """The target of each value, where every one is a key as it is or None; else None."""
        return None

    def forget(self) -> None:
        """Ask the database again: objects that were found are gone."""
        self._cache.clear()

    def load(self, keys: set[Any]) -> None:
        """Make :meth:`get` know those of ``keys`` that exist."""
        missing = keys - self._cache.keys()
        if missing and len(self._cache) + len(missing) > self._limit:
            self._cache.clear()
            missing = keys
        for chunk in chunks(missing, self._chunk):
            self._remember(self._search(chunk))

    @abstractmethod
    def _search(self, keys: list[Any]) -> Iterable[tuple[Any, Any]]:
        """The keys that have a target, each with what is wanted of it."""

    def _remember(self, pairs: Iterable[tuple[Any, Any]]) -> None:
        fresh: dict[Any, Any] = {}
        for key, target in pairs:
            fresh[key] = target if fresh.get(key, target) == target else AMBIGUOUS
        self._cache.update(fresh)


class Attribute:
    """An attribute of ``klass``, or a path from it, that targets are searched by."""

    def __init__(self, klass: type[Model], name: str, *, database: str) -> None:
        self.name = name
        path = AttributePath.follow(klass, name)
        field, self.lookup = (path.field, path.lookup) if path is not None else (None, "")
        self.path = name.removesuffix(f"__{self.lookup}") if self.lookup else name
        self.is_text = field is None or field.empty_strings_allowed
        # Without a field of its own (a relation's other side) a value is searched as it is.
        self.convert: Callable[[Any], Any] = key_conversion(
            field or Field(), name, database=database, is_exact=True
        )
        self.own_type = fitting_type_of(field) if field else None

    def is_null(self, value: Any) -> bool:
        return not self.is_text and bool(value == "")


class SearchedTargets(Targets):
    """Objects that are searched by the values of attributes."""

    def __init__(
        self,
        klass: type[Model],
        attributes: Sequence[str],
        *,
        value_attr: str | None,
        prefetch: bool,
        database: str,
    ) -> None:
        super().__init__(klass, value_attr=value_attr, database=database)
        self._attributes = [Attribute(klass, name, database=database) for name in attributes]
        self._has_lookup = any(attribute.lookup for attribute in self._attributes)
        self.prefetches = prefetch and not self._has_lookup
        self._chunk //= len(attributes)

    @property
    def name(self) -> str:
        return ", ".join(attribute.name for attribute in self._attributes)

    def load(self, keys: set[Any]) -> None:
        if self.prefetches and keys:
            self.prefetches = False
            if self._queryset[: self._limit + 1].count() <= self._limit:
                self._remember(self._pairs(self._queryset.all()))
        super().load(keys)

    def _search(self, keys: list[Any]) -> Iterator[tuple[Any, Any]]:
        if not self._has_lookup:
            yield from self._pairs(self._queryset.filter(**self._among(keys)))
            return
        # A lookup such as iexact has no form for many values at once.
        for key in keys:
            for _, target in self._pairs(self._queryset.filter(**self._equal(key))[:2]):
                yield key, target

    @abstractmethod
    def _among(self, keys: list[Any]) -> dict[str, Any]:
        """The condition that finds all of ``keys``, and possibly others."""

    @abstractmethod
    def _equal(self, key: Any) -> dict[str, Any]:
        """The condition that finds one key."""

    def _pairs(self, queryset: QuerySet[Any]) -> Iterator[tuple[Any, Any]]:
        paths = [attribute.path for attribute in self._attributes]
        if self._value_attr is not None:
            for *values, target in queryset.values_list(*paths, self._value_attr).iterator():
                yield tuple(values), target
            return
        names = [f"legacy_search_value_{number}" for number in range(len(paths))]
        found = queryset.annotate(**dict(zip(names, map(F, paths), strict=True)))
        for target in found.iterator():
            yield tuple(getattr(target, name) for name in names), target


class TargetsByAttribute(SearchedTargets):
    """The objects of ``klass`` by the value of ``attr``."""

    def __init__(self, klass: type[Model], attr: str, **options: Any) -> None:
        super().__init__(klass, (attr,), **options)
        self.attr = attr
        (attribute,) = self._attributes
        self._convert, self._own_type = attribute.convert, attribute.own_type

    def knows(self, value: Any) -> bool:
        return type(value) is self._own_type and value in self._cache

    def convert(self, value: Any) -> Any:
        return self._convert(value)

    def of_all(self, values: list[Any]) -> list[Any] | None:
        wanted = set(values) if set(map(type, values)) <= {self._own_type, NoneType} else {""}
        if "" in wanted:
            return None
        try:
            if not all(self._convert(key) == key for key in wanted - {None} - self._cache.keys()):
                return None
        except ConversionError:
            return None
        self.load(wanted - {None})
        found = [None if value is None else self.get(value) for value in values]
        return None if any(each is MISSING or each is AMBIGUOUS for each in found) else found

    def key_of(self, instance: Model) -> Any:
        return getattr(instance, self.attr)

    def is_null(self, value: Any) -> bool:
        return self._attributes[0].is_null(value)

    def described(self, key: Any) -> str:
        return f"{self.attr} = {key!r}"

    def _among(self, keys: list[Any]) -> dict[str, Any]:
        return {f"{self.attr}__in": keys}

    def _equal(self, key: Any) -> dict[str, Any]:
        return {self.attr: key}

    def _pairs(self, queryset: QuerySet[Any]) -> Iterator[tuple[Any, Any]]:
        if self._value_attr is not None:
            path = self._attributes[0].path
            yield from queryset.values_list(path, self._value_attr).iterator()
            return
        for (key,), target in super()._pairs(queryset):
            yield key, target


class TargetsByAttributes(SearchedTargets):
    """The objects of ``klass`` by the values of several attributes; a key is a tuple of them."""

    def __init__(self, klass: type[Model], attrs: Sequence[str], **options: Any) -> None:
        super().__init__(klass, attrs, **options)
        self._own_types = tuple(attribute.own_type for attribute in self._attributes)

    def _with(self, values: Sequence[Any]) -> Iterator[tuple[Attribute, Any]]:
        return zip(self._attributes, values, strict=True)

    def knows(self, value: Any) -> bool:
        return tuple(map(type, value)) == self._own_types and value in self._cache

    def convert(self, value: Any) -> Any:
        return tuple(attribute.convert(each) for attribute, each in self._with(value))

    def key_of(self, instance: Model) -> Any:
        return tuple(getattr(instance, attribute.name) for attribute in self._attributes)

    def is_null(self, value: Any) -> bool:
        return any(attribute.is_null(each) for attribute, each in self._with(value))

    def described(self, key: Any) -> str:
        return ", ".join(f"{attribute.name} = {each!r}" for attribute, each in self._with(key))

    def _among(self, keys: list[Any]) -> dict[str, Any]:
        # Finds pairs that nobody asked for as well, in a statement that every database plans well.
        values = self._with(list(zip(*keys, strict=True)))
        return {f"{attribute.name}__in": set(each) for attribute, each in values}

    def _equal(self, key: Any) -> dict[str, Any]:
        return {attribute.name: each for attribute, each in self._with(key)}
