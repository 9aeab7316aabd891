"""``BloomFilter``: which of many keys were surely not met before, in memory that does not grow.

After B. H. Bloom, "Space/Time Trade-offs in Hash Coding with Allowable Errors" (1970), with one
hash function and a byte in place of a bit, which Python looks up several times as fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress

#: Bytes. A stranger is taken for a member once in nine when a million are members.
_PLACES = 1 << 23


class BloomFilter:
    """A set of texts that may take a stranger for a member, and never a member for a stranger."""

    def __init__(self) -> None:
        self._table = bytearray(_PLACES)

    def add(self, texts: Sequence[str]) -> list[str]:
        """Add the texts; returns those of them that may have been members before."""
        table, last = self._table, _PLACES - 1
        places = [hash(text) & last for text in texts]
        known = list(compress(texts, map(table.__getitem__, places)))
        for place in places:
            table[place] = 1
        return known
