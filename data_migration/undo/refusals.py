"""What stands against a rollback."""

from __future__ import annotations

from typing import NamedTuple

from ..ledger import Link
from .selection import Part


class Refusal(NamedTuple):
    """Something that stands against a rollback.

    ``key`` is the legacy key and ``object`` the object as people read them; both are empty where
    the migration as a whole is meant. A ``final`` one is not overruled by force.
    """

    migration: str
    key: str
    object: str
    why: str
    is_final: bool = False

    @classmethod
    def of(cls, part: Part, link: Link, why: str, *, is_final: bool = False) -> Refusal:
        """The refusal of what the link leads to, if it leads to an object."""
        shown = f"{part.model._meta.label} {link.object_pk}" if link.object_pk else ""
        return cls(part.label, link.key, shown, why, is_final)

    def __str__(self) -> str:
        where = f", key {self.key}" if self.key else ""
        what = f"{self.object}: " if self.object else ""
        return f"{self.migration}{where}: {what}{self.why}."


class Refusals:
    """Counts every refusal and shows the first twenty."""

    SHOWN = 20

    def __init__(self) -> None:
        self.shown: list[Refusal] = []
        self.count = 0
        self.has_final = False

    @property
    def is_full(self) -> bool:
        """Whether another one would only be counted."""
        return len(self.shown) >= self.SHOWN

    def add(self, refusal: Refusal) -> None:
        self.count += 1
        # What no force overrules is what has to be done first, so it is never crowded out.
        if refusal.is_final and not self.has_final:
            self.shown[self.SHOWN - 1 :] = []
            self.has_final = True
        if not self.is_full:
            self.shown.append(refusal)

    def stops(self, *, force: bool) -> bool:
        return self.has_final or (self.count > 0 and not force)

    def text(self) -> str:
        """The refusals, one on a line, and how many there are."""
        lines = [f"  {refusal}" for refusal in self.shown]
        if self.count > len(self.shown):
            lines.append(f"  ... and {self.count - len(self.shown)} more.")
        return "\n".join(lines)
