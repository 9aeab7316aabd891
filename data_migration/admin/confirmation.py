"""What exactly a button would do, before it is done."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from django.db import Error
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..exceptions import DataMigrationError, SpecError, TargetError
from ..launch.handover import availability
from ..launch.jobs import plan_undo, require_sources, todo, warnings_of, whole_plan
from ..launch.lanes import lane_of
from ..ledger import IMPORTS, PATCHES, Ledger, active_run
from ..plan.graph import Plan
from ..run.target import require_target
from ..undo import RollbackPlan
from ..utils.wording import error_text
from .intents import Action, Intent
from .status_lines import StatusLine, status_lines

#: What a person asks for, and a line that tells of a migration or of a patch.
Asked = TypeVar("Asked")
Told = TypeVar("Told")


@dataclass(frozen=True, kw_only=True, slots=True)
class Confirmation(Generic[Asked, Told]):
    """``steps`` would run, in this order; ``left`` were chosen and have nothing to do. Of a
    rollback there is ``undoing`` instead. With ``problems`` it cannot be started.
    """

    intent: Asked
    sentence: str
    steps: list[Told] = field(default_factory=list)
    left: list[Told] = field(default_factory=list)
    undoing: RollbackPlan | None = None
    warnings: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    #: Whether nothing is left to do, which is no problem.
    is_idle: bool = False
    #: Whether ticking "force" would help.
    force_helps: bool = False

    @property
    def undos(self) -> list[dict[str, Any]]:
        """What is undone of each migration."""
        found = self.undoing.undos if self.undoing else []
        return [
            {"label": undo.label, "model": undo.part.model._meta.label, **undo.counts}
            for undo in found
        ]

    @property
    def totals(self) -> dict[str, int]:
        """The counts of all undos."""
        names = ("deleted", "restored", "forgotten")
        return {name: self.undoing.total(name) for name in names} if self.undoing else {}

    @property
    def can_start(self) -> bool:
        return not self.problems and not self.is_idle


#: Of a run of migrations, or of its rollback.
MigrationsConfirmation = Confirmation[Intent, StatusLine]


def confirm(intent: Intent, database: str) -> MigrationsConfirmation:
    """Look at the specs and the ledger, not at the legacy database."""
    judge = _rollback if intent.action == Action.ROLL_BACK else _run
    try:
        return judge(intent, whole_plan(database), Ledger(database))
    except (DataMigrationError, Error) as error:
        return Confirmation(intent=intent, sentence="", problems=[error_text(error)])


def _run(intent: Intent, whole: Plan, ledger: Ledger) -> MigrationsConfirmation:
    options = intent.run_options(ledger.database)
    plan = todo(whole, ledger, options)
    known = {line.label: line for line in status_lines(whole, ledger)}
    chosen = whole.select(options.labels)
    would = [known[step.label] for step in plan if not step.migration.skip]
    labels = {line.label for line in would}
    problems = obstacles(ledger.database)
    try:
        require_sources(plan)
        require_target(plan, ledger.database)
    except (SpecError, TargetError) as error:
        problems.append(str(error))
    return Confirmation(
        intent=intent,
        sentence=_sentence(intent, len(would)),
        steps=would,
        left=[known[step.label] for step in chosen if step.label not in labels],
        warnings=warnings_of(plan, whole, ledger, options),
        problems=problems,
        is_idle=not would,
    )


def _rollback(intent: Intent, whole: Plan, ledger: Ledger) -> MigrationsConfirmation:
    """Of migrations, or of a run of patches."""
    lane = lane_of(intent.selection, ledger.database)
    undoing = plan_undo(intent.selection, whole, ledger.database)
    refusals = undoing.refusals
    problems = [*obstacles(ledger.database, lane), *refused(undoing, force=intent.force)]
    return Confirmation(
        intent=intent,
        sentence=undone(len(undoing.undos), lane),
        undoing=undoing,
        warnings=list(undoing.notes),
        problems=problems,
        is_idle=not undoing.undos and not refusals.count,
        force_helps=bool(refusals.count) and not refusals.has_final,
    )


def undone(count: int, lane: str) -> str:
    """What undoing so many migrations, or patches, would do."""
    if lane == PATCHES:
        return ngettext(
            "Undoes %(count)s patch: what it created is deleted, what it changed is put back, and"
            " it is pending again. It is done as a whole or not at all.",
            "Undoes %(count)s patches: what they created is deleted, what they changed is put"
            " back, and they are pending again. It is done as a whole or not at all.",
            count,
        ) % {"count": count}
    return ngettext(
        "Undoes %(count)s migration: what it created is deleted, what it changed is put back."
        " It is done as a whole or not at all.",
        "Undoes %(count)s migrations: what they created is deleted, what they changed is put"
        " back. It is done as a whole or not at all.",
        count,
    ) % {"count": count}


def refused(undoing: RollbackPlan, *, force: bool) -> list[str]:
    """What speaks against a rollback, as one text."""
    refusals = undoing.refusals
    if not refusals.stops(force=force):
        return []
    title = ngettext(
        "%(count)s reason speaks against it:",
        "%(count)s reasons speak against it:",
        refusals.count,
    ) % {"count": refusals.count}
    return [f"{title}\n{refusals.text()}"]


def obstacles(database: str, lane: str = IMPORTS) -> list[str]:
    """Why nothing can be started in this lane now, whatever it is."""
    return [*([why] if (why := availability().reason) else []), *at_work(database, lane)]


def at_work(database: str, lane: str) -> list[str]:
    """The run that stands in the way of whatever changes something in this lane, if any."""
    run = active_run(database, lane)
    if run is None:
        return []
    return [_("Run %(run)s is not over, and there can be one at a time.") % {"run": run.pk}]


def _sentence(intent: Intent, count: int) -> str:
    """What running ``count`` migrations would do."""
    if intent.action == Action.REHEARSE:
        return ngettext(
            "Rehearses %(count)s migration: everything is really done, then rolled back. Nothing"
            " is kept but the messages.",
            "Rehearses %(count)s migrations: everything is really done, then rolled back. Nothing"
            " is kept but the messages.",
            count,
        ) % {"count": count}
    if intent.action == Action.RETRY and intent.failures:
        rows = len(intent.failures)
        return ngettext(
            "Reads %(rows)s failed row again, by its key, and writes it.",
            "Reads %(rows)s failed rows again, by their keys, and writes them.",
            rows,
        ) % {"rows": rows}
    if intent.action == Action.RETRY:
        return ngettext(
            "Reads the failed rows of %(count)s migration again, by their keys, and writes them.",
            "Reads the failed rows of %(count)s migrations again, by their keys, and writes them.",
            count,
        ) % {"count": count}
    if intent.action == Action.UPDATE:
        what = ngettext(
            "Compares every row of %(count)s migration with what it became: creates what is new,"
            " updates what changed.",
            "Compares every row of %(count)s migrations with what it became: creates what is new,"
            " updates what changed.",
            count,
        )
    else:
        what = ngettext(
            "Runs %(count)s migration and writes to the database.",
            "Runs %(count)s migrations and writes to the database.",
            count,
        )
    if intent.atomic:
        kept = _("All or nothing: one transaction for the whole run.")
    else:
        kept = _("What is committed stays when the run is stopped or fails; the next run goes on.")
    return f"{what % {'count': count}} {kept}"
