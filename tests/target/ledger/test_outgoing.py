"""What is on its way to remote systems: planned, sent, failed, held, and gone when it arrived."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from data_migration.ledger.outgoing import (
    Accounts,
    Intent,
    Known,
    OutgoingBook,
    RemoteStates,
    Wait,
    outgoing,
)
from data_migration.ledger.states import state_of
from data_migration.models import Outgoing
from data_migration.outcomes import Action, OutgoingState
from tests.support.engine import statements

pytestmark = pytest.mark.django_db

LABEL = "shop.ItemToAtlas@atlas"


@pytest.fixture
def book() -> OutgoingBook:
    return OutgoingBook(state_of(LABEL, database="default"), database="default")


def test_an_intent_takes_the_place_of_the_one_before_and_counts_its_calls_on(
    book: OutgoingBook,
) -> None:
    first = book.plan([Intent("1", Action.CREATE, 5)], run=1, former={})["1"]
    book.fail({"1": "the name is missing"})
    failed = book.find(["1"])

    again = book.plan([Intent("1", Action.CREATE, 6)], run=2, former=failed)["1"]

    assert (failed["1"].state, failed["1"].cause) == (OutgoingState.FAILED, "the name is missing")
    assert [each.idempotency_key for each in outgoing(LABEL, database="default")] == [
        again.idempotency_key
    ]
    assert (again.state, again.attempts, again.cause) == (OutgoingState.SENT, 2, "")
    assert again.idempotency_key != first.idempotency_key


def test_the_same_idempotency_key_is_as_old_as_its_first_call(book: OutgoingBook) -> None:
    key = uuid.uuid4()
    first = book.plan([Intent("1", Action.CREATE, 5, "", key)], run=1, former={})["1"]
    Outgoing.objects.update(planned_at=timezone.now() - timedelta(hours=1))

    again = book.plan([Intent("1", Action.CREATE, 5, "", key)], run=2, former=book.find(["1"]))

    assert again["1"].idempotency_key == first.idempotency_key
    assert timezone.now() - again["1"].planned_at >= timedelta(hours=1)


def test_what_is_written_down_and_not_sent_has_no_call(book: OutgoingBook) -> None:
    row = book.plan([Intent("1", Action.UPDATE, 5, "7")], run=1, former={}, is_sent=False)["1"]

    assert (row.state, row.attempts, row.sent_at) == (OutgoingState.PLANNED, 0, None)


def test_pages_of_a_state_come_in_the_order_of_the_plan(book: OutgoingBook) -> None:
    book.plan([Intent(str(n), Action.CREATE, n) for n in (3, 1, 2)], run=1, former={})
    book.hold({"1": "who knows"})

    assert [[each.object_pk for each in page] for page in book.all(OutgoingState.SENT)] == [
        ["3", "2"]
    ]
    assert list(book.all(OutgoingState.SENT, actions=[Action.DELETE])) == []
    book.done(["1", "2", "3"])
    assert book.is_empty()


def test_a_batch_takes_the_same_number_of_queries_whatever_its_size(book: OutgoingBook) -> None:
    states = RemoteStates(book.state, database="default")

    def round_trip(size: int) -> int:
        intents = [Intent(str(n), Action.CREATE, n) for n in range(size)]
        with statements() as seen:
            book.plan(intents, run=1, former={})
            states.remember({str(n): Known(b"1234", "v") for n in range(size)})
            states.find([str(n) for n in range(size)])
            book.done([str(n) for n in range(size)])
        return len(seen)

    round_trip(1)  # MySQL is asked once how long a statement may be
    assert round_trip(2) == round_trip(60)  # SQLite takes 999 values at once


def test_what_the_remote_system_has_is_replaced_and_forgotten(book: OutgoingBook) -> None:
    states = RemoteStates(book.state, database="default")
    states.remember({"1": Known(b"\x01\x02", "a"), "2": Known(b"\x03"), "3": Known()})
    states.remember({"1": Known(b"\x05", "b")})

    assert states.find(["1", "2", "3"]) == {"1": Known(b"\x05", "b"), "2": Known(b"\x03", "")}
    states.forget(["1"])
    assert states.find(["1", "2"]) == {"2": Known(b"\x03", "")}


def test_an_account_waits_until_its_time() -> None:
    accounts, soon = Accounts("default"), timezone.now() + timedelta(hours=3)
    soon = soon.replace(microsecond=0)

    assert accounts.waits("atlas") is None
    accounts.wait("atlas", soon, "1000 calls a day")
    assert accounts.waits("atlas") == Wait(soon, "1000 calls a day")
    accounts.wait("atlas", timezone.now() - timedelta(seconds=1), "over")
    assert accounts.waits("atlas") is None
    accounts.wait("atlas", soon, "again")
    accounts.go_on("atlas")
    assert accounts.waits("atlas") is None
