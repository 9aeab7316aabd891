"""Installs the package that a module's tests are about, and the test app that uses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import ModuleType
from typing import Any

import pytest

from tests.support.others import installed
from tests.support.writers import USUAL

#: COPY takes Django's own fields alone, and most of these are not.
WRITERS = ("save", "bulk") if "copy" not in USUAL else ("bulk",)

Install = Callable[..., ModuleType]


@pytest.fixture(scope="module")
def install(django_db_setup: None, django_db_blocker: Any) -> Iterator[Install]:
    """``install("tagged", "taggit")``: the test app's models, for the tests of one module."""
    with ExitStack() as stack:

        def enter(app: str, *packages: str, **changed: Any) -> ModuleType:
            with django_db_blocker.unblock():
                return stack.enter_context(installed(app, *packages, **changed))

        yield enter
        with django_db_blocker.unblock():
            stack.close()


@pytest.fixture(params=WRITERS)
def writer(request: pytest.FixtureRequest) -> str:
    return str(request.param)
