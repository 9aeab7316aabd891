"""Which writer a migration gets, and why: decided once per step, told to the user."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import connections
from django.db.models import Model
from django.db.models.signals import m2m_changed, post_save, pre_save

from ..exceptions import SpecError
from ..migration import Migration
from ..outcomes import WriterName
from .base import Writer
from .bulk import BulkWriter
from .save import SaveWriter

_WRITERS: dict[str, type[Writer]] = {writer.name: writer for writer in (SaveWriter, BulkWriter)}


def choose_writer(migration: Migration, *, database: str) -> tuple[Writer, str]:
    """Return the step's writer and the reason in one phrase.

    ``auto`` takes ``bulk`` unless the model needs ``save()``. Raises :exc:`SpecError` for a
    writer that does not exist.
    """
    if migration.writer == WriterName.AUTO:
        reason = next(_needs_save(migration.model, database), "")
        cls: type[Writer] = SaveWriter if reason else BulkWriter
        return cls(migration, database=database), reason or "nothing on the model needs save()"
    if migration.writer not in _WRITERS:
        raise SpecError(
            f"{type(migration).__name__}: writer {migration.writer!r} does not exist; choose"
            f" {', '.join(WriterName.values)}."
        )
    if migration.writer == WriterName.BULK and _has_parent_tables(migration.model):
        raise SpecError(
            f"{type(migration).__name__}: {migration.model.__name__} inherits from another table,"
            ' which Django cannot fill in bulk. Set writer = "save" or "auto".'
        )
    return _WRITERS[migration.writer](migration, database=database), "the migration asks for it"


def _needs_save(model: type[Model], database: str) -> Iterator[str]:
    if model.save is not Model.save or model.save_base is not Model.save_base:
        yield f"{model.__name__} overrides save()"
    if _has_parent_tables(model):
        yield f"{model.__name__} inherits from another table"
    for signal, name in ((pre_save, "pre_save"), (post_save, "post_save")):
        if signal.has_listeners(model):
            yield f"{name} receivers listen to {model.__name__}"
    for field in model._meta.many_to_many:
        if m2m_changed.has_listeners(field.remote_field.through):
            yield f"m2m_changed receivers listen to {model.__name__}.{field.name}"
    if not connections[database].features.can_return_rows_from_bulk_insert:
        yield "the database does not return the keys of rows inserted in bulk"


def _has_parent_tables(model: type[Model]) -> bool:
    concrete = model._meta.concrete_model
    return concrete is not None and bool(concrete._meta.parents)
