"""Patches that somebody says are done, or whose changed code is fine as it is: nothing is run."""

from __future__ import annotations

from collections.abc import Iterable

from ..ledger import PATCHES, nobody_else
from ..ledger.patches import PatchBook
from ..models import PatchRecord
from .definition import Definition
from .digest import digest_of


def fake(
    definitions: Iterable[Definition], *, by: str, reason: str, database: str
) -> list[PatchRecord]:
    """Record all of them or none, with who says so and why; returns the records.

    Raises :exc:`RunRefused` while a run of patches is going on or waits.
    """
    book = PatchBook(database)
    with nobody_else(database, PATCHES):
        return [
            book.fake(*each.identity, digest=digest_of(each), by=by, reason=reason)
            for each in definitions
        ]
