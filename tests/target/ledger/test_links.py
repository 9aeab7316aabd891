"""The links of a migration: what goes in comes out, in as few statements as it takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from data_migration.ledger import Link, LinkBook
from data_migration.models import MigrationState, RowLink
from data_migration.outcomes import LinkKind, Unsettled
from data_migration.rows.keys import identify
from tests.support.engine import Statements, statements, undone
from tests.support.examples import examples

pytestmark = pytest.mark.django_db

ODD_KEYS = [
    7,
    -7,
    0,
    2**63 - 1,
    -(2**63),
    10**40,
    "7",
    "",
    "tab\tline\nreturn\rback\\slash \\N \\.",
    "'single' \"double\" `tick` %s %(a)s {}",
    "Zürich 😀 ﷽",
    "a\x00b",
    "\ud800",
    ("DE", 7),
    ("DE", "7"),
    b"\x00\xff",
    1.5,
    "x" * 5000,
]


@pytest.fixture
def book() -> LinkBook:
    return LinkBook(MigrationState.objects.create(label="shop.A"), database="default")


@pytest.fixture
def other() -> LinkBook:
    return LinkBook(MigrationState.objects.create(label="shop.B"), database="default")


def link(key: Any, pk: str | None = "1", **fields: Any) -> Link:
    digits, text = identify(key)
    return Link(digits, text, pk, -(2**63), b"\\written\n\x00\xff", 3)._replace(**fields)


def links_of(numbers: range) -> list[Link]:
    return [link(number, str(number)) for number in numbers]


@pytest.fixture
def seen() -> Iterator[Statements]:
    with statements() as seen:
        yield seen


def test_links_come_back_as_they_went_in(book: LinkBook) -> None:
    links = [link(key, f"pk\t{number}\\") for number, key in enumerate(ODD_KEYS)]
    links[0] = link(7, None, kind=LinkKind.SKIPPED, unsettled=Unsettled.WARNED, written=b"")

    book.add(links)

    assert book.find([each.key_hash for each in links]) == {each.key_hash: each for each in links}
    assert sorted(book.all()) == sorted(links)
    found = book.find([links[0].key_hash])[links[0].key_hash]
    assert [type(value) for value in found] == [str, str, type(None), int, bytes, int, int, int]


@settings(max_examples=examples(60))
@given(
    keys=st.sets(st.text(max_size=30) | st.integers(), min_size=1, max_size=8),
    pk=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40),
    content=st.binary(max_size=40),
)
def test_any_link_comes_back(keys: set[Any], pk: str, content: bytes) -> None:
    with undone():
        book = LinkBook(MigrationState.objects.create(label="shop.C"), database="default")
        links = [link(key, pk, checksum=len(content), written=content) for key in keys]
        book.add(links)
        assert sorted(book.find([each.key_hash for each in links]).values()) == sorted(links)


def test_only_what_is_there_is_found(book: LinkBook, other: LinkBook) -> None:
    book.add([link(1)])
    other.add([link(2)])

    assert list(book.find([link(key).key_hash for key in (1, 2, 3)])) == [link(1).key_hash]
    assert book.find([]) == {}


def test_the_same_key_may_have_a_link_in_each_migration(book: LinkBook, other: LinkBook) -> None:
    book.add([link(1, "10")])
    other.add([link(1, "20")])

    assert book.find([link(1).key_hash])[link(1).key_hash].object_pk == "10"
    assert (book.count(), other.count()) == (1, 1)


def test_a_second_link_of_a_key_is_refused_and_the_transaction_goes_on(book: LinkBook) -> None:
    book.add([link(1)])

    with pytest.raises(IntegrityError), transaction.atomic():
        book.add([link(2), link(1)])

    assert [each.key for each in book.all()] == ["1"]
    book.add([link(2)])
    assert book.count() == 2


def test_replaced_links_are_as_new(book: LinkBook) -> None:
    book.add(links_of(range(5)))
    changed = [link(2, "20", run=9), link(7, "70")]

    book.replace(changed)

    assert book.find([each.key_hash for each in changed]) == {e.key_hash: e for e in changed}
    assert book.count() == 6


def test_forgotten_links_are_gone(book: LinkBook, other: LinkBook) -> None:
    book.add(links_of(range(5)))
    other.add(links_of(range(5)))

    book.forget([link(key).key_hash for key in (1, 2, "3", 9)])

    assert [each.key for each in book.all()] == ["0", "3", "4"]
    assert other.count() == 5


def test_all_can_be_narrowed_down_and_is_in_the_order_of_numbers(book: LinkBook) -> None:
    book.add([link(key, run=key % 2) for key in (30, 2, 100, 7)])

    assert [each.key for each in book.all()] == ["2", "7", "30", "100"]
    assert [each.key for each in book.all(run=1)] == ["7"]


def test_an_empty_book(book: LinkBook, seen: Statements) -> None:
    assert book.is_empty()
    seen.clear()

    book.add([])
    book.replace([])
    book.forget([])

    assert seen == []
    assert book.find([]) == {}
    book.add([link(1)])
    assert not book.is_empty()


def test_two_thousand_keys_are_found_in_one_query(book: LinkBook, seen: Statements) -> None:
    book.add(links_of(range(2000)))
    seen.clear()

    assert len(book.find([link(key).key_hash for key in range(1000, 3000)])) == 1000
    assert len(seen) == 1


def test_two_thousand_links_are_written_in_one_statement(book: LinkBook) -> None:
    with statements() as seen:
        book.add(links_of(range(2000)))

    inserts = seen.starting("INSERT", "COPY")
    # COPY does not pass through Django's cursor.
    assert len(inserts) == (0 if connection.vendor == "postgresql" else 1)
    assert book.count() == 2000


def test_more_keys_than_fit_into_one_statement(book: LinkBook) -> None:
    links = links_of(range(10_050))

    book.add(links)
    hashes = [each.key_hash for each in links]

    assert len(book.find(hashes)) == 10_050
    book.forget(hashes[:10_040])
    assert book.count() == 10


def test_links_are_gone_with_their_state(book: LinkBook) -> None:
    book.add(links_of(range(3)))

    book.state.delete()

    assert not RowLink.objects.exists()


def test_layouts_are_remembered_once(book: LinkBook, seen: Statements) -> None:
    book.know_layout(77, ("name", "price"))
    book.know_layout(78, ("name",))
    count = len(seen.writing(MigrationState._meta.db_table))
    book.know_layout(77, ("name", "price"))

    assert len(seen.writing(MigrationState._meta.db_table)) == count == 2
    stored = MigrationState.objects.get(pk=book.state.pk)
    assert stored.layouts == {"77": ["name", "price"], "78": ["name"]}


def test_what_was_written_is_read_by_its_layout(book: LinkBook) -> None:
    book.know_layout(77, ("name",))
    written = (77).to_bytes(4, "little") + (5).to_bytes(4, "little")

    assert book.written(link(1, written=written)) == {"name": 5}
    assert book.written(link(1, written=b"")) == {}


def hashes_of(keys: Iterable[Any]) -> list[str]:
    return [link(key).key_hash for key in keys]


class TestSettled:
    def test_are_the_checksums_of_what_is_finished_before_a_run(self, book: LinkBook) -> None:
        book.add(
            [
                link(1, checksum=10),
                link(2, checksum=20, run=4),
                link(3, checksum=30, unsettled=Unsettled.WARNED),
                link(4, None, checksum=40, kind=LinkKind.SKIPPED),
                link(5, checksum=50, kind=LinkKind.ADOPTED),
            ]
        )

        hashes = hashes_of(range(1, 6))

        assert book.settled(hashes, before=4, skipped=False) == {10: "1", 50: "1"}
        assert book.settled(hashes, before=4, skipped=True) == {10: "1", 40: None, 50: "1"}
        assert {*book.settled(hashes, before=5, skipped=False)} == {10, 20, 50}

    def test_are_read_in_one_stretch(self, book: LinkBook, seen: Statements) -> None:
        book.add([link(key, checksum=key) for key in range(2000)])
        seen.clear()

        found = book.settled(hashes_of(range(500, 1500)), before=9, skipped=True)
        assert {*found} == {*range(500, 1500)}
        (sql,) = seen
        assert "BETWEEN" in sql

    def test_are_looked_up_one_by_one_where_keys_come_in_no_order(
        self, book: LinkBook, other: LinkBook, seen: Statements
    ) -> None:
        for each in (book, other):
            each.add([link(key, checksum=key) for key in range(2000)])
        seen.clear()

        scattered = range(0, 2000, 100)
        found = [{*book.settled(hashes_of(scattered), before=9, skipped=True)} for _ in "ab"]

        assert found == [{*scattered}] * 2
        assert ["BETWEEN" in sql for sql in seen] == [True, False, False]
        assert {*book.settled(hashes_of([1999, 2000]), before=9, skipped=True)} == {1999}

    @settings(max_examples=examples(40))
    @given(
        stored=st.sets(st.integers(-40, 40) | st.text("ab", max_size=3), max_size=30),
        asked=st.sets(st.integers(-40, 40) | st.text("ab", max_size=3), min_size=1, max_size=9),
    )
    def test_hold_what_is_asked_and_nothing_that_is_not_there(
        self, stored: set[Any], asked: set[Any]
    ) -> None:
        with undone():
            book = LinkBook(MigrationState.objects.create(label="shop.C"), database="default")
            checksums = {key: number for number, key in enumerate(stored)}
            book.add([link(key, checksum=number) for key, number in checksums.items()])
            found = {*book.settled(hashes_of(asked), before=9, skipped=True)}

        assert {checksums[key] for key in asked & stored} <= found <= {*checksums.values()}
