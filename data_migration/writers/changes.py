"""A row's values on its existing object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from ..fields.changes import key_names
from ..rows.drafts import Draft


def apply_to_existing(draft: Draft) -> None:
    """Put the draft's values on its existing object; the key of the object stays.

    In the order of the fields, as ``Model(...)`` does it: a field may look at one before it, as
    an amount of django-money does at its currency.
    """
    model: Any = type(draft.existing)
    own, places = key_names(model), _places(model)
    for name in sorted(draft.values, key=lambda name: places.get(name, len(places))):
        if name not in own:
            setattr(draft.existing, name, draft.values[name])


@cache
def _places(model: Any) -> dict[str, int]:
    """The place of each field by the names under which a row may give it."""
    fields = enumerate(model._meta.fields)
    return {name: place for place, field in fields for name in (field.name, field.attname)}


def named_values(instance: Any, values: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Of ``values`` by attribute name those of the fields in ``names``, by field name."""
    fields = {name: instance._meta.get_field(name) for name in names}
    return {name: values[field.attname] for name, field in fields.items()}
