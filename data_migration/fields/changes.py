"""Which fields of an object are no longer what they were."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from functools import cache
from operator import itemgetter
from typing import Any

from django.db.models import DecimalField, Field, FileField, JSONField, Model

from ..exceptions import SpecError
from .lookup import stored_values, target_field_of
from .primary_keys import is_in_key
from .stock import OWN_TYPES, is_converted_by_django, kind_of

_ROUNDINGS = (ROUND_HALF_UP, ROUND_HALF_EVEN)
#: What nothing can change in place.
_FIXED = frozenset({type(None), bool, int, float, Decimal, str, bytes, dt.date, dt.datetime})


def changed_fields(instance: Any, before: dict[str, Any]) -> tuple[str, ...]:
    """The names of the fields whose value is no longer that of ``before``."""
    after, own = stored_values(instance), key_names(instance.__class__)
    return tuple(
        field.name
        for field in instance._meta.concrete_fields
        if not field.primary_key
        and field.attname not in own
        and field.attname in before
        and not is_same(field, before[field.attname], after[field.attname])
    )


@cache
def key_names(model: Any) -> frozenset[str]:
    """The names under which the key is given, or a part of it."""
    fields = (model._meta.pk, *model._meta.pk_fields)
    return frozenset({"pk", *(name for field in fields for name in (field.name, field.attname))})


def is_same(field: Field[Any, Any], before: Any, after: Any) -> bool:
    """Whether the database would keep the same for both values of the field."""
    if isinstance(before, memoryview):
        before = bytes(before)  # psycopg2's, which equals no bytes as it is
    if isinstance(field, JSONField):
        return _is_same_json(before, after)
    if isinstance(field, FileField) and not getattr(after, "_committed", True):
        return False  # another file, whatever its name
    if before is after or before == after or _is_same_moment(before, after):
        return True
    if isinstance(field, DecimalField) and isinstance(after, Decimal) and before is not None:
        # What is stored was rounded, so the value is compared rounded: servers round halves up,
        # for SQLite Django rounds them to even.
        return before in [after.quantize(before, rounding=each) for each in _ROUNDINGS]
    return False


def _is_same_moment(before: Any, after: Any) -> bool:
    """In the hour that a zone goes through twice, Python finds moments of two zones unequal."""
    moments = [each for each in (before, after) if isinstance(each, dt.datetime) and each.tzinfo]
    if len(moments) < 2:
        return False
    return moments[0].astimezone(dt.UTC) == moments[1].astimezone(dt.UTC)


def _is_same_json(before: Any, after: Any) -> bool:
    """In Python True equals 1 and 1.0, which JSON writes as three values."""
    if isinstance(before, dict) and isinstance(after, dict):
        return before.keys() == after.keys() and all(
            _is_same_json(before[key], after[key]) for key in before
        )
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(map(_is_same_json, before, after))
    if any(isinstance(before, kind) is not isinstance(after, kind) for kind in (bool, float)):
        return False
    return before is after or bool(before == after)


class Columns:
    """Compares objects of ``model`` with copies of their values, many in little time.

    A value that can be changed in place is copied, any other is only compared.
    """

    def __init__(self, model: type[Model]) -> None:
        self._model = model
        self.fields = {
            field.attname: field
            for field in model._meta.concrete_fields
            if not (is_in_key(field, model) or field.generated)
        }
        plain = [name for name, field in self.fields.items() if _is_fixed(field)]
        self._others = [name for name in self.fields if name not in plain]
        #: All of the plain ones together: nothing of most objects is changed.
        self._plain: Callable[[dict[str, Any]], Any] = itemgetter(*plain) if plain else _nothing

    def copy(self, instance: Any) -> dict[str, Any]:
        """The values that the object has loaded, by attribute.

        Raises :exc:`SpecError` for one that cannot be copied.
        """
        values: dict[str, Any] = vars(instance).copy()
        for name in self._others:
            value = values.get(name)
            if type(value) not in _FIXED:
                values[name] = self._copied(name, value)
        return values

    def changed(self, instance: Any, before: dict[str, Any]) -> tuple[str, ...]:
        """The attributes of fields whose value is no longer that of :meth:`copy`."""
        after, names = vars(instance), list(self.fields)
        with suppress(KeyError):  # some are deferred
            if self._plain(before) == self._plain(after):
                names = self._others
        return tuple(
            name
            for name in names
            if name in before
            and name in after
            and not is_same(self.fields[name], before[name], after[name])
        )

    def late(self, instance: Any, before: dict[str, Any]) -> list[str]:
        """The attributes of fields that were deferred, and have a value now."""
        after = vars(instance)
        return [name for name in self.fields if name in after and name not in before]

    def _copied(self, name: str, value: Any) -> Any:
        if isinstance(value, memoryview):
            return bytes(value)
        if isinstance(self.fields[name], FileField):
            return value.name
        try:
            return deepcopy(value)
        except Exception as error:  # whatever a project's own type makes of it
            field = self.fields[name].name
            raise SpecError(
                f"{self._model._meta.label}.{field}: a {type(value).__name__} cannot be copied"
                f" ({error}), so nobody could tell whether it was changed. Leave it out with"
                f" defer({field!r})"
            ) from error


def _nothing(values: dict[str, Any]) -> None:
    """What a model without plain columns has of them."""


def _is_fixed(field: Any) -> bool:
    """Whether its values equal each other where they are stored alike, and cannot be changed."""
    field = target_field_of(field)
    kind = kind_of(field)
    if kind is None or kind is FileField or not is_converted_by_django(field):
        return False
    return OWN_TYPES[kind] not in (None, bytes)
