"""The attributes of a migration that hold plain values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from inspect import isasyncgenfunction, isclass, iscoroutinefunction
from math import isfinite
from typing import Any

from django.core.checks import CheckMessage
from django.db.models import Field, Model

from ..conf import settings
from ..fields.lookup import field_of
from ..fields.paths import AttributePath
from ..outcomes import Deleted, NullMarks, OnConflict, Removed, WriterName
from ..spec.hooks import OwnHooks
from ..spec.legacy_key import declared_key
from ..spec.migration import Migration, has_rows
from ..utils.wording import guess, suggest
from .faults import fault

#: A query either has one of the first two in it or starts with one of the others.
_READS = re.compile(r"\b(SELECT|WITH)\b|^\s*(CALL|EXEC(UTE)?|PRAGMA|SHOW|TABLE|VALUES)\b", re.I)
_SELECTS = re.compile(r"^[\s(]*(SELECT|WITH)\b", re.I)

#: Attributes that take one of a few words. Which side is the newest, only a mapping can tell.
_CHOICES = {
    "on_conflict": [word for word in OnConflict.values if word != OnConflict.NEWEST],
    "deleted": Deleted.values,
    "removed": Removed.values,
    "high_water_null": NullMarks.values,
}


def is_usable_model(model: Any) -> bool:
    """Whether the model's fields can be asked."""
    return isclass(model) and issubclass(model, Model) and model is not Model


def check_model(label: str, migration: type[Migration]) -> Iterator[CheckMessage]:
    model = getattr(migration, "model", None)
    if model is None:
        yield fault("E010", label)
    elif not is_usable_model(model):
        yield fault("E011", label, value=model)
    elif model._meta.abstract:
        yield fault("E012", label, model=model._meta.label, why="abstract")
    elif model._meta.swapped:
        why = f"swapped for {model._meta.swapped}"
        yield fault("E012", label, model=model._meta.label, why=why)


def check_flags(label: str, migration: type[Migration]) -> Iterator[CheckMessage]:
    """Any other value would count as one of the two: ``skip = "no"`` as True."""
    for name in ("skip", "allow_updates", "track_changes"):
        value: Any = getattr(migration, name)
        if not isinstance(value, bool):
            yield fault("E055", label, name=name, value=value)


def check_hooks(label: str, migration: type[Migration]) -> Iterator[CheckMessage]:
    for name in sorted(OwnHooks(migration).names):
        hook: Any = getattr(migration, name)
        if not callable(hook) or iscoroutinefunction(hook) or isasyncgenfunction(hook):
            yield fault("E044", label, name=name, value=hook)


def check_query(label: str, migration: type[Migration]) -> Iterator[CheckMessage]:
    query: Any = migration.query
    if has_rows(migration):
        return
    if callable(migration.rows) and migration.rows is not Migration.rows:
        yield fault("W039", label)
    if not isinstance(query, str):
        yield fault("E013", label, value=query)
    elif not _READS.search(query):
        line = " ".join(query.split())
        yield fault("E014", label, value=line if len(line) <= 60 else f"{line[:57]}...")


def check_query_params(label: str, migration: type[Migration]) -> Iterator[CheckMessage]:
    params: Any = migration.query_params
    if isinstance(params, (str, bytes)) or not isinstance(params, (Sequence, Mapping)):
        yield fault("E015", label, value=params)


def check_search_attr(label: str, migration: type[Migration]) -> Iterator[CheckMessage]:
    attr: Any = migration.search_attr
    model: Any = getattr(migration, "model", None)
    if attr is None or attr == "" or not is_usable_model(model):
        return
    if isinstance(attr, str) and is_computed(model, attr):
        yield fault("E038", label, what="search_attr", value=attr, model=model._meta.label)
    elif not isinstance(attr, str) or not isinstance(field_of(model, attr), Field):
        names = [field.name for field in model._meta.concrete_fields]
        yield fault(
            "E030",
            label,
            value=attr,
            model=model._meta.label,
            suggestion=suggest(str(attr), names),
        )


def is_computed(model: type[Model], attr: str) -> bool:
    """Whether Python works the attribute out, so that no database can be asked for it."""
    return hasattr(model, attr) and AttributePath.follow(model, attr) is None


def check_legacy_key(label: str, migration: type[Migration]) -> Iterator[CheckMessage]:
    key: Any = migration.legacy_key
    columns = [key] if isinstance(key, str) else key
    if key is not None and not (
        isinstance(columns, (list, tuple)) and all(isinstance(c, str) and c for c in columns)
    ):
        yield fault("E031", label, value=key)


