"""Fixtures for the tests of the writers."""

from __future__ import annotations

import pytest

from tests.support.writers import WRITERS


@pytest.fixture(params=WRITERS)
def writer(request: pytest.FixtureRequest) -> str:
    """A writer's name: the test runs with each that the target database has."""
    return str(request.param)
