"""What the fields of a mapping are made of: ``From``, ``Const``, ``Nested``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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
