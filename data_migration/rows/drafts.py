"""``Draft``: one row on its way to becoming an object."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from django.db.models import Model

from ..outcomes import Outcome


class Note(NamedTuple):
    """Something about a row that a person should know; kept with the run as a message."""

    column: str
    value: Any
    cause: str


class Draft:
    """A row and what the stages have made of it so far.

    ``number`` is the row's place in the query's result, from 1, ``key`` the value of its legacy
    key (a tuple for several columns, None without one), ``key_hash`` and ``key_text`` its two
    other forms (:mod:`data_migration.rows.keys`), ``checksum`` the digest of the row as it came,
    ``link`` what the ledger remembers of the key. ``values`` are the model's keyword
    arguments, ``m2m`` the targets of each many-to-many by accessor name. ``existing`` is the
    stored object where one was found, ``raw`` the untouched row for its hook, ``changed`` those
    of its fields that differ, ``before`` and ``m2m_before`` what those were (fields by name,
    targets by accessor name), ``kept`` the fields that stay as a person left them. A new object
    is an ``instance`` where somebody needs one, else its ``values`` are written as they are;
    ``pk`` is its primary key once it is written, ``written`` the digests of its fields
    (:class:`~data_migration.fields.digests.FieldDigests`). ``has_key``: the new object's primary
    key came with the row. ``deferred`` are the columns whose targets are looked for again when
    every migration has run.

    A ``waiting`` draft cannot be written yet: an object that it needs is still to come;
    ``has_late_m2m`` says the same of many-to-many rows alone. An ``is_resumed`` draft has an
    object that an interrupted run left without them, and created if ``is_new``. ``outcome`` is
    set once, at the end; a draft with an ``error`` is passed over by every later stage.
    """

    # Defaults stand on the class: most rows never need more than their values, and a million
    # rows pay for every attribute that is set.
    key: Any = None
    key_hash = ""
    key_text = ""
    checksum = 0
    link: Any = None
    raw: dict[str, Any] | None = None
    m2m: Mapping[str, list[Any]] = MappingProxyType({})
    notes: tuple[Note, ...] = ()
    existing: Model | None = None
    changed: tuple[str, ...] = ()
    before: Mapping[str, Any] = MappingProxyType({})
    m2m_before: Mapping[str, list[Any]] = MappingProxyType({})
    kept: tuple[str, ...] = ()
    conflicts: tuple[Note, ...] = ()
    deferred: tuple[str, ...] = ()
    instance: Any = None
    pk: Any = None
    written = b""
    has_key = False
    waiting = False
    has_late_m2m = False
    is_resumed = False
    is_new = False
    error: Exception | None = None
    outcome: Outcome | None = None

    def __init__(self, number: int, row: dict[str, Any]) -> None:
        self.number = number
        self.row = row
        self.values: dict[str, Any] = {}

    def stored(self, attname: str) -> Any:
        """An attribute of the object that the draft became."""
        instance = self.existing or self.instance
        if instance is not None:
            return getattr(instance, attname)
        value = self.values.get(attname)
        return self.pk if value is None else value

    def fail(self, error: Exception) -> None:
        self.error = error
        self.outcome = Outcome.FAILED
        self.waiting = False
