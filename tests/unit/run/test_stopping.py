"""The first Ctrl-C is a wish, the second one an order."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from data_migration.run.stopping import stop_on_signals


@pytest.fixture
def former() -> Iterator[list[int]]:
    """The signals that reach the handler which was there before."""
    seen: list[int] = []
    handlers = {
        number: signal.signal(number, lambda number, frame: seen.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    yield seen
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_a_wish_and_the_second_does_what_it_did(
    former: list[int], number: int
) -> None:
    told: list[str] = []
    with stop_on_signals(lambda: told.append("told")) as should_stop:
        assert not should_stop()
        signal.raise_signal(number)
        assert (should_stop(), told, former) == (True, ["told"], [])
        signal.raise_signal(number)
        assert (told, former) == (["told"], [number])


def test_a_worker_hears_the_first_signal_as_well(former: list[int]) -> None:
    with stop_on_signals(lambda: None, forward=True) as should_stop:
        signal.raise_signal(signal.SIGTERM)
        assert (should_stop(), former) == (True, [signal.SIGTERM])


def test_a_process_without_a_handler_of_its_own_only_hears_the_wish() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with stop_on_signals(lambda: None, forward=True) as should_stop:
            signal.raise_signal(signal.SIGTERM)
            assert should_stop()
    finally:
        signal.signal(signal.SIGTERM, before)


def test_the_handlers_are_put_back(former: list[int]) -> None:
    before = signal.getsignal(signal.SIGINT)
    with stop_on_signals(lambda: None):
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_in_a_thread_no_signals_arrive_and_nothing_is_asked() -> None:
    answers: list[Any] = []

    def work() -> None:
        with stop_on_signals(lambda: None) as should_stop:
            answers.append(should_stop())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert answers == [False]
