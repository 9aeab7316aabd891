"""Primary keys as the ledger keeps them: in one text, whatever the key is made of."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from django.db.models import Model

from .lookup import target_field_of

#: Keys whose ``str()`` their own ``to_python`` does not read; they write themselves.
_WRITE_THEMSELVES = ("CompositePrimaryKey", "BinaryField")


def is_in_key(field: Any, model: type[Model]) -> bool:
    """Whether the field is the primary key of ``model`` or of a parent, or a part of it."""
    return bool(field.primary_key) or field in model._meta.pk_fields


def is_set(pk: Any) -> bool:
    """Whether an object has its key, and all parts of it."""
    return pk is not None and not (isinstance(pk, tuple) and None in pk)


def pk_to_text(model: type[Model]) -> Callable[[Any], str]:
    """The function that writes a primary key of ``model`` as text."""
    field: Any = target_field_of(model._meta.pk)
    if field.get_internal_type() not in _WRITE_THEMSELVES:
        return str

    def write(pk: Any) -> str:
        return str(field.value_to_string(SimpleNamespace(**{field.attname: pk})))

    return write


def pk_from_text(model: type[Model]) -> Callable[[str | None], Any]:
    """The function that reads what :func:`pk_to_text` wrote; None stays None."""
    field: Any = target_field_of(model._meta.pk)
    to_python: Callable[[str | None], Any] = field.to_python
    match field.get_internal_type():
        case "CompositePrimaryKey":
            return lambda text: None if text is None else tuple(to_python(text))
        case "BinaryField":
            return lambda text: None if text is None else bytes(to_python(text))
        case _:
            return to_python
