"""What a rollback is asked to undo: migrations, a run, or keys of one migration."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ..exceptions import LedgerError, SpecError
from ..ledger import Ledger, Link, LinkBook
from ..ledger.images import Images
from ..models import MigrationState, Run
from ..plan.graph import Plan, PlanStep
from ..rows.keys import alternative, key_hash, key_of_text


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """What to undo: ``labels`` (all without one), of them only ``run``, only ``keys`` as typed."""

    labels: tuple[str, ...] = ()
    run: int | None = None
    keys: str | None = None

    def recorded(self) -> dict[str, Any]:
        """The part that the ledger keeps with the run."""
        return {"labels": list(self.labels), "run": self.run, "keys": self.keys}

    @classmethod
    def from_recorded(cls, recorded: Mapping[str, Any]) -> Selection:
        """What :meth:`recorded` gave, as a selection again."""
        return cls(labels=tuple(recorded["labels"]), run=recorded["run"], keys=recorded["keys"])


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One migration of a selection, with what of it is undone: a run, some keys, or all."""

    step: PlanStep
    state: MigrationState
    database: str
    run: int | None = None
    hashes: frozenset[str] | None = None

    @property
    def label(self) -> str:
        return self.step.label

    @property
    def model(self) -> Any:
        return self.step.migration.model._meta.concrete_model

    @property
    def is_whole(self) -> bool:
        return self.run is None and self.hashes is None

    @property
    def book(self) -> LinkBook:
        return LinkBook(self.state, database=self.database)

    @property
    def images(self) -> Images:
        return Images(self.state, database=self.database)

    @property
    def of_images(self) -> dict[str, Any]:
        """The conditions that the images of the part meet."""
        if self.run is not None:
            return {"run": self.run}
        return {} if self.hashes is None else {"key_hash__in": sorted(self.hashes)}

    def links(self) -> Iterator[Link]:
        if self.hashes is not None:
            yield from self.book.find(sorted(self.hashes)).values()
        else:
            yield from self.book.all(**({} if self.run is None else {"run": self.run}))

    def includes(self, link_hash: str, link_run: int) -> bool:
        """Whether the link with this hash and run is undone."""
        if self.hashes is not None:
            return link_hash in self.hashes
        return self.run is None or link_run == self.run


def parts_of(selection: Selection, plan: Plan, ledger: Ledger) -> list[Part]:
    """What is to be undone, dependants first.

    Raises :exc:`SpecError` for what makes no sense and :exc:`LedgerError` for what the ledger
    does not know.
    """
    if selection.run is not None and selection.keys is not None:
        raise SpecError("--keys and --run exclude each other.")
    if selection.run is not None:
        _check_run(selection.run, ledger.database)
    states = MigrationState.objects.using(ledger.database).in_bulk(field_name="label")
    _check_labels(selection.labels, plan, states)
    selected = plan.select(selection.labels)
    parts = [
        Part(step=step, state=states[step.label], database=ledger.database, run=selection.run)
        for step in reversed(selected.steps)
        if step.label in states
    ]
    return parts if selection.keys is None else [_with_keys(selection.keys, selected, parts)]


def unknown_labels(plan: Plan, database: str) -> list[str]:
    """Migrations with links whose classes are in no spec."""
    known = {step.label for step in plan}
    states = MigrationState.objects.using(database).exclude(label__in=known)
    return [each.label for each in states if not LinkBook(each, database=database).is_empty()]


def _check_run(number: int, database: str) -> None:
    run = Run.objects.using(database).filter(pk=number).first()
    if run is None:
        raise LedgerError(f"There is no run {number}. See: manage.py show_legacy --runs")
    if run.is_dry:
        raise LedgerError(f"Run {number} was a rehearsal: nothing of it was kept.")
    if run.is_rollback:
        raise LedgerError(
            f"Run {number} is a rollback itself. What it undid comes back with:"
            " manage.py migrate_legacy --commit"
        )


def _check_labels(labels: tuple[str, ...], plan: Plan, states: dict[str, MigrationState]) -> None:
    known = {step.label for step in plan}
    for label in labels:
        if label in states and label not in known:
            raise LedgerError(
                f"{label} is in the ledger, but its class is in no spec any more, so its model is"
                " not known. Put the class back into the spec to roll it back."
            )


def _with_keys(keys: str, selected: Plan, parts: list[Part]) -> Part:
    if len(selected) != 1:
        raise SpecError("--keys needs the label of exactly one migration.")
    if not parts:
        raise LedgerError(f"{selected.steps[0].label} was never run with --commit.")
    part = parts[0]
    hashes = [_hash_of(typed, part) for typed in typed_keys(keys)]
    return Part(step=part.step, state=part.state, database=part.database, hashes=frozenset(hashes))


def _hash_of(typed: str, part: Part) -> str:
    hashes = [key_hash(key) for key in readings(typed)]
    found = part.book.find(hashes)
    found_images = part.images.find(hashes) if not found else {}
    for each in hashes:
        if each in found or each in found_images:
            return each
    raise LedgerError(
        f'{part.label} has no link for the key {typed}. Keys are written 42, "01581" or'
        ' ["DE", 7] for several columns.'
    )


def typed_keys(text: str) -> list[str]:
    """``42,"a,b",["DE", 7],word`` -> the keys, each as it was typed."""
    keys = []
    rest = text.strip()
    while rest:
        key, rest = _first_key(rest)
        keys.append(key)
        rest = rest.removeprefix(",").strip()
    if not keys or "" in keys:
        raise SpecError(f"--keys takes keys with commas between them, not {text!r}.")
    return keys


def _first_key(text: str) -> tuple[str, str]:
    with suppress(ValueError):
        _, end = json.JSONDecoder().raw_decode(text)
        if not (rest := text[end:].strip()) or rest.startswith(","):
            return text[:end], rest
    word, comma, rest = text.partition(",")
    return word.strip(), comma + rest


def readings(typed: str) -> list[Any]:
    """The keys that a person may mean, the likeliest first: 42 is a number, else a text."""
    keys: list[Any] = []
    with suppress(ValueError, KeyError, TypeError):
        key = key_of_text(typed)
        if key is not None and not isinstance(key, (bool, float)):
            keys += [key, alternative(key)]
    if not typed.startswith(('"', "[", "{")):
        keys.append(typed)
        for read in (_decimal, uuid.UUID, dt.date.fromisoformat, dt.datetime.fromisoformat):
            with suppress(ValueError, ArithmeticError):
                keys.append(read(typed))
    return [key for key in keys if key is not None]


def _decimal(text: str) -> Decimal | None:
    """A number with a point; without one, leading zeros would be lost."""
    return Decimal(text) if "." in text else None
