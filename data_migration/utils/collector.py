"""Python's cycle collector, told that a run makes many objects that are no garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

#: New objects between two looks for cycles. A batch of 2000 rows makes some 50,000 objects, all
#: of which go by reference counting when it is done; looking through them finds nothing.
_THRESHOLD = 200_000


@contextmanager
def rare_collections() -> Iterator[None]:
    """While it lasts, the collector looks for cycles more rarely than is usual."""
    before = gc.get_threshold()
    if 0 < before[0] < _THRESHOLD:
        gc.set_threshold(_THRESHOLD, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
