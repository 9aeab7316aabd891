"""The objects that a relation may refer to, by the value that the legacy rows have for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

from django.core.exceptions import FieldDoesNotExist
from django.db import connections
from django.db.models import F, Field, ForeignKey, Model, QuerySet

from .conf import settings
from .converters import Converter, key_converter, own_type

MISSING: Final = object()
AMBIGUOUS: Final = object()


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
        self._own_type = own_type(field) if field else None
        self._value_attr = value_attr
        self._queryset: QuerySet[Any] = klass._base_manager.using(database)
        # An object takes more than ten times the memory of its key.
        share = 10 if value_attr is None else 1
        self._limit = max(settings.relation_cache_size // share, 1)
        self._prefetch = prefetch and not self._lookup
        self._cache: dict[Any, Any] = {}
        self._chunk = min(connections[database].features.max_query_params or 10_000, 10_000)

    def get(self, key: Any) -> Any:
        return self._cache.get(key, MISSING)

    def knows(self, value: Any) -> bool:
        """Whether ``value`` is a key as it is, and one whose target was found before."""
        return type(value) is self._own_type and value in self._cache

    def finds(self, key: Any) -> bool:
        """Whether exactly one target is known for ``key``."""
        target = self._cache.get(key, MISSING)
        return target is not MISSING and target is not AMBIGUOUS

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


def field_at(klass: type[Model], attr: str) -> Field[Any, Any] | None:
    """The field that a search attribute ends at, None for one with a lookup after it."""
    field, lookup = _path(klass, attr)
    return None if lookup else field


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
