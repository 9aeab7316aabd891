"""What exactly a button for patches would do, before it is done."""

from __future__ import annotations

from dataclasses import replace

from django.db import Error
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..exceptions import DataMigrationError
from ..launch.jobs import plan_undo, whole_plan
from ..ledger import PATCHES
from ..outcomes import PatchState
from ..patches.discovery import Patches, discover
from ..patches.records import SETTLED
from ..patches.runner import due
from ..utils.wording import error_text
from .confirmation import Confirmation, at_work, obstacles, refused, undone
from .patch_intents import PatchAction, PatchIntent
from .patch_lines import PatchLine, patch_lines

#: To annotate with: Python 3.11 cannot call such an alias of a class that is frozen.
PatchesConfirmation = Confirmation[PatchIntent, PatchLine]


def confirm_patches(intent: PatchIntent, database: str) -> PatchesConfirmation:
    """Look at the patches and the ledger, not at the objects."""
    judges = {PatchAction.FAKE: _fake, PatchAction.ROLL_BACK: _rollback}
    judge = judges.get(intent.action, _run)
    try:
        return judge(intent, discover(), database)
    except (DataMigrationError, Error) as error:
        return Confirmation(intent=intent, sentence="", problems=[error_text(error)])


def _run(intent: PatchIntent, patches: Patches, database: str) -> PatchesConfirmation:
    lines = {line.label: line for line in patch_lines(patches, database)}
    chosen = [lines[each.label] for each in patches.select(intent.labels)]
    if intent.force:  # by name: an app is none that could run again
        intent = replace(intent, labels=tuple(line.label for line in chosen))
    would = [lines[each.label] for each in due(patches, intent.run_options(database))]
    left = [line for line in chosen if line not in would] if intent.labels else []
    again = [line for line in left if line.standing.state in SETTLED]
    return Confirmation(
        intent=intent,
        sentence=_sentence(intent, len(would)),
        steps=would,
        left=left,
        warnings=[*_without_rehearsal(intent, would)],
        problems=obstacles(database, PATCHES),
        is_idle=not would,
        force_helps=bool(again) and intent.action != PatchAction.RETRY,
    )


def _fake(intent: PatchIntent, patches: Patches, database: str) -> PatchesConfirmation:
    lines = {line.label: line for line in patch_lines(patches, database)}
    chosen = [lines[each.label] for each in patches.select(intent.labels)]
    would = [line for line in chosen if line.can_be_faked]
    count = len(would)
    return Confirmation(
        intent=replace(intent, labels=tuple(line.label for line in would)),
        sentence=ngettext(
            "Records %(count)s patch as done, with your name and why. It is not run, and what"
            " waits for it may run.",
            "Records %(count)s patches as done, with your name and why. They are not run, and"
            " what waits for them may run.",
            count,
        )
        % {"count": count},
        steps=would,
        left=[line for line in chosen if not line.can_be_faked],
        warnings=[
            _("%(label)s has begun: what it has not processed stays as it is.")
            % {"label": line.label}
            for line in would
            if line.standing.state == PatchState.PARTIAL
        ],
        problems=at_work(database, PATCHES),
        is_idle=not would,
    )


def _rollback(intent: PatchIntent, patches: Patches, database: str) -> PatchesConfirmation:
    labels = tuple(each.label for each in patches.select(intent.labels))
    intent = replace(intent, labels=labels)
    undoing = plan_undo(intent.selection, whole_plan(database), database)
    refusals = undoing.refusals
    return Confirmation(
        intent=intent,
        sentence=undone(len(labels), PATCHES),
        undoing=undoing,
        warnings=list(undoing.notes),
        problems=[*obstacles(database, PATCHES), *refused(undoing, force=intent.force)],
        is_idle=not undoing.undos and not refusals.count,
        force_helps=bool(refusals.count) and not refusals.has_final,
    )


def _without_rehearsal(intent: PatchIntent, would: list[PatchLine]) -> list[str]:
    if intent.action != PatchAction.REHEARSE:
        return []
    return [
        _(
            "%(label)s is passed over: it has no transaction, so nobody could take back what it"
            " does."
        )
        % {"label": line.label}
        for line in would
        if line.definition.patch.atomic is False
    ]


def _sentence(intent: PatchIntent, count: int) -> str:
    """What running ``count`` patches would do."""
    if intent.action == PatchAction.REHEARSE:
        return ngettext(
            "Rehearses %(count)s patch: everything is really done, then rolled back. Nothing is"
            " kept but the messages.",
            "Rehearses %(count)s patches: everything is really done, then rolled back. Nothing is"
            " kept but the messages.",
            count,
        ) % {"count": count}
    if intent.action == PatchAction.RETRY:
        what = ngettext(
            "Processes the failed objects of %(count)s patch again.",
            "Processes the failed objects of %(count)s patches again.",
            count,
        )
    else:
        what = ngettext(
            "Runs %(count)s patch and writes to the database.",
            "Runs %(count)s patches and writes to the database.",
            count,
        )
    kept = _("What is committed stays when the run is stopped or fails; the next run goes on.")
    return f"{what % {'count': count}} {kept}"
