"""The writers that the tests run with; and one of them in place of ``auto``'s own choice.

``DATA_MIGRATION_TEST_WRITER``
    ``save``, ``bulk`` or ``copy``: what ``auto`` chooses for every model that it can write. The
    whole test suite has to pass with each of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.settings import TARGET

#: The names of the writers that the target database has.
WRITERS = ("save", "bulk", "copy") if TARGET == "postgresql" else ("save", "bulk")
FORCED = os.environ.get("DATA_MIGRATION_TEST_WRITER", "")
#: What ``auto`` chooses for a model that no writer has anything against.
FASTEST = FORCED or ("copy" if TARGET == "postgresql" else "bulk")
#: What a test of the stages around the writers goes through: on a server the fastest. That each of
#: them leaves the same there is what ``tests/writers`` is about.
USUAL = WRITERS if TARGET == "sqlite" and not FORCED else (FASTEST,)

#: For what is said of ``auto`` itself.
unforced = pytest.mark.skipif(bool(FORCED), reason="DATA_MIGRATION_TEST_WRITER chooses here")


@contextmanager
def forced() -> Iterator[None]:
    """``auto`` chooses :data:`FORCED` where the model allows it."""
    from data_migration.writers import choice

    if FORCED and FORCED not in WRITERS:
        raise pytest.UsageError(
            f"DATA_MIGRATION_TEST_WRITER is {FORCED!r}, not one of {', '.join(WRITERS)}"
        )
    own: Callable[..., Any] = choice._fastest

    def fastest(*arguments: Any) -> Any:
        cls, reason = own(*arguments)
        return choice.Choice(choice._WRITERS[FORCED] if _is_slower(cls) else cls, reason)

    with pytest.MonkeyPatch.context() as patch:
        if FORCED:
            patch.setattr(choice, "_fastest", fastest)
        yield


def _is_slower(chosen: Any) -> bool:
    """Whether :data:`FORCED` is slower than what was chosen, so that the model allows it."""
    return WRITERS.index(FORCED) < WRITERS.index(str(chosen.name))
