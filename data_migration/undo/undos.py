"""What is undone of each migration: the value that a plan is made of."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..ledger import Link
from ..ledger.images import Image, merged
from ..outcomes import LinkKind
from .refusals import Refusals
from .selection import Part


class Former(NamedTuple):
    """An object that gets back the fields and many-to-manys of ``names``."""

    key_hash: str
    names: frozenset[str]


@dataclass
class Undo:
    """What is undone of one migration; objects by primary key. Each link is in one count.

    ``recreated`` are objects that a run deleted, with the hash of their key. ``forgotten`` links
    have no object to delete or to put back.
    """

    part: Part
    deleted: set[Any] = field(default_factory=set)
    restored: dict[Any, Former] = field(default_factory=dict)
    recreated: dict[Any, str] = field(default_factory=dict)
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


@dataclass
class RollbackPlan:
    """The undos, dependants first, what stands against them, and what a person should know."""

    undos: list[Undo]
    refusals: Refusals
    notes: list[str]

    @property
    def group(self) -> dict[type[Any], set[Any]]:
        """What is deleted, by model."""
        found: dict[type[Any], set[Any]] = defaultdict(set)
        for undo in self.undos:
            found[undo.part.model] |= undo.deleted
        return found

    def total(self, count: str) -> int:
        return sum(undo.counts[count] for undo in self.undos)


def run_of(part: Part) -> dict[str, int]:
    return {} if part.run is None else {"run": part.run}


def image_of(link: Link, found: dict[str, list[Image]]) -> Image | None:
    """What the object of the link was before; None where it was not there or nobody kept it."""
    images = [each for each in found.get(link.key_hash, ()) if each.object_pk == link.object_pk]
    return merged(images) if images else None


def was_created(link: Link, image: Image | None, run: int | None) -> bool:
    """Whether what is undone made the object."""
    if link.kind != LinkKind.CREATED:
        return False
    # Within a run, an image speaks of an object that was there before, unless the run had made
    # its link already.
    if run is None or image is None:
        return True
    return image.link is not None and image.link.run == run


def comes_back(image: Image, run: int | None) -> bool:
    """A run's deletions come back; of a whole migration only what was there before it."""
    return run is not None or (image.link is not None and image.link.kind == LinkKind.ADOPTED)


def names_of(image: Image | None) -> frozenset[str]:
    return frozenset() if image is None else frozenset({*image.values, *image.m2m})
