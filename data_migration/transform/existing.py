"""The objects that rows of an updateable migration stand for already, one query per batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Field, Model

from ..exceptions import ConversionError, MissingTarget
from ..fields.converters import key_conversion
from ..fields.lookup import target_field_of
from ..rows.drafts import Draft
from ..spec.columns import Column
from ..utils.databases import database_of

Key = tuple[Any, ...]


class Existing:
    """Finds stored objects by the migration's identifying attributes."""

    def __init__(self, model: type[Model], attrs: tuple[str, ...], *, database: str) -> None:
        self.attrs = attrs
        self._fields: list[Field[Any, Any]] = [
            model._meta.pk if attr == "pk" else model._meta.get_field(attr)  # type: ignore[misc]
            for attr in attrs
        ]
        self._converters = [
            key_conversion(target_field_of(field), attr, database=database, is_exact=False)
            for field, attr in zip(self._fields, attrs, strict=True)
        ]
        self._queryset = model._base_manager.using(database)
        self._database = database

    def is_found_by_row(self, described: Mapping[str, Column]) -> bool:
        """Whether the raw row tells: not where a relation has to be resolved before."""
        return not any(attr in described and not described[attr].exclude for attr in self.attrs)

    def find_by_row(self, drafts: Iterable[Draft]) -> None:
        """Find by the raw row, before any transformation."""
        keys: dict[Draft, Key] = {}
        for draft in drafts:
            try:
                keys[draft] = tuple(
                    convert(draft.row.get(attr))
                    for convert, attr in zip(self._converters, self.attrs, strict=True)
                )
            except Exception as error:
                draft.fail(error)
        self._find(keys)

    def find_by_values(self, drafts: Iterable[Draft]) -> None:
        """Find by the transformed values. A row that repeats a key of the batch has to wait."""
        keys: dict[Draft, Key] = {}
        for draft in drafts:
            key = tuple(_value(draft.values, field) for field in self._fields)
            try:
                for convert, value in zip(self._converters, key, strict=True):
                    convert(value)
            except ConversionError:
                continue  # no stored object has it; writing the row will say what is wrong
            keys[draft] = key
        self._find(keys)

    def _find(self, keys: dict[Draft, Key]) -> None:
        stored: dict[Key, list[Model]] = {}
        if whole := {key for key in keys.values() if None not in key}:
            columns = zip(self._fields, zip(*whole, strict=True), strict=True)
            condition = {f"{field.name}__in": set(values) for field, values in columns}
            # What is found is compared and written: nobody may change it in between.
            objects = database_of(self._database).locking(self._queryset)
            for found in objects.filter(**condition):
                key = tuple(getattr(found, field.attname) for field in self._fields)
                stored.setdefault(key, []).append(found)
        seen: set[Key] = set()
        for draft, key in keys.items():
            if None in key or draft.error is not None:
                continue
            draft.waiting = draft.waiting or key in seen
            seen.add(key)
            match stored.get(key, []):
                case [found]:
                    draft.existing = found
                case [_, *_] as several:
                    draft.fail(
                        MissingTarget(
                            f"{len(several)} objects of {self._queryset.model._meta.label} have"
                            " this value, so it is unclear which one the row is",
                            column=self.attrs[0],
                            value=key[0] if len(key) == 1 else key,
                        )
                    )


def _value(values: dict[str, Any], field: Field[Any, Any]) -> Any:
    if field.attname in values:
        return values[field.attname]
    value = values.get("pk") if field.primary_key and "pk" in values else values.get(field.name)
    return value.pk if isinstance(value, Model) else value
