"""``Draft``: one row on its way to becoming an object."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from django.db.models import Model

from ..outcomes import Outcome
from .identity import NOBODY, Identity


class Note(NamedTuple):
    """Something about a row that a person should know; kept with the run as a message.

    It ``is_settled`` where another look at the unchanged row would say the same.
    """

    column: str
    value: Any
    cause: str
    is_settled: bool = False


class Changes(NamedTuple):
    """What a row changes in an existing object.

    ``fields`` are the names of those that differ and ``before`` what they were, ``m2m_before``
    the former targets of many-to-manys by accessor name. ``kept`` are many-to-manys that stay as
    a person left them.
    """

    fields: tuple[str, ...] = ()
    before: Mapping[str, Any] = MappingProxyType({})
    m2m_before: Mapping[str, list[Any]] = MappingProxyType({})
    kept: tuple[str, ...] = ()


class Draft:
    """A row and what the stages have made of it so far, in the order in which they come.

    *As it came*: ``number`` is the row's place in the query's result, from 1.

    *Recognised*: ``link`` is what the ledger remembers of the key, ``existing`` the stored object
    that the row stands for, ``raw`` the untouched row for ``hook_update_existing``. ``resumes``
    is how a row ends whose object an interrupted run left without its many-to-manys.

    *Transformed*: ``values`` are the model's keyword arguments, ``m2m`` the targets of each
    many-to-many by accessor name, ``deferred`` the columns whose targets are looked for again when
    every migration has run. A ``waiting`` draft cannot be written yet, since an object that it
    needs is still to come; ``has_late_m2m`` says the same of many-to-many rows alone.

    *Written*: a new object is an ``instance`` where somebody needs one, else its ``values`` are
    written as they are; ``beneath`` is what rows in its parents' tables had that were there before
    it, by field name; ``is_saved`` says that ``hook_before_save`` has saved it. ``pk`` is its
    primary key then, and ``has_key`` whether that came with the row. Of an existing object there
    are ``changes``, and ``conflicts`` with what a person changed. ``digests`` are
    those of the object's fields (:mod:`data_migration.fields.digests`).

    *Merged*, in a pull: ``agreed`` are the digests that count as written for fields that stay as
    they are here, ``undecided`` the conflicts that wait for a person, ``unfinished`` is what went
    wrong after the row was written.

    ``outcome`` is set once, at the end; a draft with an ``error`` is passed over by every later
    stage.
    """

    # Defaults stand on the class: most rows never need more than their values, and a million
    # rows pay for every attribute that is set.
    link: Any = None
    existing: Model | None = None
    raw: dict[str, Any] | None = None
    resumes: Outcome | None = None
    m2m: Mapping[str, list[Any]] = MappingProxyType({})
    notes: tuple[Note, ...] = ()
    deferred: tuple[str, ...] = ()
    waiting = False
    has_late_m2m = False
    instance: Any = None
    beneath: Mapping[str, Any] | None = None
    is_saved = False
    pk: Any = None
    has_key = False
    changes = Changes()
    conflicts: tuple[Note, ...] = ()
    digests = b""
    agreed: Mapping[str, int] = MappingProxyType({})
    undecided: tuple[Note, ...] = ()
    unfinished: tuple[Note, ...] = ()
    error: Exception | None = None
    outcome: Outcome | None = None

    def __init__(self, number: int, row: dict[str, Any], identity: Identity = NOBODY) -> None:
        self.number = number
        self.row = row
        self.identity = identity
        self.values: dict[str, Any] = {}

    @property
    def object(self) -> Any:
        """The object that the row stands for or became; None where its values alone are written.

        Never asked whether it is true: a model may say that an object of it is not.
        """
        return self.instance if self.existing is None else self.existing

    @property
    def is_new(self) -> bool:
        """Whether the object is made by the pass over the query that is going on."""
        return self.existing is None or self.resumes == Outcome.CREATED

    def stored(self, attname: str) -> Any:
        """An attribute of the object that the draft became."""
        if (instance := self.object) is not None:
            return getattr(instance, attname)
        value = self.values.get(attname)
        return self.pk if value is None else value

    def fail(self, error: Exception) -> None:
        self.error = error
        self.outcome = Outcome.FAILED
        self.waiting = False
