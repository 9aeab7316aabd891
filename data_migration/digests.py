"""Digests: of a row as it came, of an object's fields as they were written, of a spec.

They answer one question each without keeping the data: did the row change since it was imported,
did somebody else change this field since it was written, did the spec change since it was applied.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from struct import Struct, pack, unpack, unpack_from
from typing import Any
from zlib import crc32

from django.db.models import Model

from .field_digests import LEFT_OUT, UNKNOWN, unwrapped, ways_to_digest
from .migration import ROW_HOOKS, Migration, hook_is_overridden

__all__ = ["UNKNOWN", "FieldDigests", "RowChecksum", "fingerprint", "targets_digest", "unpacked"]


def fingerprint(migration: type[Migration]) -> str:
    """32 hexadecimal digits for what the spec says: query, model, columns and its own hooks.

    A hook counts with its source text; what it calls elsewhere is not seen.
    """
    said = [
        " ".join((migration.query or "").split()),
        repr(migration.query_params),
        migration.model._meta.label,
        repr(migration.legacy_key),
        *(f"{name}: {each!r}" for name, each in sorted(migration.column_description.items())),
        *(_source_of(migration, name) for name in ROW_HOOKS),
    ]
    return blake2b("\n".join(said).encode(), digest_size=16).hexdigest()


def _source_of(migration: type[Migration], name: str) -> str:
    if not hook_is_overridden(migration, name):
        return ""
    try:
        return inspect.getsource(getattr(migration, name))
    except (OSError, TypeError):  # made at run time
        return name


class RowChecksum:
    """The checksum of a row before any hook saw it: a whole number of 64 bits.

    It is only ever compared with those of a few thousand keys, its own among them, so 64 bits are
    plenty: a change goes unnoticed once in 10**15 of them. ``seed`` is the spec's fingerprint, so
    that a changed spec makes every row count as changed.
    """

    def __init__(self, columns: Iterable[str], seed: str) -> None:
        named = "\n".join((seed, *columns)).encode()
        self._start = blake2b(named, digest_size=8)

    def __call__(self, rows: Sequence[tuple[Any, ...]]) -> Sequence[int]:
        """The checksum of each row."""
        copy = self._start.copy
        digests = []
        for row in rows:
            text = repr(row)
            if "<memory at" in text:  # psycopg2's bytea, whose address says nothing
                text = repr(tuple(map(unwrapped, row)))
            digest = copy()
            digest.update(text.encode("utf-8", "surrogatepass"))
            digests.append(digest.digest())
        return unpack(f"<{len(digests)}q", b"".join(digests))


class FieldDigests:
    """Four bytes for each field of a model, and for each of the many-to-manys in ``m2m``.

    Two values of a field have the same digest when the database would give them back as the same
    value. A change goes unnoticed with a probability of one in four thousand million.

    ``packed`` digests begin with the number of their layout, so that a model that gains or loses
    a field keeps what is known of the others.
    """

    def __init__(self, model: type[Model], m2m: Sequence[str] = (), *, database: str) -> None:
        concrete = [f for f in model._meta.concrete_fields if not (f.primary_key or f.generated)]
        self.names: tuple[str, ...] = (*(field.name for field in concrete), *m2m)
        self.layout = crc32(json.dumps(self.names).encode())
        self._head = pack("<I", self.layout)
        self._form = f"<{len(self.names)}I"
        self._m2m = tuple(m2m)
        ways = [ways_to_digest(field, database) for field in concrete]
        self._columns = [(f.attname, all_) for f, (all_, _) in zip(concrete, ways, strict=True)]
        self._by_name = {
            f.name: (f.attname, digest) for f, (_, digest) in zip(concrete, ways, strict=True)
        }

    def packed(
        self,
        objects: Sequence[Mapping[str, Any]],
        m2m: Sequence[Mapping[str, Iterable[Any]]],
    ) -> list[bytes]:
        """The digests of all fields of objects that were just written, in their order.

        ``objects`` are their values by attribute name, ``m2m`` their targets by accessor name.
        """
        columns = [way(_values_of(name, objects)) for name, way in self._columns]
        for name in self._m2m:
            columns.append(
                [targets_digest(each[name]) if name in each else UNKNOWN for each in m2m]
            )
        head, form = self._head, Struct(self._form).pack
        return [head + form(*digests) for digests in zip(*columns, strict=True)]

    def repacked(self, known: Mapping[str, int]) -> bytes:
        """Digests by name in their packed form; one that is not there is unknown."""
        return self._head + pack(self._form, *(known.get(name, UNKNOWN) for name in self.names))

    def of(self, name: str, instance: Any) -> int:
        """The digest of one field of ``instance`` as it stands."""
        attname, digest = self._by_name[name]
        return digest(instance.__dict__.get(attname))

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


def _values_of(name: str, objects: Sequence[Mapping[str, Any]]) -> list[Any]:
    try:
        return [each[name] for each in objects]
    except KeyError:
        return [each.get(name, LEFT_OUT) for each in objects]


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
