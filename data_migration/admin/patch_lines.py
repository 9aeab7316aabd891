"""Where each patch stands: what one line of the page of patches tells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Max
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..models import PatchRecord, RunStep
from ..outcomes import PatchState, RunStatus
from ..patches.definition import Definition, step_label
from ..patches.records import SETTLED, Standing, standings
from ..patches.schema import Schema

_ATTEMPTS = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class PatchLine:
    """One patch. ``step`` is its last attempt, rehearsals included; None before the first.
    ``obstacle`` says why a blocked or impossible one cannot run.
    """

    position: int
    standing: Standing
    step: RunStep | None
    obstacle: str

    @property
    def definition(self) -> Definition:
        return self.standing.definition

    @property
    def label(self) -> str:
        return self.standing.label

    @property
    def app_label(self) -> str:
        return self.definition.app_label

    @property
    def state(self) -> str:
        return self.standing.state.value

    @property
    def word(self) -> Any:
        return self.standing.state.label

    @property
    def record(self) -> PatchRecord | None:
        return self.standing.record

    @property
    def failed(self) -> int:
        return self.standing.failed

    @property
    def why(self) -> str:
        """What its state does not say by itself; not in the words of the command line."""
        record, state = self.record, self.standing.state
        if self.obstacle or record is None:
            return self.obstacle
        if state == PatchState.PARTIAL and record.is_walked:
            return ngettext(
                "Every object was processed; %(count)s failed and can be tried again.",
                "Every object was processed; %(count)s failed and can be tried again.",
                self.failed,
            ) % {"count": self.failed}
        if state == PatchState.PARTIAL:
            why = "" if self._was_stopped else record.reason
            return " ".join(filter(None, [_("A run goes on behind what is done."), why]))
        if state == PatchState.CHANGED_SINCE:
            return _(
                "Its code, or a file that it watches, is not what ran here. It is not run again by"
                " itself: run it again, or record as done that the change makes no difference."
            )
        if state == PatchState.PENDING:
            return _("Its code, or a file that it watches, is not what ran here.")
        return "" if state == PatchState.RUNNING else record.reason

    @property
    def _was_stopped(self) -> bool:
        """Whether its last run was ended by a person, or died: nothing is wrong with the patch."""
        return self.step is not None and self.step.current_status == RunStatus.INTERRUPTED

    @property
    def processed(self) -> int | None:
        """How many objects were processed; None of a patch that has none, or did not begin."""
        if self.record is None or not self.definition.patch.is_batched():
            return None
        return self.record.processed

    @property
    def total(self) -> int | None:
        return self.record.total if self.record is not None else None

    @property
    def who(self) -> str:
        """Who asked for the last attempt, or else whose process it was; who recorded it."""
        if self.step is not None:
            return self.step.run.requested_by or self.step.run.owner
        return self.record.owner if self.record is not None else ""

    @property
    def when(self) -> datetime | None:
        if self.step is not None:
            return self.step.started_at
        return self.record.finished_at if self.record is not None else None

    @property
    def last_words(self) -> str:
        """The last line of what it logged."""
        lines = self.record.output.strip().splitlines() if self.record is not None else []
        return lines[-1] if lines else ""

    @property
    def how(self) -> str:
        """In which transactions it is done."""
        patch = self.definition.patch
        if patch.is_batched():
            text = _("in batches of %(objects)s") % {"objects": patch.batch_size}
            return f"{text}, {_('all in one transaction')}" if patch.is_whole() else text
        return _("without a transaction") if patch.atomic is False else _("as a whole")

    @property
    def can_be_faked(self) -> bool:
        """Whether somebody may say that it is done, or that its change makes no difference."""
        return self.standing.state not in (
            *(SETTLED - {PatchState.CHANGED_SINCE}),
            PatchState.RUNNING,
        )

    @property
    def keeps_images(self) -> bool:
        """Whether it keeps what it changes, so that it can be rolled back."""
        return bool(self.definition.patch.writes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """What has to be there before a patch runs, or must not be there yet: a schema migration, or
    another ``patch``.
    """

    word: str
    what: str
    state: str
    state_word: Any
    patch: str = ""


def conditions_of(
    line: PatchLine, lines: Mapping[str, PatchLine], database: str
) -> list[Condition]:
    """What the patch waits for, with how it stands. ``lines`` are those of all patches."""
    definition, schema = line.definition, Schema.of(database)
    found = []
    for name in definition.patch.needs:
        is_there = schema.is_applied(name)
        found.append(
            Condition(
                word=_("needs"),
                what=".".join(name),
                state=PatchState.DONE if is_there else PatchState.BLOCKED,
                state_word=_("applied") if is_there else _("not applied yet"),
            )
        )
    for name in definition.patch.before:
        is_gone = schema.is_begun(name)
        found.append(
            Condition(
                word=_("runs before"),
                what=".".join(name),
                state=PatchState.DONE if is_gone else PatchState.PENDING,
                state_word=_("applied") if is_gone else _("not applied yet"),
            )
        )
    return found + [
        Condition(
            word=_("runs after"),
            what=label,
            state=lines[label].state,
            state_word=lines[label].word,
            patch=label,
        )
        for label in definition.depends_on
    ]


@dataclass(frozen=True, slots=True)
class Attempt:
    """A step of a run that was about the patch."""

    step: RunStep

    @property
    def state(self) -> str:
        return self.step.current_status

    @property
    def word(self) -> Any:
        return RunStatus(self.state).label


def attempts_of(definition: Definition, database: str) -> list[Attempt]:
    """The last runs that were about the patch, newest first."""
    steps = RunStep.objects.using(database).filter(migration=definition.step_label)
    return [Attempt(step) for step in steps.select_related("run").order_by("-pk")[:_ATTEMPTS]]


def patch_lines(patches: Iterable[Definition], database: str) -> list[PatchLine]:
    """Every patch in its order; a fixed number of queries."""
    steps, schema = _last_steps(database), Schema.of(database)
    found = standings(patches, database=database, schema=schema)
    by_label = {standing.label: standing for standing in found}
    return [
        PatchLine(
            position=position,
            standing=standing,
            step=steps.get(standing.definition.step_label),
            obstacle=_obstacle(standing, by_label, schema),
        )
        for position, standing in enumerate(found, start=1)
    ]


def _obstacle(standing: Standing, all_of_them: Mapping[str, Standing], schema: Schema) -> str:
    """Why it cannot run, in words for the pages; empty where nothing keeps it."""
    if not standing.cannot_run:
        return ""
    patch = standing.definition.patch
    if gone := [".".join(each) for each in patch.before if schema.is_begun(each)]:
        return _(
            "It had to run before %(names)s, which is applied. If its work is not needed any more,"
            " record it as done."
        ) % {"names": ", ".join(gone)}
    if missing := [".".join(each) for each in patch.needs if not schema.is_applied(each)]:
        return _("It needs %(names)s, which is not applied yet.") % {"names": ", ".join(missing)}
    for label in standing.definition.depends_on:
        if (other := all_of_them[label]).cannot_run:
            values = {"label": label, "state": other.state.label}
            return _("It runs after %(label)s, which is %(state)s.") % values
    return standing.why


def _last_steps(database: str) -> dict[str, RunStep]:
    """The last attempt of each patch, by the label of its steps."""
    steps = RunStep.objects.using(database).exclude(started_at=None)
    grouped = (
        steps.filter(migration__startswith=step_label(""))
        .order_by()
        .values("migration")
        .annotate(last=Max("pk"))
    )
    found = RunStep.objects.using(database).select_related("run")
    last = found.in_bulk([row["last"] for row in grouped])
    return {step.migration: step for step in last.values()}
