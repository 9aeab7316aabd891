"""Patches that somebody says are done, or whose changed code is fine as it is: nothing is run."""

from __future__ import annotations

from collections.abc import Iterable

from ..ledger import PATCHES, nobody_else
from ..ledger.patches import PatchBook
from ..models import PatchRecord
from .definition import Definition, step_label
from .digest import digest_of


def fake(
    definitions: Iterable[Definition], *, by: str, reason: str, database: str
) -> list[PatchRecord]:
    """Record all of them or none, with who says so and why; returns the records.

    Objects of theirs that failed do not wait to be mended any more.

    Raises :exc:`RunRefused` while a run of patches is going on or waits.
    """
    book = PatchBook(database)
    definitions = list(definitions)
    with nobody_else(database, PATCHES):
        for each in definitions:
            _take_over(each, book)
        return [
            book.fake(
                *each.identity,
                digest=digest_of(each),
                by=by,
                reason=reason,
                steps=map(step_label, (each.label, *each.replaces)),
            )
            for each in definitions
        ]


def _take_over(definition: Definition, book: PatchBook) -> None:
    """What ran under the former name of a patch is said of it under this one, and so undone."""
    if len(definition.replaces) != 1 or book.current(*definition.identity) is not None:
        return
    (former,) = definition.replaces
    app, _, name = former.partition(".")
    labels = step_label(former), definition.step_label
    for record in book.records().filter(app=app, name=name, revision=definition.revision):
        book.rename(record, *definition.identity, labels=labels)
