"""``Terms``: what the pull of a mapping has beyond an import."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..rows.drafts import Draft

#: On whose side a conflict is settled.
OURS, THEIRS = "ours", "theirs"


class IsTheirs(Protocol):
    """Decides for both sides of what is no field, given digests of them."""

    def __call__(
        self, draft: Draft, name: str, wanted: Any, stored: Any, *, theirs: int, ours: int
    ) -> bool:
        """Whether what is ``stored`` here becomes what is ``wanted`` there."""


class Finish(Protocol):
    """What is done when rows are written, before they are remembered, in their transaction."""

    def __call__(
        self,
        drafts: list[Draft],
        *,
        failed: Collection[str],
        is_theirs: IsTheirs,
        database: str,
    ) -> None:
        """Go on with written drafts; ``failed`` are the hashes of keys with an open failure.

        What goes wrong becomes a part of the draft's ``unfinished``.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """An import has none of these.

    ``two_way`` are the model's fields (and many-to-manys) that are sent back as well: what was
    changed here alone stays, and is no conflict. ``deletes``: so are deletions. ``match`` are the
    fields by which a row without a link finds its object, which no other row may have. With
    ``newest``, a column and a field, the later time of the two decides conflicts. ``settle`` says
    of fields in conflict whose value counts. ``finish`` goes on with written rows; it digests the
    ``lists`` that go both ways.
    """

    two_way: frozenset[str] = frozenset()
    deletes: bool = False
    match: tuple[str, ...] = ()
    newest: tuple[str, str] | None = None
    settle: Mapping[str, str] = field(default_factory=dict)
    finish: Finish | None = None
    lists: tuple[str, ...] = ()
