"""``Migration``: what a spec author writes. A declaration; the engine runs it.

Every hook may be a plain method or a classmethod. The engine makes one instance of the class for
each step, so plain methods may keep state on ``self``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from django.db.models import Model

from ..exceptions import SpecError
from ..outcomes import NullMarks, OnConflict, Removed, WriterName
from ..sources import connect
from .columns import Column
from .failed_rows import told
from .terms import Terms


class Migration:
    """One query into one model. A class without ``query`` is a base class and never runs."""

    #: The SELECT (CTEs allowed) whose columns are named like the model's fields.
    query: ClassVar[str | None] = None
    #: Parameters of the query, handed to the driver as they are.
    query_params: ClassVar[Sequence[Any] | Mapping[str, Any]] = ()
    #: The model that receives one object for each row.
    model: ClassVar[type[Model]]
    #: Column -> ``is_a(...)``.
    column_description: ClassVar[Mapping[str, Column]] = {}
    #: Models, Migration classes or ``"app_label.ClassName"`` that have to be migrated before.
    depends_on: ClassVar[Sequence[type[Model] | type[Migration] | str]] = []
    #: May be run again: creates what is missing, updates what changed.
    allow_updates: ClassVar[bool] = False
    #: The attribute (and column) by which an existing object is found.
    search_attr: ClassVar[str | None] = None
    #: The column or columns that identify a legacy row; ``()`` for none.
    legacy_key: ClassVar[str | Sequence[str] | None] = None
    #: Not run, listed as skipped.
    skip: ClassVar[bool] = False
    #: A name in ``DATA_MIGRATION_SOURCES``.
    source: ClassVar[str | None] = None
    #: ``auto``, ``save``, ``bulk`` or ``copy``.
    writer: ClassVar[str] = WriterName.AUTO
    #: Rows read, transformed and written together; ``None`` means ``DATA_MIGRATION_BATCH_SIZE``.
    batch_size: ClassVar[int | None] = None
    #: Whether ``--workers`` may split it into ranges; ``None``: unless hooks may share memory.
    split: ClassVar[bool | None] = None
    #: Call ``hook_update_existing`` only for rows that changed in the source.
    track_changes: ClassVar[bool] = False
    #: The column that grows with every change of a row; a rerun reads what is at or above it.
    high_water: ClassVar[str | None] = None
    #: How far below the mark a rerun starts: a ``timedelta`` or a number.
    high_water_lag: ClassVar[Any] = None
    #: Rows without a mark: ``include``, ``exclude`` or ``raise``.
    high_water_null: ClassVar[str] = NullMarks.INCLUDE
    #: Objects whose row is gone from the source: ``keep``, ``report`` or ``delete``.
    removed: ClassVar[str] = Removed.KEEP
    #: The share of the rows, in percent, above which nothing is deleted unless forced.
    removed_limit: ClassVar[float] = 10
    #: Fields that a person changed since: ``keep``, ``overwrite`` or ``report``.
    on_conflict: ClassVar[str] = OnConflict.KEEP
    #: Objects that a person deleted: an update may ``create`` them again, ``keep`` them deleted or
    #: ``report``; ``None``: ``report`` where ``on_conflict`` does, else ``create``.
    deleted: ClassVar[str | None] = None
    #: Columns whose values no message shows.
    sensitive_columns: ClassVar[Sequence[str]] = ()
    #: What opens the feed of a pull, given its label and what is called while it waits.
    _feed: ClassVar[Any] = None
    #: Those of the pull of a mapping.
    _terms: ClassVar[Terms] = Terms()

    @classmethod
    def open_db_connection(cls) -> Any:
        """Return a DB-API connection to the legacy database.

        Opens ``source``; override it to connect in another way. The engine closes the connection.
        """
        if cls.source is None:
            raise SpecError(
                f"{cls.__module__}.{cls.__qualname__}: set source to a name in"
                " DATA_MIGRATION_SOURCES, or define open_db_connection()."
            )
        return connect(cls.source)

    def rows(self) -> Iterable[Mapping[str, Any]]:
        """Yield a dict for each row, in place of :attr:`query`: from a file, from anything.

        Set :attr:`legacy_key`. A name that a row does not have leaves the field alone, None is
        NULL. It is called anew for each reading, outside of any transaction.
        """
        raise NotImplementedError

    @classmethod
    def hook_before_all(cls) -> None:
        """Called before the first row is read, in reruns too."""

    @classmethod
    def hook_before_transformation(cls, row: dict[str, Any]) -> None:
        """Called with the row as it came; changes to it are what is transformed."""

    @classmethod
    def hook_before_save(cls, instance: Any, row: dict[str, Any]) -> bool | None:
        """Called before the instance is saved; returning ``False`` skips the row."""

    @classmethod
    def hook_after_save(cls, instance: Any, row: dict[str, Any]) -> None:
        """Called after the instance and its many-to-many rows were created.

        Changes to the instance need their own ``instance.save()``.
        """

    @classmethod
    def hook_update_existing(cls, instance: Any, row: dict[str, Any]) -> None:
        """Called in an updateable rerun for an object that exists, with the raw row.

        Overriding it replaces the update of the columns that differ; the hook saves by itself and
        has to bear being called again for the same row.
        """

    @classmethod
    def hook_after_all(cls) -> None:
        """Called after the last row was written, in reruns too."""

    @classmethod
    def hook_row_count(cls, connection: Any, cursor: Any) -> int | None:
        """Return the number of rows; ``None`` lets the database count them.

        ``cursor`` is a fresh cursor on which the query has not been executed.
        """
        return None

    @classmethod
    def hook_error_creating_instance(cls, exception: Exception, row: dict[str, Any]) -> None:
        """Called for a row that failed. Reports it on stderr and re-raises.

        When an override returns, the failed row is recorded and the next one is processed.
        """
        sys.stderr.write(told(cls.__name__, exception, row, cls.sensitive_columns))
        raise exception


def has_rows(migration: type[Migration]) -> bool:
    """Whether its rows come from :meth:`Migration.rows`: it is overridden, and there is no query.

    A spec of the older package may have a name ``rows`` of its own beside its query.
    """
    rows: Any = migration.rows
    return not migration.query and callable(rows) and rows is not Migration.rows


class BaseMigration(Migration):
    """A migration from the source named ``legacy``."""

    source = "legacy"
