"""Constraints that the database checks at the commit, when no row could be blamed any more."""

from __future__ import annotations

from functools import cached_property

from django.db import Error
from django.db.models import Model

from ..utils.databases import database_of


class DeferredConstraints:
    """Those of ``model``, its parents and its join tables: unique ones, exclusions, triggers.

    Only PostgreSQL has them. Foreign keys are not among them: they were looked up.
    """

    def __init__(self, model: type[Model], *, database: str) -> None:
        self._model = model
        self._database = database
        self._error: Error | None = None

    @cached_property
    def _names(self) -> list[str]:
        meta = self._model._meta
        through = [field.remote_field.through for field in meta.many_to_many]
        models = [self._model, *meta.all_parents, *(each for each in through if each is not None)]
        tables = [each._meta.db_table for each in models]
        return database_of(self._database).deferred_constraints(tables)

    def __bool__(self) -> bool:
        return bool(self._names)

    def check(self) -> None:
        """Raise what the commit would raise because of them."""
        if not self._names:
            return
        listed = ", ".join(self._names)
        with database_of(self._database).connection.cursor() as cursor:
            try:
                cursor.execute(f"SET CONSTRAINTS {listed} IMMEDIATE")
            except Error as error:
                self._error = error
                raise
            cursor.execute(f"SET CONSTRAINTS {listed} DEFERRED")

    def refused(self, error: Exception) -> bool:
        """Whether one of them raised this error last: what comes later may make it good."""
        return error is self._error
