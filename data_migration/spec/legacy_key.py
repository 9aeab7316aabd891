"""What identifies a row, and by what an existing object is found: decided once per step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Field, Model

from ..exceptions import SpecError
from ..fields.lookup import field_of
from .migration import Migration


def key_columns_of(label: str, migration: Migration, columns: Sequence[str]) -> tuple[str, ...]:
    """The columns that identify a legacy row; empty when the query has none.

    ``legacy_key`` where it is set (``()`` for none), else ``search_attr``, else the model's
    primary key, of a composite one all parts: the first that the query returns. Raises
    :exc:`SpecError` when ``legacy_key`` names an absent column.
    """
    if migration.legacy_key is not None:
        declared = migration.legacy_key
        key = (declared,) if isinstance(declared, str) else tuple(declared)
        if absent := [column for column in key if column not in columns]:
            raise SpecError(
                f"{label}: legacy_key names {', '.join(absent)}, which the"
                f" query does not return. It returns: {', '.join(columns)}."
            )
        return key
    for candidate in (migration.search_attr, "pk", *primary_keys(migration.model)):
        if candidate and candidate in columns:
            return (candidate,)
    parts = [{field.name, field.attname} for field in migration.model._meta.pk_fields]
    named = [next((name for name in columns if name in names), "") for names in parts]
    return tuple(named) if len(named) > 1 and all(named) else ()


def declared_key(migration: type[Migration]) -> tuple[str, ...]:
    """The columns of the legacy key as far as the spec says which; empty where it does not."""
    key: Any = migration.legacy_key or migration.search_attr or ()
    columns = (key,) if isinstance(key, str) else key
    is_listed = isinstance(columns, (list, tuple))
    return tuple(column for column in columns if isinstance(column, str)) if is_listed else ()


def primary_keys(model: type[Model]) -> tuple[str, ...]:
    """The names of the primary key, and of the one it stands for in a parent's table."""
    names: list[str] = []
    key: Any = model._meta.pk
    while key is not None:
        names += (key.name, key.attname)
        is_link = key.remote_field is not None and key.remote_field.parent_link
        key = key.related_model._meta.pk if is_link else None
    return tuple(names)


def search_attrs_of(
    label: str, migration: Migration, columns: Sequence[str], *, has_links: bool = False
) -> tuple[str, ...]:
    """The attributes by which a row's existing object is found.

    With ``has_links`` there may be none: the ledger knows the objects that it made itself.
    Raises :exc:`SpecError` when there are none otherwise.
    """
    if migration._terms.match:
        return migration._terms.match
    attrs = (
        (migration.search_attr,)
        if migration.search_attr
        else key_columns_of(label, migration, columns)
    )
    unknown = [attr for attr in attrs if not isinstance(field_of(migration.model, attr), Field)]
    if attrs and not unknown:
        return attrs
    if has_links and not migration.search_attr:
        return ()
    raise SpecError(
        f"{label}: an updateable migration has to find existing objects."
        " Set legacy_key to the columns of the query that identify a row, or search_attr to a"
        f" field of {migration.model._meta.label} that the query returns and that is different"
        " for every row."
    )
