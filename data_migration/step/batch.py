"""``Batch``: the rows that are handled together, and who they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import compress
from typing import Any, NamedTuple

from ..exceptions import RowSkipped
from ..outcomes import Outcome
from ..rows.drafts import Draft
from ..rows.identity import Identities
from ..sources.rows import Rows


class Group(NamedTuple):
    """Rows that are read together.

    ``last`` is where reading goes on once they are committed, which must wait for the next group
    unless this one ``is_whole``.
    """

    rows: Rows
    last: Any = None
    is_whole: bool = True


class Batch:
    """Rows with their ``numbers`` in the query's result.

    ``faults`` say by number why rows cannot be identified. Most rows of a rerun are done with
    before a draft is made of them.
    """

    def __init__(
        self,
        numbers: Sequence[int],
        group: Group,
        identities: Identities | None = None,
        faults: Mapping[int, Exception] = {},
    ) -> None:
        self.numbers = numbers
        self.group = group
        self.identities = identities
        self.faults = faults

    def __len__(self) -> int:
        return len(self.group.rows)

    def only(self, wanted: Sequence[bool]) -> Batch:
        """The rows for which ``wanted`` is true."""
        return Batch(
            list(compress(self.numbers, wanted)),
            self.group._replace(rows=self.group.rows.only(wanted)),
            self.identities and self.identities.only(wanted),
            self.faults,
        )

    @cached_property
    def drafts(self) -> list[Draft]:
        """A draft for each row. A row that cannot be identified has failed."""
        rows = self.group.rows.dicts()
        if self.identities is None:
            drafts = list(map(Draft, self.numbers, rows))
        else:
            drafts = list(map(Draft, self.numbers, rows, self.identities.rows()))
        if self.group.rows.notes:
            for draft, notes in zip(drafts, self.group.rows.notes, strict=True):
                draft.notes = notes
        for draft in drafts if self.faults else ():
            if fault := self.faults.get(draft.number):
                draft.fail(fault)
        for draft, fault in zip(drafts, self.group.rows.faults, strict=False):
            if isinstance(fault, RowSkipped):
                draft.outcome = Outcome.SKIPPED
            elif fault is not None and draft.error is None:
                draft.fail(fault)
        return drafts
