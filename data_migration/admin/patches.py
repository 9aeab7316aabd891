"""The page of patches, the page of one, and the page in between that says what a button does."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import URLPattern
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..exceptions import DataMigrationError, SpecError
from ..launch.handover import availability, start_patches, start_rollback
from ..ledger import PATCHES, active_run
from ..ledger.messages import open_failures
from ..ledger.patches import PatchBook
from ..models import Run
from ..outcomes import PatchState, RunKind, RunStatus
from ..patches.discovery import discover
from ..patches.faking import fake
from ..reports.causes import causes
from ..utils.wording import error_text
from .base import (
    ACT,
    FAKE_PATCH,
    READ,
    ROLL_BACK,
    RUN_PATCH,
    LedgerAdmin,
    may,
    permission_for,
)
from .live import watched
from .messages import Filter
from .patch_confirmation import PatchesConfirmation, confirm_patches
from .patch_intents import PatchAction, PatchIntent, PatchIntentForm
from .patch_lines import PatchLine, attempts_of, conditions_of, patch_lines

_ACTING = (RUN_PATCH, FAKE_PATCH, ROLL_BACK)


class PatchAdmin(LedgerAdmin):
    """Every patch in its order."""

    def get_urls(self) -> list[URLPattern]:
        return [
            self.route("", self.patches, "changelist"),
            self.route("confirm/", self.confirm, "confirm", methods=(*READ, *ACT)),
            # Not "change": an entry of the admin's log would take a record's key for a label.
            self.route("<path:label>/", self.patch, "patch"),
        ]

    def patches(self, request: HttpRequest, form: PatchIntentForm | None = None) -> HttpResponse:
        """``form`` is one that was refused, to be shown with what is wrong with it."""
        everything: list[PatchLine] = []
        problem = ""
        try:
            everything = patch_lines(discover(), self.database)
        except SpecError as error:
            problem = error_text(error)
        app, state = request.GET.get("app", ""), request.GET.get("state", "")
        shown = [
            line
            for line in everything
            if app in ("", line.app_label) and state in ("", line.state)
        ]
        counted = Counter(line.state for line in everything)
        return self.page(
            request,
            "patches",
            _("Patches"),
            problem=problem,
            groups=_by_app(shown),
            apps=list(dict.fromkeys(line.app_label for line in everything)),
            states=[
                (each.value, each.label, counted[each]) for each in PatchState if each in counted
            ],
            app=app,
            state=state,
            is_filtered=bool(app or state),
            shown=len(shown),
            total=len(everything),
            form=form or PatchIntentForm(),
            ticked=form.labels if form else (),
            unavailable=availability().reason,
            **self._last_run(request),
        )

    def _last_run(self, request: HttpRequest) -> dict[str, Any]:
        """The run that is going on, else the last one if it broke off."""
        active, interrupted = active_run(self.database, PATCHES), None
        if active is None:
            begun = Run.objects.using(self.database).filter(lane=PATCHES).exclude(started_at=None)
            last = begun.order_by("-pk").first()
            if last is not None and last.current_status == RunStatus.INTERRUPTED:
                interrupted = last
        run = active or interrupted
        return {
            "watched": watched(active, self.database) if active else None,
            "interrupted": interrupted,
            "resumed": _resumed(interrupted) if interrupted else None,
            "may_act": run is not None and may(request, permission_for(run)),
            "may_act_on_patches": any(may(request, each) for each in _ACTING),
        }

    def confirm(self, request: HttpRequest) -> HttpResponseBase:
        """Ask, by GET: the page can be reloaded and linked. Do it, by POST."""
        is_asking = request.method in READ
        form = PatchIntentForm(request.GET if is_asking else request.POST)
        if not form.is_valid():
            return self.patches(request, form)
        intent = form.intent
        if not may(request, intent.action.permission):
            raise PermissionDenied
        try:
            intent = self._narrowed(intent, form)
        except SpecError as error:
            messages.error(request, error_text(error))
            return self.patches(request, form)
        confirmation = confirm_patches(intent, self.database)
        if is_asking or not confirmation.can_start:
            return self._ask(request, confirmation, form)
        if intent.action == PatchAction.FAKE and not intent.reason:
            form.add_error("reason", _("Say why: it is all that will be known of it."))
            return self._ask(request, confirmation, form)
        try:
            return self._do(request, confirmation)
        except DataMigrationError as error:  # somebody was faster
            messages.error(request, str(error))
            return self._ask(request, confirm_patches(intent, self.database), form)

    def _narrowed(self, intent: PatchIntent, form: PatchIntentForm) -> PatchIntent:
        """Without a tick under a filter: what is shown and has something to do.

        Raises :exc:`SpecError` where that is nothing, which must not mean everything.
        """
        app, state = form.cleaned_data["app"], form.cleaned_data["state"]
        if intent.labels or not (app or state):
            return intent
        is_retry = intent.action == PatchAction.RETRY
        labels = [
            line.label
            for line in patch_lines(discover(), self.database)
            if app in ("", line.app_label)
            and state in ("", line.state)
            and (line.failed if is_retry else line.standing.is_due)
        ]
        if not labels:
            raise SpecError(_("None of the patches shown has anything to do."))
        return replace(intent, labels=tuple(labels))

    def _do(self, request: HttpRequest, confirmation: PatchesConfirmation) -> HttpResponse:
        """What the page in between said. Raises :exc:`DataMigrationError`."""
        intent = confirmation.intent
        if intent.action == PatchAction.FAKE:
            self._record_as_done(request, confirmation)
            return HttpResponseRedirect(self.url("patchrecord_changelist"))
        asked: dict[str, Any] = {"requested_by": request.user.get_username(), "alone": True}
        if intent.action == PatchAction.ROLL_BACK:
            run = start_rollback(
                intent.selection, database=self.database, force=intent.force, **asked
            )
        else:
            run = start_patches(intent.run_options(self.database), **asked)
        messages.success(request, _("Run %(run)s was handed over.") % {"run": run.pk})
        return HttpResponseRedirect(self.url("run_change", run.pk))

    def _record_as_done(self, request: HttpRequest, confirmation: PatchesConfirmation) -> None:
        reason = confirmation.intent.reason
        records = fake(
            [line.definition for line in confirmation.steps],
            by=request.user.get_username(),
            reason=reason,
            database=self.database,
        )
        for record in records:
            self.log_change(request, record, f"Recorded as done without being run: {reason}")
        text = ngettext(
            "%(count)s patch was recorded as done.",
            "%(count)s patches were recorded as done.",
            len(records),
        )
        messages.success(request, text % {"count": len(records)})

    def _ask(
        self, request: HttpRequest, confirmation: PatchesConfirmation, form: PatchIntentForm
    ) -> HttpResponse:
        action, labels = PatchAction(confirmation.intent.action), confirmation.intent.labels
        what = labels[0] if len(labels) == 1 else _number_of_patches(len(labels))
        return self.page(
            request,
            "confirm_patches",
            f"{action.label}: {what}" if labels else f"{action.label}",
            confirmation=confirmation,
            form=form,
        )

    def patch(self, request: HttpRequest, label: str) -> HttpResponse:
        try:
            lines = {line.label: line for line in patch_lines(discover(), self.database)}
        except SpecError as error:
            messages.error(request, error_text(error))
            return HttpResponseRedirect(self.url("patchrecord_changelist"))
        if label not in lines:
            raise Http404(_("There is no patch %(label)s.") % {"label": label})
        line = lines[label]
        definition = line.definition
        failures = open_failures(self.database).filter(migration__label=definition.step_label)
        return self.page(
            request,
            "patch",
            label,
            line=line,
            patch=definition.patch,
            conditions=conditions_of(line, lines, self.database),
            attempts=attempts_of(definition, self.database),
            records=list(PatchBook(self.database).records_of(label)),
            causes=causes(failures),
            chosen=Filter(migration=definition.step_label, is_open=True),
            unavailable=availability().reason,
            **self._last_run(request),
        )


def _resumed(run: Run) -> PatchIntent | None:
    """What goes on where the run broke off; None of a rollback, which is done as a whole."""
    return PatchIntent.like(run) if run.kind == RunKind.PATCH else None


def _number_of_patches(count: int) -> str:
    return ngettext("%(count)s patch", "%(count)s patches", count) % {"count": count}


def _by_app(shown: list[PatchLine]) -> list[tuple[str, list[PatchLine]]]:
    """The apps in the order in which their patches come."""
    groups: dict[str, list[PatchLine]] = {}
    for line in shown:
        groups.setdefault(line.app_label, []).append(line)
    return list(groups.items())
