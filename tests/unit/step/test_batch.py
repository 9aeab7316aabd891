"""A batch: its rows are numbered, identified, and left out before drafts are made of them."""

from __future__ import annotations

from data_migration.exceptions import RowFailure
from data_migration.rows.identity import NOBODY, Identities
from data_migration.sources.rows import Rows, TupleRows
from data_migration.step.batch import Batch, Group


def batch_of(*keys: int, number: int = 1, faults: dict[int, Exception] | None = None) -> Batch:
    rows = TupleRows([(key, f"name {key}") for key in keys], ("id", "name"))
    identities = Identities(
        keys, [f"hash {key}" for key in keys], [str(key) for key in keys], [-key for key in keys]
    )
    return Batch(range(number, number + len(keys)), Group(rows), identities, faults or {})


def test_a_draft_is_made_of_each_row() -> None:
    batch = batch_of(7, 8, number=41)

    assert [(draft.number, draft.row) for draft in batch.drafts] == [
        (41, {"id": 7, "name": "name 7"}),
        (42, {"id": 8, "name": "name 8"}),
    ]
    assert batch.drafts[1].identity == (8, "hash 8", "8", -8)


def test_rows_that_are_left_out_take_their_numbers_and_keys_with_them() -> None:
    left = batch_of(5, 6, 7, 8).only([False, True, False, True])

    assert len(left) == 2
    assert [(draft.number, draft.identity.key, draft.row["id"]) for draft in left.drafts] == [
        (2, 6, 6),
        (4, 8, 8),
    ]


def test_a_row_that_cannot_be_identified_has_failed() -> None:
    fault = RowFailure("no key")

    left = batch_of(5, 6, 7, faults={2: fault}).only([False, True, True])

    assert [draft.error for draft in left.drafts] == [fault, None]


def test_rows_without_a_key_need_no_identity() -> None:
    left = Batch(range(1, 2), Group(Rows([{"name": "x"}]))).only([True])

    assert [(draft.number, draft.identity) for draft in left.drafts] == [(1, NOBODY)]
