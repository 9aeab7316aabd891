"""What is to be done about a row, by what the ledger knows of its key: a pure decision."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum, auto

from ..ledger import Link
from ..outcomes import LinkKind, Unsettled
from ..rows.identity import Identity


@dataclass(frozen=True, kw_only=True, slots=True)
class Rerun:
    """How a run treats rows that it meets again.

    ``run`` is its number, ``pass_run`` that of the run which began the pass over the query.
    With ``updates`` rows that changed are updated, else every linked row is passed over; with
    ``full`` unchanged rows are compared with their objects as well. ``calls_hook``: every
    existing object goes to ``hook_update_existing``. ``failed`` are the hashes of keys whose rows
    failed before: they are tried again in any case. ``is_first``: the query was never read to its
    end.
    """

    run: int
    pass_run: int
    updates: bool = False
    full: bool = False
    calls_hook: bool = False
    failed: Collection[str] = frozenset()
    is_first: bool = True


class Verdict(Enum):
    """What becomes of a row."""

    #: Nothing is known of its key.
    NEW = auto()
    #: Another key has the same hash.
    CLASH = auto()
    #: An earlier run of the pass has done it: this one does not count it.
    PASSED = auto()
    #: Nothing is left to be done about it.
    UNCHANGED = auto()
    #: The same, and it became no object.
    SKIPPED = auto()
    #: It is compared with its object.
    CHANGED = auto()
    #: An interrupted run left its object without many-to-manys.
    RESUMED = auto()
    #: This run has written another row of the same key, which may not be.
    REPEATED = auto()
    #: The same in an update: this one replaces its values.
    REPLACES = auto()


def judge(link: Link | None, identity: Identity, rerun: Rerun) -> Verdict:
    """Compare a row with the link of its key."""
    if link is None:
        return Verdict.NEW
    if link.key != identity.text:
        return Verdict.CLASH
    if link.run == rerun.run:
        return Verdict.REPLACES if rerun.updates else Verdict.REPEATED
    if link.unsettled == Unsettled.RELATIONS:
        return Verdict.RESUMED
    is_same = link.checksum == identity.checksum
    if identity.hash in rerun.failed:
        # As it was imported: nothing is left to be mended.
        is_settled = is_same and not rerun.updates
    elif not rerun.updates or (is_same and link.run >= rerun.pass_run):
        return Verdict.PASSED
    else:
        is_settled = is_same and not link.unsettled and not rerun.full
    if is_settled and link.kind == LinkKind.SKIPPED:
        return Verdict.SKIPPED
    return Verdict.UNCHANGED if is_settled and not rerun.calls_hook else Verdict.CHANGED
