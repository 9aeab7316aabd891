"""A rehearsal: the real run, of which nothing remains."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from django.core.exceptions import ImproperlyConfigured
from django.db import Error, connections, transaction

from ..compat import no_mail


@contextmanager
def rehearse(database: str) -> Iterator[None]:
    """Run the block in a transaction that is rolled back; hold back mail and on_commit callbacks.

    The other databases join in, since hooks may write to them. One that cannot be reached is left
    alone: a hook that needs it fails by itself. PostgreSQL's sequences do not take part in
    transactions: a rehearsal moves them on, which leaves gaps and harms nothing.
    """
    with no_mail(), ExitStack() as stack:
        for alias in connections:
            if alias != database:
                # At the start: once a hook is inside an atomic() of its own it is too late.
                with suppress(Error, ImproperlyConfigured):
                    stack.enter_context(_rolled_back(alias))
        with _rolled_back(database):
            yield


@contextmanager
def _rolled_back(alias: str) -> Iterator[None]:
    with transaction.atomic(using=alias):
        try:
            yield
        finally:
            transaction.set_rollback(True, using=alias)
