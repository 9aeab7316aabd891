"""What the fields of a mapping are made of: ``From``, ``Const``, ``is_a``, ``Nested``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import isclass
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model

from ..spec.columns import Column

#: One direction of a mapping or a field, or both.
PULL, PUSH, SYNC = "pull", "push", "sync"
DIRECTIONS = (PULL, PUSH, SYNC)


@dataclass(frozen=True, slots=True)
class From:
    """The model's field ``name``, with a conversion for each direction.

    ``pull`` makes the model's value of the remote one, ``push`` the other way round; None leaves
    it to the field. ``direction`` narrows that of the mapping.
    """

    name: str
    pull: Callable[[Any], Any] | None = None
    push: Callable[[Any], Any] | None = None
    direction: str = SYNC


@dataclass(frozen=True, slots=True)
class Const:
    """The same value for every row. Only sent."""

    value: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Related(Column):
    """A relation by the links of another mapping, as :func:`is_a` returns it.

    ``legacy`` is that mapping, or True for whichever fills ``klass``. ``field`` is the model's
    field where the remote name does not tell it; its kind is that of the relation.
    """

    field: str = ""


def is_a(
    klass: type[Model],
    mapping: type[Any] | None = None,
    *,
    field: str = "",
    skip_missing: bool = False,
    deferred: bool = False,
) -> Related:
    """A relation to an object of ``klass``, which is known over there by its remote key.

    A pull finds the object that the row with this key became, a push the key of the row that the
    object became. ``mapping`` says through which mapping, where several fill ``klass``; ``field``
    is the model's field, where it is neither called like the remote name nor the only one to
    ``klass``. A many-to-many is a list of keys.

    ``skip_missing`` and ``deferred`` are those of :func:`data_migration.is_a`. Raises
    :exc:`~django.core.exceptions.ImproperlyConfigured` on misuse.
    """
    if not (isclass(klass) and issubclass(klass, Model)):
        raise ImproperlyConfigured(
            f"is_a(): the first argument has to be a model class, got {klass!r}."
        )
    if mapping is not None and not hasattr(mapping, "objectname"):
        raise ImproperlyConfigured(
            f"is_a({klass.__name__}): the second argument has to be a Mapping, got {mapping!r}."
        )
    return Related(
        klass=klass,
        legacy=mapping or True,
        field=field,
        skip_missing=skip_missing,
        deferred=deferred,
    )


@dataclass(frozen=True, slots=True)
class Nested:
    """A list of rows inside of a row: objects of another model, with a foreign key to the parent.

    ``mapping`` (a ``Mapping``) says what their fields are; its ``model`` has exactly one foreign
    key to the parent's, unless ``parent`` names it. ``mode``: a pull makes the objects those of
    the list (``"replace"``), leaves others alone (``"merge"``), or adds what is new
    (``"append"``).
    """

    mapping: type[Any]
    mode: str = "replace"
    parent: str = ""


#: How the objects of a nested list follow the list.
NESTED_MODES = ("replace", "merge", "append")