def check_allow_updates(label: str, migration: type[Migration]) -> Iterator[CheckMessage]:
    """Speak up only when it is certain that the query does not return the primary key."""
    if migration.allow_updates and not migration.legacy_key and lacks_key(migration):
        model = migration.model
        pk = ", ".join(field.name for field in model._meta.pk_fields)
        yield fault("W032", label, pk=pk, model=model._meta.label)


def check_removed_needs_key(label: str, migration: type[Migration]) -> Iterator[CheckMessage]:
    """Without a key there are no links by which a row that is gone could be missed."""
    key: Any = migration.legacy_key
    has_none = (key is not None and not key) or lacks_key(migration)
    if has_none and migration.removed in (Removed.REPORT, Removed.DELETE):
        yield fault("W037", label, value=str(migration.removed))


def check_depends_on(label: str, migration: type[Migration]) -> Iterator[CheckMessage]:
    entries: Any = migration.depends_on
    if not isinstance(entries, (list, tuple, set, frozenset)):
        yield fault("E040", label, value=entries)
        return
    for entry in entries:
        is_class = isclass(entry) and issubclass(entry, (Model, Migration))
        if not (is_class or isinstance(entry, str)):
            yield fault("E041", label, value=entry)


def check_writer(label: str, migration: type[Migration]) -> Iterator[CheckMessage]:
    writer: Any = migration.writer
    known = [str(name) for name in WriterName.values]
    if writer in known:
        return
    close = guess(str(writer), known)  # all known words are in the hint
    yield fault("E050", label, value=writer, suggestion=close, known=", ".join(known))


def check_batch_size(label: str, migration: type[Migration]) -> Iterator[CheckMessage]:
    size: Any = migration.batch_size
    if size is not None and not is_positive(size, int):
        yield fault("E052", label, value=size, default=settings.batch_size)


def check_choices(label: str, migration: type[Migration]) -> Iterator[CheckMessage]:
    for name, words in _CHOICES.items():
        value: Any = getattr(migration, name)
        known = list(map(str, words))
        if value not in known and value != getattr(Migration, name):
            listed = ", ".join(repr(word) for word in known)
            yield fault("E054", label, name=name, value=value, known=listed)


def check_reruns(label: str, migration: type[Migration]) -> Iterator[CheckMessage]:
    """What a rerun does with rows that changed or are gone, and who may share the rows."""
    split: Any = migration.split
    limit: Any = migration.removed_limit
    if split is not None and not isinstance(split, bool):
        yield fault("E053", label, value=split)
    if not _is_number(limit) or not 0 <= limit <= 100:
        yield fault("E056", label, value=limit)


def check_high_water(label: str, migration: type[Migration]) -> Iterator[CheckMessage]:
    column: Any = migration.high_water
    lag: Any = migration.high_water_lag
    if column is not None and not (isinstance(column, str) and column):
        yield fault("E057", label, value=column)
    is_span = isinstance(lag, timedelta) and lag >= timedelta(0)
    if lag is not None and not is_span and not (_is_number(lag) and lag >= 0):
        yield fault("E058", label, value=lag)


def check_sensitive_columns(label: str, migration: type[Migration]) -> Iterator[CheckMessage]:
    names: Any = migration.sensitive_columns
    if not isinstance(names, (list, tuple, set, frozenset)) or not all(
        isinstance(name, str) and name for name in names
    ):
        yield fault("E059", label, value=names)
        return
    for name in declared_key(migration):
        if name in names:
            yield fault("E036", label, column=name)


def lacks_key(migration: type[Migration]) -> bool:
    """Whether it is certain that nothing identifies a row of the query."""
    model: Any = getattr(migration, "model", None)
    query: Any = migration.query
    if declared_key(migration) or not is_usable_model(model):
        return False
    if not isinstance(query, str) or model._meta.pk is None:
        return False
    if "*" in query or not _SELECTS.match(query):
        return False
    parts = [{field.name, field.attname} for field in model._meta.pk_fields]
    if len(parts) == 1:
        parts[0].add("pk")
    return not all(
        re.search(rf"\b({'|'.join(map(re.escape, sorted(names)))})\b", query, re.I)
        for names in parts
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)


def is_positive(value: Any, *kinds: type) -> bool:
    """Whether it is a finite number above zero of one of the kinds; ``True`` is none."""
    return isinstance(value, kinds) and _is_number(value) and value > 0  # type: ignore[operator]
