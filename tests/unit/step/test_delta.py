"""What becomes of a row: a table of what is known of its key, and the verdict."""

from __future__ import annotations

from typing import Any

import pytest

from data_migration.ledger import Link
from data_migration.outcomes import LinkKind, Unsettled
from data_migration.rows.identity import Identity
from data_migration.step.delta import Rerun, Verdict, judge

HASH = "0" * 31 + "7"
#: The row as it comes now, and as it was when its link was written.
SAME, OTHER = 1234, 999


def link(**values: Any) -> Link:
    known = {"key_hash": HASH, "key": "7", "object_pk": "1", "checksum": SAME, "written": b""}
    return Link(**{**known, "run": 3, **values})


def row(checksum: int = SAME, text: str = "7") -> Identity:
    return Identity(7, HASH, text, checksum)


def rerun(**values: Any) -> Rerun:
    """The 5th run, which goes on with the pass that the 4th one began."""
    return Rerun(**{"run": 5, "pass_run": 4, "is_first": False, **values})


FAILED = frozenset({HASH})
SKIPPED = {"kind": LinkKind.SKIPPED, "object_pk": None}
LATE = {"unsettled": Unsettled.RELATIONS}
WARNED = {"unsettled": Unsettled.WARNED}


@pytest.mark.parametrize(
    ("known", "checksum", "how", "verdict"),
    [
        # a run that creates what is missing
        ({}, SAME, {}, Verdict.PASSED),
        ({}, OTHER, {}, Verdict.PASSED),
        (SKIPPED, SAME, {}, Verdict.PASSED),
        (WARNED, OTHER, {}, Verdict.PASSED),
        # ... and tries again what failed
        ({}, SAME, {"failed": FAILED}, Verdict.UNCHANGED),
        (SKIPPED, SAME, {"failed": FAILED}, Verdict.SKIPPED),
        ({}, OTHER, {"failed": FAILED}, Verdict.CHANGED),
        # an update
        ({}, SAME, {"updates": True}, Verdict.UNCHANGED),
        ({}, OTHER, {"updates": True}, Verdict.CHANGED),
        (SKIPPED, SAME, {"updates": True}, Verdict.SKIPPED),
        (SKIPPED, OTHER, {"updates": True}, Verdict.CHANGED),
        (WARNED, SAME, {"updates": True}, Verdict.CHANGED),
        ({}, SAME, {"updates": True, "failed": FAILED}, Verdict.CHANGED),
        ({}, SAME, {"updates": True, "full": True}, Verdict.CHANGED),
        # ... that goes on with an interrupted one
        ({"run": 4}, SAME, {"updates": True}, Verdict.PASSED),
        ({"run": 4}, OTHER, {"updates": True}, Verdict.CHANGED),
        ({"run": 4}, SAME, {"updates": True, "full": True}, Verdict.PASSED),
        # ... whose hook gets every object
        ({}, SAME, {"updates": True, "calls_hook": True}, Verdict.CHANGED),
        (SKIPPED, SAME, {"updates": True, "calls_hook": True}, Verdict.SKIPPED),
        ({}, SAME, {"calls_hook": True, "failed": FAILED}, Verdict.CHANGED),
        # an object that an interrupted run left without many-to-manys
        (LATE, SAME, {}, Verdict.RESUMED),
        ({**LATE, "run": 4}, SAME, {"updates": True}, Verdict.RESUMED),
        (LATE, OTHER, {"failed": FAILED}, Verdict.RESUMED),
        # this run has met the key before
        ({"run": 5}, SAME, {}, Verdict.REPEATED),
        ({"run": 5, **LATE}, SAME, {}, Verdict.REPEATED),
        ({"run": 5}, SAME, {"failed": FAILED}, Verdict.REPEATED),
        ({"run": 5}, SAME, {"updates": True}, Verdict.REPLACES),
    ],
)
def test_what_is_known_of_a_key_decides(
    known: dict[str, Any], checksum: int, how: dict[str, Any], verdict: Verdict
) -> None:
    assert judge(link(**known), row(checksum), rerun(**how)) is verdict


def test_a_key_that_nobody_knows_is_new() -> None:
    assert judge(None, row(), rerun(updates=True)) is Verdict.NEW


def test_another_key_with_the_same_hash_is_never_taken_for_it() -> None:
    for how in ({}, {"updates": True}, {"failed": FAILED}):
        assert judge(link(), row(text='"seven"'), rerun(**how)) is Verdict.CLASH
