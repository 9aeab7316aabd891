"""Targets by their legacy keys: what the ledger remembers of the rows that became them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Model

from ..exceptions import ConversionError
from ..fields.primary_keys import pk_from_text
from ..ledger import Outstanding
from ..rows.keys import alternative, key_text
from ..utils.chunks import chunks
from .targets import Targets

#: (migrations, keys) -> the primary keys, as text, of the objects that rows with a key became.
Find = Callable[[Sequence[str], Collection[Any]], Mapping[Any, Sequence[str]]]

_PLAIN = (int, str)


@dataclass(frozen=True, kw_only=True, slots=True)
class Linked:
    """What a step has to know to find targets by legacy key, and to know what is to come of them.

    ``label`` is the step's own migration. ``sources`` are the migrations that fill what each
    entry of ``column_description`` refers to, ``keyed`` those of them whose legacy keys it holds.
    ``find`` asks the ledger for objects, ``outstanding`` for rows that became none, yet.
    """

    label: str
    sources: Mapping[str, Sequence[str]]
    find: Find
    keyed: Mapping[str, Sequence[str]] = field(default_factory=dict)
    outstanding: Outstanding | None = None


class TargetsByLegacyKey(Targets):
    """The objects of ``klass`` by the legacy keys of the rows of ``labels``.

    A key that no row has is tried in its other form too: the text ``"7"`` finds the number 7.
    """

    name = "legacy key"

    def __init__(
        self,
        klass: type[Model],
        labels: Sequence[str],
        find: Find,
        *,
        value_attr: str | None,
        database: str,
    ) -> None:
        super().__init__(klass, value_attr=value_attr, database=database)
        self._labels = labels
        self._find = find
        self._pk_of = pk_from_text(klass)

    def knows(self, value: Any) -> bool:
        try:
            return value in self._cache
        except TypeError:
            return False

    def convert(self, value: Any) -> Any:
        if type(value) in _PLAIN:
            return value
        parts = value if isinstance(value, tuple) else (value,)
        plain = tuple(bytes(p) if isinstance(p, (bytearray, memoryview)) else p for p in parts)
        key = plain if isinstance(value, tuple) else plain[0]
        try:
            key_text(key)
            hash(key)
        except TypeError as error:
            raise ConversionError(str(error), value=value) from error
        return key

    def key_of(self, instance: Model) -> Any:
        wanted = self._value_attr
        self._cache[instance] = instance if wanted is None else getattr(instance, wanted)
        return instance

    def is_null(self, value: Any) -> bool:
        return False

    def described(self, key: Any) -> str:
        return f"the legacy key {key!r}"

    @property
    def ambiguity(self) -> str:
        several = " and ".join(self._labels)
        return (
            f"{super().ambiguity}, in {several}: name the migration, as in"
            f' legacy="{self._labels[0]}"'
        )

    def _search(self, keys: list[Any]) -> Iterator[tuple[Any, Any]]:
        linked = self._linked(keys)
        stored: dict[Any, Any] = {}
        for pks in chunks({pk for found in linked.values() for pk in found}, self._chunk):
            rows = self._queryset.filter(pk__in=pks)
            if self._value_attr is None:
                stored.update((target.pk, target) for target in rows)
            else:
                stored.update(rows.values_list("pk", self._value_attr))
        for key, found in linked.items():
            # Somebody may have deleted the object since.
            yield from ((key, stored[pk]) for pk in found if pk in stored)

    def _linked(self, keys: list[Any]) -> dict[Any, list[Any]]:
        linked = dict(self._find(self._labels, keys))
        others = {alternative(key): key for key in keys if key not in linked}
        others.pop(None, None)
        for other, found in self._find(self._labels, others.keys()).items() if others else ():
            linked[others[other]] = found
        return {key: [self._pk_of(text) for text in found] for key, found in linked.items()}
