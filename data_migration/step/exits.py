"""``sys.exit()`` in what people wrote fails its migration; it does not end the process unheard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..exceptions import StepFailed
from ..models import RunStep
from ..utils.wording import exit_text
from .recording import what_is_kept


@contextmanager
def exits_fail(step: RunStep, should_stop: Callable[[], bool]) -> Iterator[None]:
    """Raise :exc:`StepFailed` for a :exc:`SystemExit` out of the block.

    ``should_stop`` tells whether somebody asked for the end: one that ends a worker goes through.
    A worker that was told to end has been asked to stop, and the programs that run workers raise
    classes of their own.
    """
    try:
        yield
    except SystemExit as error:
        if type(error) is not SystemExit or should_stop():
            raise
        raise StepFailed(
            f"{step.label}: {exit_text(error)}. {what_is_kept(step)} Raise an exception"
            " instead, which says what is wrong."
        ) from error
