"""Digests of an object's fields as they were written: did somebody else change them since?"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from struct import Struct, pack, unpack_from
from typing import Any
from zlib import crc32

from django.db.models import Model

from .primary_keys import is_in_key
from .stock import is_foretold
from .value_digests import LEFT_OUT, UNKNOWN, ways_to_digest

__all__ = ["UNKNOWN", "FieldDigests", "packed_by_name", "targets_digest", "unpacked"]


class FieldDigests:
    """Four bytes for each field of a model, and for each of the many-to-manys in ``m2m``.

    Two values of a field have the same digest when the database would give them back as the same
    value; where that is not foretold, digests are taken of what it gave back. A change goes
    unnoticed with a probability of one in four thousand million.

    ``packed`` digests begin with the number of their layout, so that a model that gains or loses
    a field keeps what is known of the others.
    """

    def __init__(self, model: type[Model], m2m: Sequence[str] = (), *, database: str) -> None:
        concrete = [
            field
            for field in model._meta.concrete_fields
            if not (is_in_key(field, model) or field.generated)
        ]
        self.names: tuple[str, ...] = (*(field.name for field in concrete), *m2m)
        self.layout = crc32(json.dumps(self.names).encode())
        self._head = pack("<I", self.layout)
        self._form = f"<{len(self.names)}I"
        self._m2m = tuple(m2m)
        #: Whether the values that were written tell what the database gives back.
        self.are_foretold = all(map(is_foretold, concrete))
        ways = [ways_to_digest(field, database) for field in concrete]
        self._columns = [(f.attname, all_) for f, (all_, _) in zip(concrete, ways, strict=True)]
        self._by_name = {
            f.name: (f.attname, digest) for f, (_, digest) in zip(concrete, ways, strict=True)
        }
        self._of_column = {f.name: all_ for f, (all_, _) in zip(concrete, ways, strict=True)}

    def packed(
        self,
        objects: Sequence[Mapping[str, Any]],
        m2m: Sequence[Mapping[str, Iterable[Any]]],
    ) -> list[bytes]:
        """The digests of all fields of objects that were just written, in their order.

        ``objects`` are their values by attribute name, ``m2m`` their targets by accessor name.
        """
        columns = []
        for name, way in self._columns:
            try:
                values = [each[name] for each in objects]
            except KeyError:
                values = [each.get(name, LEFT_OUT) for each in objects]
            columns.append(way(values))
        for name in self._m2m:
            columns.append(
                [targets_digest(each[name]) if name in each else UNKNOWN for each in m2m]
            )
        head, form = self._head, Struct(self._form).pack
        return [head + form(*digests) for digests in zip(*columns, strict=True)]

    def repacked(self, known: Mapping[str, int]) -> bytes:
        """Digests by name in their packed form; one that is not there is unknown."""
        return self._head + pack(self._form, *(known.get(name, UNKNOWN) for name in self.names))

    def of_column(self, name: str, values: Sequence[Any]) -> Iterable[int]:
        """The digests of one field of many objects, which have these values."""
        return self._of_column[name](values)

    def of(self, name: str, instance: Any) -> int:
        """The digest of one field of ``instance`` as it stands."""
        return self.of_values(name, vars(instance))

    def of_values(self, name: str, values: Mapping[str, Any]) -> int:
        """The digest of one field of an object with these values by attribute name."""
        attname, digest = self._by_name[name]
        return digest(values.get(attname))

    def of_m2m(self, targets: Mapping[str, Iterable[Any]]) -> dict[str, int]:
        """The digests of many-to-manys by name."""
        return {name: targets_digest(each) for name, each in targets.items()}

    def edited(self, written: Mapping[str, int], values: Mapping[str, Any]) -> set[str]:
        """The fields whose stored ``values`` (by attribute name) are not those once written."""
        return {
            name
            for name, (attname, digest) in self._by_name.items()
            if attname in values
            and written.get(name, UNKNOWN) != UNKNOWN
            and digest(values[attname]) not in (written[name], UNKNOWN)
        }


def packed_by_name(known: Mapping[str, int]) -> tuple[int, bytes]:
    """Digests by name in their packed form, of no more names than these; its layout before it."""
    layout = crc32(json.dumps(list(known)).encode())
    return layout, pack("<I", layout) + pack(f"<{len(known)}I", *known.values())


def unpacked(packed: bytes, layouts: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """The digests by field name; ``layouts`` are the names by layout number."""
    if len(packed) < 4:
        return {}
    (layout,) = unpack_from("<I", packed)
    names = layouts.get(str(layout), ())
    if len(packed) != 4 + 4 * len(names):
        return {}
    return dict(zip(names, unpack_from(f"<{len(names)}I", packed, 4), strict=True))


def targets_digest(targets: Iterable[Any]) -> int:
    """The digest of a set of many-to-many targets, whatever their order."""
    return crc32("\n".join(sorted(map(str, set(targets)))).encode()) or 1
