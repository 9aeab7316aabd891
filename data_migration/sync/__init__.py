"""A model and a remote system, kept equal in one or both directions.

Here are the words that a project writes (``Connector``, ``Mapping``, ``Plan``), how they are
found, and one run of them: a pull is an import whose rows are pages of a connector, a push keeps
what it is about to send before it sends it. Imports ``run``, ``step`` and all below; only
``launch`` and what stands above it import this.
"""

from __future__ import annotations

from ..exceptions import AuthFailed, Conflict, Gone, Refused, Transient, Uncertain
from .connector import Connector, Page, Written
from .http import HttpConnector
from .mapping import Mapping
from .paging import HeaderToken, LinkHeader, NextUrl, Offset, PageNumber, Single, Token
from .plan import Plan
from .pulling import is_pulling
from .resources import Resource
from .words import Const, From, Nested, is_a

__all__ = [
    "AuthFailed",
    "Conflict",
    "Connector",
    "Const",
    "From",
    "Gone",
    "HeaderToken",
    "HttpConnector",
    "LinkHeader",
    "Mapping",
    "Nested",
    "NextUrl",
    "Offset",
    "Page",
    "PageNumber",
    "Plan",
    "Refused",
    "Resource",
    "Single",
    "Token",
    "Transient",
    "Uncertain",
    "Written",
    "is_a",
    "is_pulling",
]
