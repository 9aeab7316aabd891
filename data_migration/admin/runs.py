"""The history of runs, and the page of each: watched, stopped, resumed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Sum
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    JsonResponse,
)
from django.urls import URLPattern
from django.utils import timezone
from django.utils.translation import gettext as _

from ..exceptions import DataMigrationError
from ..launch.handover import availability, resume
from ..ledger import ACTIVE, active_run, request_stop, withdraw
from ..models import RowError, Run, RunStep
from ..outcomes import RunKind, RunStatus
from ..patches.definition import label_of_step
from ..reports import migrations as report
from ..reports.causes import causes
from .base import ACT, LedgerAdmin, may, number_in, permission_for
from .intents import FAILED_ROW
from .live import document, watched
from .messages import Filter
from .status_lines import anchor_of

_PAGE = 50
_SUMS = ("read", "created", "updated", "unchanged", "skipped", "failed", "warnings", "removed")
_BROKEN_OFF = (RunStatus.INTERRUPTED, RunStatus.FAILED)


@dataclass(frozen=True, kw_only=True, slots=True)
class StepLine:
    """A step in the closing table; its time from ``start`` on, in parts per mille of the run's."""

    step: RunStep
    state: str
    start: int
    width: int

    @property
    def word(self) -> Any:
        return RunStatus(self.state).label

    @property
    def anchor(self) -> str:
        return anchor_of(self.step.migration)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunLine:
    """A run in the history."""

    run: Run
    state: str
    seconds: float | None

    @property
    def word(self) -> Any:
        return RunStatus(self.state).label

    @property
    def names(self) -> str:
        """The apps, migrations and patches that were chosen; empty where all were."""
        again = self.run.options.get("force") if self.run.kind == RunKind.PATCH else ()
        labels = dict.fromkeys([*self.run.labels, *(again or ())])
        return ", ".join(label_of_step(label) or label for label in labels)


def line_of(run: Run) -> RunLine:
    return RunLine(run=run, state=run.current_status, seconds=seconds_of(run))


class RunAdmin(LedgerAdmin):
    """Runs, newest first."""

    def get_urls(self) -> list[URLPattern]:
        acting: dict[str, Any] = {"methods": ACT, "page": "run_change"}
        return [
            self.route("", self.runs, "changelist"),
            self.route("<int:number>/", self.run, "change"),
            self.route("<int:number>/live/", self.live, "live"),
            self.route("<int:number>/stop/", self.stop, "stop", **acting),
            self.route("<int:number>/resume/", self.resume, "resume", **acting),
        ]

    def runs(self, request: HttpRequest) -> HttpResponse:
        found = Run.objects.using(self.database).annotate(
            migrations=Count("steps"), **{f"{name}_rows": Sum(f"steps__{name}") for name in _SUMS}
        )
        before = request.GET.get("before", "")
        if (below := number_in(before)) is not None:
            found = found.filter(pk__lt=below)
        page = list(found.order_by("-pk")[: _PAGE + 1])
        return self.page(
            request,
            "runs",
            _("Runs"),
            page=[line_of(run) for run in page[:_PAGE]],
            next=page[_PAGE - 1].pk if len(page) > _PAGE else None,
            is_first=not before,
        )

    def run(self, request: HttpRequest, number: int) -> HttpResponse:
        run = self._run(number)
        steps = list(run.steps.using(self.database).order_by("position"))
        for step in steps:
            step.run = run  # instead of a query for each
        is_active = run.current_status in ACTIVE
        told = RowError.objects.using(self.database).filter(step__run=run)
        return self.page(
            request,
            "run",
            _("Run %(run)s") % {"run": run.pk},
            run=run,
            whole=line_of(run),
            options=dict(_options(run)),
            lines=list(_lines(run, steps)),
            totals={name: sum(getattr(step, name) for step in steps) for name in _SUMS},
            sentences=report.afterwords(steps, run.options.get("limit")),
            causes=causes(told),
            messages_total=told.count(),
            watched=watched(run, self.database) if is_active else None,
            may_act=may(request, permission_for(run)),
            chosen=Filter(run=number),
            is_broken_off=run.current_status in _BROKEN_OFF,
            can_be_undone=not (is_active or run.is_dry or run.is_rollback),
            unavailable=availability().reason,
        )

    def live(self, request: HttpRequest, number: int) -> HttpResponse:
        last = number_in(request.GET.get("after")) or 0
        return JsonResponse(document(self._run(number), self.database, last))

    def stop(self, request: HttpRequest, number: int) -> HttpResponseBase:
        """Let the run end after its batch; one that has not begun is taken back."""
        run = self._run_to_act_on(request, number)
        try:
            if run.status == RunStatus.QUEUED:
                withdraw(number, by=request.user.get_username(), database=self.database)
                messages.success(request, _("Run %(run)s was taken back.") % {"run": number})
            else:
                request_stop(number, database=self.database)
                text = _("Run %(run)s was asked to stop; it ends after its batch.")
                messages.success(request, text % {"run": number})
        except DataMigrationError as error:
            messages.error(request, str(error))
        return HttpResponseRedirect(self.url("run_change", number))

    def resume(self, request: HttpRequest, number: int) -> HttpResponseBase:
        """Start a new run with the labels and options of one that broke off."""
        run = self._run_to_act_on(request, number)
        try:
            if run.current_status not in _BROKEN_OFF:
                text = _("Run %(run)s did not break off: there is nothing to resume.")
                messages.error(request, text % {"run": number})
            elif (other := active_run(self.database, run.lane)) is not None:
                text = _("Run %(run)s is not over, and there can be one at a time.")
                messages.error(request, text % {"run": other.pk})
            else:
                by = request.user.get_username()
                number = resume(run, requested_by=by, alone=True).pk
                messages.success(request, _("Run %(run)s was handed over.") % {"run": number})
        except DataMigrationError as error:
            messages.error(request, str(error))
        return HttpResponseRedirect(self.url("run_change", number))

    def _run(self, number: int) -> Run:
        run = (
            Run.objects.using(self.database).filter(pk=number).first() if number < 2**63 else None
        )
        if run is None:
            raise Http404(_("There is no run %(run)s.") % {"run": number})
        return run

    def _run_to_act_on(self, request: HttpRequest, number: int) -> Run:
        run = self._run(number)
        if not may(request, permission_for(run)):
            raise PermissionDenied
        return run


