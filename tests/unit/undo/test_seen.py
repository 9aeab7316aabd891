"""The keys of a pass: none is lost, none invented, and few of them are in memory."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import data_migration.undo.seen
from data_migration.ledger import Link
from data_migration.rows.keys import key_hash
from data_migration.undo.seen import Seen

KEYS = st.lists(st.one_of(st.integers(), st.text(), st.tuples(st.text(), st.integers())))


def link(key: Any) -> Link:
    return Link(key_hash(key), str(key), "1", 0, b"", 1)


@pytest.fixture(params=[2, 200_000])
def in_memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that are stored at once, and keys that all fit."""
    monkeypatch.setattr(data_migration.undo.seen, "_IN_MEMORY", request.param)


@given(first=KEYS, second=KEYS, more=KEYS)
def test_what_was_not_added_is_missing(
    in_memory: None, first: list[Any], second: list[Any], more: list[Any]
) -> None:
    seen = Seen()
    seen.add(map(key_hash, first))
    seen.add(map(key_hash, second))
    links = list({key_hash(key): link(key) for key in [*more, *second, *first]}.values())
    known = {key_hash(key) for key in [*first, *second]}
    assert list(seen.missing(iter(links))) == [x for x in links if x.key_hash not in known]
    assert all((each.key_hash in seen) == (each.key_hash in known) for each in links)
    seen.close()


def test_a_row_without_a_key_adds_nothing() -> None:
    seen = Seen()
    seen.add(["", key_hash(7), ""])
    assert list(seen.missing([link(7), link(8)])) == [link(8)]
    seen.close()
    seen.close()


def test_memory_does_not_grow_with_the_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_migration.undo.seen, "_IN_MEMORY", 10_000)
    seen = Seen()
    tracemalloc.start()
    for start in range(0, 200_000, 2000):
        seen.add(key_hash(number) for number in range(start, start + 2000))
    missing = sum(1 for _ in seen.missing(link(number) for number in range(0, 400_000, 50)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    seen.close()
    assert missing == 4000
    assert peak < 3_000_000  # what SQLite keeps is limited by its own cache size
