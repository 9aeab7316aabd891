"""``Plan``: the mappings that are synced together with one account."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from .mapping import Mapping


class Plan:
    """Some mappings and the connector they go through.

    They are run in the order of ``depends_on`` and ``is_a``; their order here only decides where
    these say nothing.
    """

    mappings: ClassVar[Sequence[type[Mapping]]] = ()
    #: A name in ``DATA_MIGRATION_CONNECTORS``, unless the command names another.
    connector: ClassVar[str] = ""
