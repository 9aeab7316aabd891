"""``Resource``: where one kind of row is found in an API over HTTP, in values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of row.

    ``path`` is that of the list, to which a row's key is added; ``rows`` the dotted path of the
    rows in an answer with many, ``row`` that of the row in an answer with one, ``wrap`` the name
    under which a row is sent. ``key`` and ``version`` are dotted paths in a row; a ``version`` of
    ``"etag"`` is the header of an answer
    with one row, and is sent as ``If-Match``. ``since``, ``size`` and ``fields`` are the names of
    parameters, ``parameters`` others that each list is asked with. ``cursor`` is the dotted path,
    or ``cursor_header`` the header, of what the next pass begins at. ``deleted`` is the dotted
    path of what is true in a row that was deleted. With ``is_sorted`` the rows of a list come in
    the order of their changes. ``find`` is the parameter of each value that a row is looked for
    by, such as ``"filter[{}]"``. ``idempotency`` is the header that takes the key of a row that is
    created, ``remembers`` for how many seconds the system knows it again. ``error`` is the dotted
    path of what an answer has although it says 200, when it went wrong. ``update`` is the method
    that changes a row.
    """

    path: str
    key: str = "id"
    rows: str = ""
    row: str = ""
    wrap: str = ""
    since: str = ""
    size: str = ""
    fields: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    cursor: str = ""
    cursor_header: str = ""
    deleted: str = ""
    is_sorted: bool = False
    version: str = ""
    find: str = ""
    idempotency: str = ""
    remembers: float = 0
    error: str = ""
    update: str = "PATCH"
