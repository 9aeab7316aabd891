"""Open relations: found by their keys and columns, closed, narrowed, forgotten."""

from __future__ import annotations

import pytest

from data_migration.ledger.deferrals import Deferral, DeferralBook, open_columns
from data_migration.models import DeferredRelation, MigrationState
from data_migration.rows.keys import identify

pytestmark = pytest.mark.django_db


def deferral(key: object, column: str = "boss", value: str = "9") -> Deferral:
    key_hash, text = identify(key)
    return Deferral(column, "7", value, 1, text, key_hash)


@pytest.fixture
def book() -> DeferralBook:
    return DeferralBook(MigrationState.objects.create(label="a.Kept"), database="default")


def left() -> list[tuple[str, str, str]]:
    rows = DeferredRelation.objects.order_by("pk")
    return [(row.column, row.key, row.value) for row in rows]


def test_what_is_open_is_found_by_its_key_and_by_its_column(book: DeferralBook) -> None:
    assert book.is_empty()
    other = DeferralBook(MigrationState.objects.create(label="a.Other"), database="default")
    other.add([deferral(1)])
    book.add([deferral(1), deferral(1, "rival"), deferral("x"), Deferral("boss", "7", "3", 4)])

    assert not book.is_empty()
    hashes = [identify(1)[0], identify("y")[0]]
    assert dict(book.find(hashes)) == {
        hashes[0]: [
            {"column": "boss", "value": "9", "row_number": 1},
            {"column": "rival", "value": "9", "row_number": 1},
        ]
    }
    assert open_columns("default") == {"a.Kept": ["boss", "rival"], "a.Other": ["boss"]}
    first = book.page("boss", after=0, size=2)
    rest = book.page("boss", after=first[-1].pk, size=2)
    assert [row.key for row in (*first, *rest)] == ["1", '"x"', ""]


def test_it_is_closed_narrowed_and_forgotten(book: DeferralBook) -> None:
    book.add([deferral(1), deferral(2), deferral(3, value="[1, 2]"), deferral(4)])
    one, _, three, _ = DeferredRelation.objects.order_by("pk")

    book.close([one.pk])
    book.narrow(three.pk, "[2]")
    book.forget([identify(2)[0], identify(99)[0]])
    assert left() == [("boss", "3", "[2]"), ("boss", "4", "9")]
    book.forget([])
    assert len(left()) == 2
    book.forget_all()
    assert left() == []
