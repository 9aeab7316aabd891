"""What a rollback would do, and what stands against it: printed, judged, and then executed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..exceptions import LedgerError
from ..ledger.images import Image
from .refusals import Refusals
from .selection import Part


class Former(NamedTuple):
    """An object that gets back the fields and many-to-manys of ``names``."""

    key_hash: str
    names: frozenset[str]

    @classmethod
    def of(cls, image: Image) -> Former:
        return cls(image.key_hash, frozenset({*image.values, *image.m2m}))


@dataclass
class Undo:
    """What is undone of one migration; objects by primary key. Each link is in one count.

    ``uncovered`` are those of the ``deleted`` whose rows in their parents' tables were there
    before them, and stay. ``restored`` are objects that are there, ``recreated`` those that a run
    deleted. ``forgotten`` links have no object to delete or to put back.
    """

    part: Part
    deleted: set[Any] = field(default_factory=set)
    uncovered: dict[Any, Former] = field(default_factory=dict)
    restored: dict[Any, Former] = field(default_factory=dict)
    recreated: dict[Any, Former] = field(default_factory=dict)
    forgotten: int = 0

    @property
    def label(self) -> str:
        return self.part.label

    @property
    def counts(self) -> dict[str, int]:
        return {
            "deleted": len(self.deleted),
            "restored": len(self.restored) + len(self.recreated),
            "forgotten": self.forgotten,
        }


@dataclass(frozen=True, slots=True)
class RollbackPlan:
    """The undos, dependants first, what stands against them, and what a person should know.

    ``noun`` is what is undone: ``migration`` or ``patch``.
    """

    undos: list[Undo]
    refusals: Refusals
    notes: list[str]
    noun: str = "migration"

    def total(self, count: str) -> int:
        return sum(undo.counts[count] for undo in self.undos)

    def check(self, *, force: bool) -> None:
        """Raise :exc:`LedgerError` when something stands against it and is not overruled."""
        if not self.refusals.stops(force=force):
            return
        count = self.refusals.count
        what = "1 reason speaks" if count == 1 else f"{count} reasons speak"
        advice = "" if self.refusals.has_final else "\nUndo it nevertheless with --force."
        raise LedgerError(
            f"Nothing was rolled back: {what} against it.\n{self.refusals.text()}{advice}"
        )


def deleted_by(undos: Iterable[Undo]) -> dict[type[Any], set[Any]]:
    """The primary keys of the objects that are deleted, by model."""
    found: dict[type[Any], set[Any]] = defaultdict(set)
    for undo in undos:
        found[undo.part.model] |= undo.deleted
    return found


def put_back_by(undos: Iterable[Undo]) -> dict[type[Any], dict[Any, frozenset[str]]]:
    """The names of what objects that are there get back, by model and primary key."""
    found: dict[type[Any], dict[Any, frozenset[str]]] = defaultdict(dict)
    for undo in undos:
        names = found[undo.part.model]
        for pk, former in undo.restored.items():
            names[pk] = names.get(pk, frozenset()) | former.names
    return found


def uncovered_by(undos: Iterable[Undo]) -> dict[type[Any], set[Any]]:
    """The primary keys of those deleted objects whose parents' rows stay, by model."""
    found: dict[type[Any], set[Any]] = defaultdict(set)
    for undo in undos:
        found[undo.part.model] |= undo.uncovered.keys()
    return found
