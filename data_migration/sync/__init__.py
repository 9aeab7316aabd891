"""A model and a remote system, kept equal in one or both directions.

Here are the words that a project writes (``Connector``, ``Mapping``, ``Plan``), how they are
found, and one run of them: a pull is an import whose rows are pages of a connector, a push keeps
what it is about to send before it sends it. Imports ``run``, ``step`` and all below; only
``launch`` and what stands above it import this.
"""

from __future__ import annotations

from ..exceptions import AuthFailed, Conflict, Gone, Refused, Transient, Uncertain
from .connector import Connector, Page, Written
from .mapping import Mapping
from .plan import Plan
from .pulling import is_pulling
from .words import Const, From, Nested, is_a

__all__ = [
    "AuthFailed",
    "Conflict",
    "Connector",
    "Const",
    "From",
    "Gone",
    "Mapping",
    "Nested",
    "Page",
    "Plan",
    "Refused",
    "Transient",
    "Uncertain",
    "Written",
    "is_a",
    "is_pulling",
]
