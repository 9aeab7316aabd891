"""Ctrl-C and SIGTERM: the first one is a wish to stop after the batch that is going on."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def stop_on_signals(
    tell: Callable[[], None], *, forward: bool = False
) -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C or SIGTERM be a wish to stop, which the value of the block tells of.

    ``tell`` is called then. A second one does what it did before. ``forward``: the first one does
    that as well, which is right where it ends a worker that waits for its task.
    """
    asked: list[int] = []

    def ask(number: int, frame: Any) -> None:
        asked.append(number)
        former = before[signal.Signals(number)]
        signal.signal(number, former)
        tell()
        if forward and callable(former):
            former(number, frame)

    try:
        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread, so no signals arrive here
        yield lambda: False
        return
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
