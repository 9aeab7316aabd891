"""A batch: its rows are numbered, identified, and left out before drafts are made of them."""

from __future__ import annotations

from data_migration.exceptions import RowFailure
from data_migration.sources.rows import Rows, TupleRows
from data_migration.step.batch import Batch, Identity


def batch_of(*keys: int, number: int = 1) -> Batch:
    batch = Batch(number, TupleRows([(key, f"name {key}") for key in keys], ("id", "name")))
    batch.identity = Identity(
        keys, [f"hash {key}" for key in keys], [str(key) for key in keys], [-key for key in keys]
    )
    return batch


def test_a_draft_is_made_of_each_row() -> None:
    batch = batch_of(7, 8, number=41)

    assert [(draft.number, draft.row) for draft in batch.drafts] == [
        (41, {"id": 7, "name": "name 7"}),
        (42, {"id": 8, "name": "name 8"}),
    ]
    draft = batch.drafts[1]
    assert (draft.key, draft.key_hash, draft.key_text, draft.checksum) == (8, "hash 8", "8", -8)


def test_rows_that_are_left_out_take_their_numbers_and_keys_with_them() -> None:
    batch = batch_of(5, 6, 7, 8)

    batch.keep([False, True, False, True])

    assert len(batch) == 2
    assert [(draft.number, draft.key, draft.row["id"]) for draft in batch.drafts] == [
        (2, 6, 6),
        (4, 8, 8),
    ]


def test_a_row_that_cannot_be_identified_has_failed() -> None:
    batch = batch_of(5, 6, 7)
    fault = RowFailure("no key")
    batch.faults = {2: fault}

    batch.keep([False, True, True])

    assert [draft.error for draft in batch.drafts] == [fault, None]


def test_rows_without_a_key_need_no_identity() -> None:
    batch = Batch(1, Rows([{"name": "x"}]))

    batch.keep([True])

    assert [(draft.number, draft.key_hash) for draft in batch.drafts] == [(1, "")]
