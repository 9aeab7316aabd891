"""A hook fails without harm: what it did in the database is undone, the transaction lives on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from ..exceptions import RowFailure


class HookSavepoints:
    """Runs the hooks of a batch, each with a savepoint that its first statement opens.

    A hook that leaves the database alone, as most do, so costs no statement.
    """

    def __init__(self, database: str) -> None:
        self._database = database
        self._connection = connections[database]
        self._is_armed = False
        self._savepoint: str | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Hooks may be run in the block; needs a transaction around it."""
        with self._connection.execute_wrapper(self._before_statement):
            yield

    def run(self, hook: Callable[..., Any], *arguments: Any) -> Any:
        """Call the hook. Raises what it raises, after its statements were undone."""
        self._is_armed, self._savepoint = True, None
        try:
            result = hook(*arguments)
            raise_if_swallowed(hook, self._connection)
        except BaseException:
            if self._savepoint is not None:
                transaction.set_rollback(False, using=self._database)
                transaction.savepoint_rollback(self._savepoint, using=self._database)
            raise
        finally:
            self._is_armed = False
        if self._savepoint is not None:
            transaction.savepoint_commit(self._savepoint, using=self._database)
        return result

    def _before_statement(
        self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any
    ) -> Any:
        if self._is_armed:
            self._is_armed = False  # before the savepoint, which is a statement itself
            self._savepoint = self._connection.savepoint()
        return execute(sql, params, many, context)


def raise_if_swallowed(hook: Callable[..., Any], connection: BaseDatabaseWrapper) -> None:
    """Fail the row when the hook caught an error of the database and went on.

    Django would roll back the row without a word at the end of the savepoint.
    """
    if connection.needs_rollback:
        raise RowFailure(
            f"{hook.__name__} caught an error of the database, after which its transaction cannot"
            " go on. Put the statement that may fail into its own transaction.atomic() block,"
            " inside the try"
        )
