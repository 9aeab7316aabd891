"""Which writer a migration gets, and why: decided once per step, told to the user."""

from __future__ import annotations

from collections.abc import Iterable
from types import NoneType
from typing import NamedTuple

from django.db.models import Field, FileField, Model
from django.db.models.fields.reverse_related import ManyToManyRel
from django.db.models.signals import m2m_changed, post_init, post_save, pre_init, pre_save

from ..exceptions import SpecError
from ..fields.lookup import field_of
from ..outcomes import WriterName
from ..spec.hooks import Hooks
from ..spec.migration import Migration
from ..utils.databases import database_of
from .base import Writer
from .bulk import BulkWriter, CopyWriter
from .inserts import copy_cannot, django_has_to
from .save import SaveWriter

_WRITERS: dict[str, type[Writer]] = {
    writer.name: writer for writer in (SaveWriter, BulkWriter, CopyWriter)
}


class Choice(NamedTuple):
    """A writer that is to be made, and the reason in one phrase."""

    writer: type[Writer]
    reason: str


def choose_writer(label: str, migration: Migration, *, database: str) -> Choice:
    """Choose the step's writer; ``label`` is the migration's.

    ``auto`` takes the fastest that keeps what the model does. Raises :exc:`SpecError` for a
    writer that does not exist, or that cannot write the model.
    """
    if migration.writer == WriterName.AUTO:
        return _fastest(migration.model, database)
    if migration.writer not in _WRITERS:
        raise SpecError(
            f"{label}: writer {migration.writer!r} does not exist; choose"
            f" {', '.join(WriterName.values)}."
        )
    if migration.writer != WriterName.SAVE and _has_parent_tables(migration.model):
        raise SpecError(
            f"{label}: {migration.model.__name__} inherits from another table, which Django cannot"
            ' fill in bulk. Set writer = "save" or "auto".'
        )
    if migration.writer == WriterName.COPY and (
        reason := copy_cannot(migration.model, database=database)
    ):
        raise SpecError(
            f'{label}: writer = "copy" cannot write {migration.model.__name__} into'
            f' {database!r}: {reason}. Set writer = "bulk" or "auto".'
        )
    return Choice(_WRITERS[migration.writer], "the migration asks for it")


def _fastest(model: type[Model], database: str) -> Choice:
    if reason := _needs_save(model, database):
        return Choice(SaveWriter, reason)
    if reason := copy_cannot(model, database=database):
        why = f", but no COPY: {reason}" if database_of(database).takes_copy else ""
        return Choice(BulkWriter, f"nothing on the model needs save(){why}")
    return Choice(CopyWriter, "nothing on the model needs save(), and PostgreSQL takes COPY")


def _needs_save(model: type[Model], database: str) -> str:
    """Why only ``save()`` writes the model as Django does, in one phrase; else empty."""
    if model.save is not Model.save or model.save_base is not Model.save_base:
        return f"{model.__name__} overrides save()"
    if _has_parent_tables(model):
        return f"{model.__name__} inherits from another table"
    for signal, name in ((pre_save, "pre_save"), (post_save, "post_save")):
        if signal.has_listeners(model):
            return f"{name} receivers listen to {model.__name__}"
    for field in model._meta.many_to_many:
        if m2m_changed.has_listeners(field.remote_field.through):
            return f"m2m_changed receivers listen to {model.__name__}.{field.name}"
    if not database_of(database).returns_new_keys:
        return "the database does not return the keys of rows inserted in bulk"
    return ""


def _has_parent_tables(model: type[Model]) -> bool:
    concrete = model._meta.concrete_model
    return concrete is not None and bool(concrete._meta.parents)


def instances_needed(
    model: type[Model],
    writer: type[Writer],
    columns: Iterable[str],
    *,
    hooks: Hooks,
    database: str,
) -> str:
    """Why each new row becomes a model instance, in one phrase; empty where none does.

    ``columns`` are the query's.
    """
    if hooks.see_new_instances:
        return f"{hooks.see_new_instances[0]} gets it"
    if not issubclass(writer, BulkWriter):
        return f"the writer {writer.name} saves it"
    if reason := django_has_to(model, database=database):
        return f"Django writes it: {reason}"
    if model.__init__ is not Model.__init__:
        return f"{model.__name__} overrides __init__()"
    for signal, name in ((pre_init, "pre_init"), (post_init, "post_init")):
        if signal.has_listeners(model):
            return f"{name} receivers listen to {model.__name__}"
    for field in (*model._meta.concrete_fields, *model._meta.many_to_many):
        if isinstance(field, FileField):
            return f"{field.name} is a file"
        if field.related_model is model:
            return f"rows may wait for others of the same model ({field.name})"
    for column in columns:
        if not isinstance(field_of(model, column), (Field, ManyToManyRel, NoneType)):
            return f"{column} is set on it"
    return ""
