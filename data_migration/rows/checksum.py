"""The checksum of a row as it came: did it change since it was imported?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from struct import unpack
from typing import Any

from ..fields.value_digests import unwrapped


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
