"""What ``process()`` changed of the objects of a page, saved in bulk."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

from django.db import transaction


class Saved(NamedTuple):
    updated: int
    unchanged: int
    failed: list[tuple[Any, Exception]]


class Changes:
    """The objects of a page as they were read, and then what is different of them."""

    def __init__(self, objects: Sequence[Any], database: str) -> None:
        self._objects = objects
        self._database = database
        self._before = [deepcopy(_fields(item)) for item in objects]

    def written(self, *, but: Collection[int] = ()) -> Saved:
        """Write the columns that changed, but those of the objects with these ids (of Python)."""
        groups: dict[tuple[str, ...], list[Any]] = {}
        unchanged = 0
        for item, before in zip(self._objects, self._before, strict=True):
            if id(item) in but:
                continue
            now = _fields(item)
            changed = tuple(
                name
                for name, value in now.items()
                if hasattr(value, "resolve_expression") or value != before[name]
            )
            if changed:
                groups.setdefault(changed, []).append(item)
            else:
                unchanged += 1
        failed: list[tuple[Any, Exception]] = []
        for names, objects in groups.items():
            self._write(objects, names, failed)
        updated = sum(map(len, groups.values())) - len(failed)
        return Saved(updated, unchanged, failed)

    def _write(self, objects: list[Any], names: Sequence[str], failed: list[Any]) -> None:
        manager = type(objects[0])._base_manager.using(self._database)
        try:
            with transaction.atomic(using=self._database):
                manager.bulk_update(objects, names)
        except Exception as error:
            if len(objects) == 1:
                failed.append((objects[0], error))
                return
            middle = len(objects) // 2
            self._write(objects[:middle], names, failed)
            self._write(objects[middle:], names, failed)


def _fields(item: Any) -> dict[str, Any]:
    own = vars(item)
    fields = item._meta.concrete_fields
    return {f.attname: own[f.attname] for f in fields if f.attname in own and not f.primary_key}
