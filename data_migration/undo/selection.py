"""What a rollback is asked to undo: migrations, a run, keys of one migration, or patches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..exceptions import LedgerError, SpecError
from ..ledger import PATCHES, Ledger, Link, LinkBook
from ..ledger.images import Images
from ..ledger.states import not_of_migrations
from ..models import MigrationState, Run
from ..plan.graph import Plan
from ..rows.keys import key_hash
from ..utils.quoting import shortened
from .typed_keys import readings, typed_keys


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
    """What is undone of one model under one label: what a run did, some keys, or all.

    ``model`` is a concrete one; the label is that of a migration, or of a patch.
    """

    label: str
    model: Any
    state: MigrationState
    database: str
    run: int | None = None
    hashes: frozenset[str] | None = None

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
    def of_run(self) -> dict[str, int]:
        """The condition that links and images of the part's run meet; none without a run."""
        return {} if self.run is None else {"run": self.run}

    @property
    def of_images(self) -> dict[str, Any]:
        """The conditions that the images of the part meet."""
        return self.of_run if self.hashes is None else {"key_hash__in": sorted(self.hashes)}

    def links(self) -> Iterator[Link]:
        if self.hashes is not None:
            yield from self.book.find(sorted(self.hashes)).values()
        else:
            yield from self.book.all(**self.of_run)

    def includes(self, key_hash: str, run: int) -> bool:
        """Whether the link with this key, last written by this run, is undone."""
        if self.hashes is not None:
            return key_hash in self.hashes
        return self.run is None or run == self.run


def models_of(plan: Plan) -> dict[str, Any]:
    """The concrete model of each migration by its label."""
    return {step.label: step.migration.model._meta.concrete_model for step in plan}


def parts_of(selection: Selection, plan: Plan, ledger: Ledger) -> list[Part]:
    """What is to be undone, dependants first.

    Raises :exc:`SpecError` for what makes no sense and :exc:`LedgerError` for what the ledger
    does not know.
    """
    if selection.run is not None and selection.keys is not None:
        raise SpecError("--keys and --run exclude each other.")
    if selection.run is not None:
        check_run(selection.run, ledger.database)
    states = MigrationState.objects.using(ledger.database).in_bulk(field_name="label")
    known = {step.label for step in plan}
    for label in selection.labels:
        if label in states and label not in known:
            raise LedgerError(
                f"{label} is in the ledger, but its class is in no spec any more, so its model is"
                " not known. Put the class back into the spec to roll it back."
            )
    selected = plan.select(selection.labels)
    parts = [
        Part(
            label=label,
            model=model,
            state=states[label],
            database=ledger.database,
            run=selection.run,
        )
        for label, model in reversed(models_of(selected).items())
        if label in states
    ]
    return parts if selection.keys is None else [_with_keys(selection.keys, selected, parts)]


def unknown_labels(plan: Plan, database: str) -> list[str]:
    """Migrations with links whose classes are in no spec."""
    known = {step.label for step in plan}
    states = MigrationState.objects.using(database).exclude(label__in=known)
    states = states.exclude(pk__in=not_of_migrations(states))
    return [each.label for each in states if not LinkBook(each, database=database).is_empty()]


def check_run(number: int, database: str) -> Run:
    """The run with this number. Raises :exc:`LedgerError` where nothing of it can be undone."""
    run = Run.objects.using(database).filter(pk=number).first()
    if run is None:
        raise LedgerError(
            f"There is no run {number}. See: manage.py show_legacy --runs, or of patches:"
            " manage.py show_patches --runs"
        )
    if run.is_dry:
        raise LedgerError(f"Run {number} was a rehearsal: nothing of it was kept.")
    if run.is_rollback:
        raise LedgerError(
            f"Run {number} is a rollback itself. What it undid comes back with: manage.py"
            f" {'run_patches' if run.lane == PATCHES else 'migrate_legacy'} --commit"
        )
    return run


def _with_keys(keys: str, selected: Plan, parts: list[Part]) -> Part:
    if len(selected) != 1:
        raise SpecError("--keys needs the label of exactly one migration.")
    if not parts:
        raise LedgerError(f"{selected.steps[0].label} was never run with --commit.")
    part = parts[0]
    hashes = set()
    for typed in typed_keys(keys):
        likely = [key_hash(key) for key in readings(typed)]
        known = part.book.find(likely) or part.images.find(likely)
        found = next((each for each in likely if each in known), None)
        if found is None:
            raise LedgerError(
                f"{part.label} has no link for the key {shortened(typed, 100)}."
                ' Keys are written 42, "01581" or ["DE", 7] for several columns.'
            )
        hashes.add(found)
    return replace(part, hashes=frozenset(hashes))
