"""Everything that differs between the supported Django versions."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.test.utils import override_settings

_DUMMY = "django.core.mail.backends.dummy.EmailBackend"


@contextmanager
def no_mail() -> Iterator[None]:
    """While it lasts, mail from the configured mailers goes nowhere.

    Django 6.1 brings ``MAILERS``; before, and where it is not defined, ``EMAIL_BACKEND`` rules.
    """
    mailers = getattr(settings, "MAILERS", None)
    override: Any = (
        override_settings(EMAIL_BACKEND=_DUMMY)
        if mailers is None
        else override_settings(MAILERS={alias: {"BACKEND": _DUMMY} for alias in mailers})
    )
    _quietly(override.enable)
    try:
        yield
    finally:
        _quietly(override.disable)


def _quietly(switch: Callable[[], object]) -> None:
    # Django 6.1 deprecates EMAIL_BACKEND, but as long as a project uses it, so must we.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        switch()
