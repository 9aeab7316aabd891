"""One mapping with one account, as the engine sees it: a value."""

from __future__ import annotations

from dataclasses import dataclass

from ..models import PUSH_STEP
from .mapping import Mapping
from .words import PULL, PUSH, SYNC


@dataclass(frozen=True, kw_only=True, slots=True)
class Definition:
    """A mapping of an app and the ``connector`` it goes through, a name in the settings.

    ``plans`` are the labels of the plans that name both.
    """

    app_label: str
    mapping: type[Mapping]
    connector: str
    plans: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """What its links, its pulls and their messages are called in the ledger."""
        return f"{self.app_label}.{self.mapping.__name__}@{self.connector}"

    @property
    def push_label(self) -> str:
        """What its pushes and their messages are called in the ledger."""
        return f"{PUSH_STEP}{self.label}"

    @property
    def pulls(self) -> bool:
        return self.mapping.direction in (PULL, SYNC)

    @property
    def pushes(self) -> bool:
        return self.mapping.direction in (PUSH, SYNC)
