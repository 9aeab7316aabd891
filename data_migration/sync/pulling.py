"""``is_pulling``: for receivers that would send back what has just come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_pulling: ContextVar[bool] = ContextVar("pulling", default=False)


def is_pulling() -> bool:
    """Whether rows of a remote system are being written, in hooks and receivers of theirs."""
    return _pulling.get()


@contextmanager
def pulling() -> Iterator[None]:
    """Rows of a remote system are written in the block."""
    token = _pulling.set(True)
    try:
        yield
    finally:
        _pulling.reset(token)
