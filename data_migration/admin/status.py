"""The status page, the buttons on it, and the page in between that says what they would do."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import URLPattern
from django.utils.translation import gettext as _

from ..exceptions import DataMigrationError, SpecError
from ..launch.handover import availability, start_rollback, start_run
from ..launch.jobs import whole_plan
from ..ledger import IMPORTS, active_run
from ..models import Run
from ..outcomes import RunStatus
from ..utils.wording import error_text
from .base import ACT, LedgerAdmin, may, permission_for
from .confirmation import MigrationsConfirmation, confirm
from .intents import Action, Intent, IntentForm
from .live import watched
from .picture import picture_of
from .status_lines import StatusLine, status_lines


class StatusAdmin(LedgerAdmin):
    """Every migration in the order of the plan."""

    def get_urls(self) -> list[URLPattern]:
        acting: dict[str, Any] = {"methods": ACT, "page": "migrationstate_changelist"}
        return [
            self.route("", self.status, "changelist"),
            self.route("confirm/", self.confirm, "confirm", **acting),
            self.route("start/", self.start, "start", **acting),
        ]

    def status(self, request: HttpRequest) -> HttpResponse:
        everything: list[StatusLine] = []
        problem = ""
        try:
            plan = whole_plan(self.database)
        except SpecError as error:
            problem = error_text(error)
        else:
            everything = status_lines(plan, self.ledger)
        app, state = request.GET.get("app", ""), request.GET.get("state", "")
        shown = [
            each
            for each in everything
            if app in ("", each.app_label) and state in ("", each.state)
        ]
        counted = Counter(each.state for each in everything)
        return self.page(
            request,
            "status",
            _("Status"),
            problem=problem,
            groups=_by_app(shown),
            picture=picture_of(everything) if everything else None,
            apps=sorted({each.app_label for each in everything}),
            states=[
                (each.value, each.label, counted[each]) for each in RunStatus if each in counted
            ],
            app=app,
            state=state,
            is_filtered=bool(app or state),
            shown=len(shown),
            total=len(everything),
            form=IntentForm(),
            unavailable=availability().reason,
            **self._last_run(request),
        )

    def _last_run(self, request: HttpRequest) -> dict[str, Any]:
        """The run that is going on, else the last one if it broke off."""
        active, interrupted = active_run(self.database), None
        if active is None:
            begun = Run.objects.using(self.database).filter(lane=IMPORTS).exclude(started_at=None)
            last = begun.order_by("-pk").first()
            if last is not None and last.current_status == RunStatus.INTERRUPTED:
                interrupted = last
        run = active or interrupted
        return {
            "watched": watched(active, self.database) if active else None,
            "interrupted": interrupted,
            "may_act": run is not None and may(request, permission_for(run)),
        }

    def confirm(self, request: HttpRequest) -> HttpResponseBase:
        form = IntentForm(request.POST)
        if not form.is_valid():
            return self._refused(request, form)
        self._check_permission(request, form.intent)
        return self._ask(request, confirm(form.intent, self.database))

    def start(self, request: HttpRequest) -> HttpResponseBase:
        form = IntentForm(request.POST)
        if not form.is_valid():
            return self._refused(request, form)
        intent = form.intent
        self._check_permission(request, intent)
        confirmation = confirm(intent, self.database)
        if not confirmation.can_start:  # it was, when the page in between was drawn
            return self._ask(request, confirmation)
        asked: dict[str, Any] = {"requested_by": request.user.get_username(), "alone": True}
        try:
            if intent.action == Action.ROLL_BACK:
                run = start_rollback(
                    intent.selection, database=self.database, force=intent.force, **asked
                )
            else:
                run = start_run(intent.run_options(self.database), **asked)
        except DataMigrationError as error:  # somebody was faster
            messages.error(request, str(error))
            return self._ask(request, confirm(intent, self.database))
        messages.success(request, _("Run %(run)s was handed over.") % {"run": run.pk})
        return HttpResponseRedirect(self.url("run_change", run.pk))

    def _check_permission(self, request: HttpRequest, intent: Intent) -> None:
        if not may(request, intent.action.permission):
            raise PermissionDenied

    def _refused(self, request: HttpRequest, form: IntentForm) -> HttpResponse:
        for errors in form.errors.values():
            for error in errors:
                messages.error(request, str(error))
        return HttpResponseRedirect(self.url("migrationstate_changelist"))

    def _ask(self, request: HttpRequest, confirmation: MigrationsConfirmation) -> HttpResponse:
        title = f"{Action(confirmation.intent.action).label}"
        if confirmation.intent.labels:
            title = f"{title}: {', '.join(confirmation.intent.labels)}"
        return self.page(request, "confirm", title, confirmation=confirmation)


def _by_app(shown: list[StatusLine]) -> list[tuple[str, list[StatusLine]]]:
    """The apps in the order in which the plan comes to them."""
    groups: dict[str, list[StatusLine]] = {}
    for line in shown:
        groups.setdefault(line.app_label, []).append(line)
    return list(groups.items())
