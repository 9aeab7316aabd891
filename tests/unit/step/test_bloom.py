"""Keys that may have been met before: none is forgotten, few strangers are suspected."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from data_migration.step.bloom import BloomFilter


@given(st.lists(st.lists(st.text(max_size=3), max_size=6), max_size=6))
def test_no_member_is_taken_for_a_stranger(batches: list[list[str]]) -> None:
    members = BloomFilter()
    met: set[str] = set()
    for batch in batches:
        known = members.add(batch)
        assert [text for text in batch if text in met] == [t for t in known if t in met]
        met.update(batch)


def test_few_strangers_are_taken_for_members() -> None:
    members = BloomFilter()

    assert len(members.add([f"member {number}" for number in range(100_000)])) == 0
    suspected = members.add([f"stranger {number}" for number in range(10_000)])

    assert 0 < len(suspected) < 400  # one in 84


def test_the_order_of_the_texts_is_kept() -> None:
    members = BloomFilter()
    members.add(["c", "a", "b"])

    assert members.add(["b", "d", "c"]) == ["b", "c"]
