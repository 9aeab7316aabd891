"""What a test does where something that it needs is not on this machine."""

from __future__ import annotations

from typing import NoReturn

import pytest

from tests.support.servers import REQUIRED


def absent(reason: str) -> NoReturn:
    """Skip the test; with ``CI=true``, where every test has to run, it fails."""
    if REQUIRED:
        pytest.fail(f"{reason}, and with CI=true every test has to run")
    pytest.skip(reason)
