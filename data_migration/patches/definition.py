"""One patch as the engine sees it: a value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..models import PATCH_STEP
from .patch import Patch


@dataclass(frozen=True, kw_only=True, slots=True)
class Definition:
    """A patch of an app, in its place.

    ``folder`` is that of the app, to which the patch's files are relative. ``place`` is where a
    person finds it: a file and a line. ``replaces`` and ``depends_on`` are labels here. ``phase``
    is what the patch, or the section of patches.txt that lists it, says; None: neither.
    """

    app_label: str
    name: str
    revision: str
    title: str
    patch: type[Patch]
    folder: Path
    place: str
    replaces: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    phase: str | None = None

    @property
    def label(self) -> str:
        return f"{self.app_label}.{self.name}"

    @property
    def identity(self) -> tuple[str, str, str]:
        """By what the ledger knows it: app label, name and revision."""
        return self.app_label, self.name, self.revision

    @property
    def step_label(self) -> str:
        """What its steps, and the state of its messages, are called in the ledger."""
        return step_label(self.label)


def step_label(label: str) -> str:
    """What the steps of the patch are called in the ledger, beside those of migrations."""
    return f"{PATCH_STEP}{label}"


def label_of_step(migration: str) -> str | None:
    """The label of the patch whose step it is; None for that of a migration."""
    return migration.removeprefix(PATCH_STEP) if migration.startswith(PATCH_STEP) else None
