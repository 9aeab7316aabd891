"""Every test begins with empty remote systems."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.memory_remote import forget_remotes


@pytest.fixture
def empty_remotes() -> Iterator[None]:
    forget_remotes()
    yield
    forget_remotes()
