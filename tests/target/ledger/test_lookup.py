"""Legacy keys -> objects: typed keys, several migrations, one query."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from data_migration.ledger import Link, LinkBook, LinkLookup
from data_migration.models import MigrationState, RowLink
from data_migration.outcomes import LinkKind
from data_migration.rows.keys import identify
from tests.support.engine import statements, undone
from tests.support.examples import examples

pytestmark = pytest.mark.django_db


def remember(label: str, **objects: Any) -> None:
    """``remember("shop.A", one=(7, "1"))``: the row with key 7 became object 1."""
    state, _ = MigrationState.objects.get_or_create(label=label)
    LinkBook(state, database="default").add([link(*pair) for pair in objects.values()])


def link(key: Any, object_pk: str | None) -> Link:
    kind = LinkKind.SKIPPED if object_pk is None else LinkKind.CREATED
    return Link(*identify(key), object_pk, 7, b"", 1, kind)


@pytest.fixture
def find() -> LinkLookup:
    return LinkLookup("default")


def test_keys_are_found_by_value_and_type(find: LinkLookup) -> None:
    remember("shop.A", a=(1581, "1"), b=("1581", "2"), c=("01581", "3"))
    assert find(["shop.A"], [1581, "1581", "01581", "1"]) == {
        1581: ["1"],
        "1581": ["2"],
        "01581": ["3"],
    }


def test_numbers_of_one_value_are_one_key(find: LinkLookup) -> None:
    remember("shop.A", a=(7, "1"))
    for key in (7, 7.0, Decimal(7)):
        assert find(["shop.A"], [key]) == {key: ["1"]}


def test_composite_keys(find: LinkLookup) -> None:
    remember("shop.A", a=(("AT", 7), "1"), b=(("AT", "7"), "2"))
    assert find(["shop.A"], [("AT", 7), ("DE", 7)]) == {("AT", 7): ["1"]}


def test_a_skipped_row_has_no_object(find: LinkLookup) -> None:
    remember("shop.A", a=(7, None))
    assert find(["shop.A"], [7]) == {}


def test_each_migration_has_keys_of_its_own(find: LinkLookup) -> None:
    remember("shop.A", a=(7, "1"), b=(8, "2"))
    remember("shop.B", a=(7, "3"))
    assert find(["shop.B"], [7, 8]) == {7: ["3"]}
    found = find(["shop.A", "shop.B"], [7, 8])
    assert {key: sorted(pks) for key, pks in found.items()} == {7: ["1", "3"], 8: ["2"]}


def test_a_migration_that_begins_later_is_found_then(find: LinkLookup) -> None:
    assert find(["shop.A"], [7]) == {}
    remember("shop.A", a=(7, "1"))
    assert find(["shop.A"], [7]) == {7: ["1"]}


def test_a_batch_of_several_migrations_is_one_query(find: LinkLookup) -> None:
    remember("shop.A", a=(7, "1"))
    remember("shop.B", a=("x", "1"))
    find(["shop.A", "shop.B"], [1])
    with statements() as seen:
        find(["shop.A", "shop.B"], [*range(3000), "x", ("AT", 7)])
    assert len(seen.starting("SELECT", table=RowLink)) == len(seen) == 1


def test_no_key_is_no_query(find: LinkLookup) -> None:
    remember("shop.A", a=(7, "1"))
    with statements() as seen:
        assert find(["shop.A"], []) == {}
    assert [sql for sql in seen if "rowlink" in sql] == []


_PARTS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20),
    st.integers(0, 99).map(str),
    st.dates(),
    st.datetimes(timezones=st.none()),
    st.uuids(),
    st.binary(max_size=20),
    st.decimals(-1000, 1000, places=2, allow_nan=False),
)
_KEYS = st.one_of(_PARTS, st.tuples(_PARTS, _PARTS), st.tuples(_PARTS, _PARTS, _PARTS))


def _kind(key: Any) -> Any:
    """The keys of one kind are equal as Python's values are."""
    parts = key if isinstance(key, tuple) else (key,)
    return (*map(_plain, parts), isinstance(key, tuple))


def _plain(part: Any) -> Any:
    if isinstance(part, (int, Decimal)):
        return "number", Decimal(part)
    kinds = (str, dt.datetime, dt.date, uuid.UUID, bytes)
    return next(kind.__name__ for kind in kinds if isinstance(part, kind)), part


@hypothesis_settings(max_examples=examples(40))
@given(st.lists(_KEYS, max_size=12, unique_by=_kind), st.lists(_KEYS, max_size=5))
def test_whatever_was_linked_is_found_and_nothing_else(keys: list[Any], others: list[Any]) -> None:
    with undone():
        remember("shop.A", **{f"k{n}": (key, str(n)) for n, key in enumerate(keys)})
        expected = {key: [str(number)] for number, key in enumerate(keys)}
        known = set(map(_kind, keys))
        unknown = [other for other in others if _kind(other) not in known]
        assert LinkLookup("default")(["shop.A"], [*keys, *unknown]) == expected