def seconds_of(run: Run) -> float | None:
    """How long the run took, or is taking; None before it begins."""
    if run.started_at is None:
        return None
    end = run.finished_at or (timezone.now() if run.is_alive else run.heartbeat)
    return max((end - run.started_at).total_seconds(), 0)


def _options(run: Run) -> Iterator[tuple[Any, Any]]:
    """What of the options is not as it would be without a word."""
    names = {
        "limit": _("Limit"),
        "on_error": _("A failed row"),
        "max_errors": _("Failed rows allowed"),
        "batch_size": _("Batch size"),
        "exclude": _("Left out"),
        "update": _("Update"),
        "full": _("Compare every field"),
        "retry_failed": _("Only failed rows"),
        "force_removal": _("Delete more than allowed"),
        "force": _("Again") if run.kind == RunKind.PATCH else _("By force"),
        "phase": _("Phase"),
        "skip_failing": _("Go on past failing patches"),
        "run": _("Of run"),
        "keys": _("Of keys"),
    }
    for name, title in names.items():
        value = run.options.get(name)
        if value in (None, False, "", []):
            continue
        if name == "on_error":
            value = FAILED_ROW.get(value, value)
        if name == "retry_failed" and (rows := run.options.get("failures")):
            value = len(rows)
        listed = ", ".join(map(str, value)) if isinstance(value, list) else value
        yield title, _("yes") if listed is True else listed


def _lines(run: Run, steps: list[RunStep]) -> Iterator[StepLine]:
    whole = timedelta(seconds=seconds_of(run) or 0)
    for step in steps:
        start = width = 0
        if step.started_at and run.started_at and whole:
            start = _per_mille(step.started_at - run.started_at, whole)
            width = _per_mille((step.finished_at or timezone.now()) - step.started_at, whole)
        yield StepLine(
            step=step,
            state=step.current_status,
            start=min(start, 990),
            width=min(max(width, 10), 1000 - min(start, 990)),
        )


def _per_mille(part: timedelta, whole: timedelta) -> int:
    return min(max(round(part / whole * 1000), 0), 1000)
