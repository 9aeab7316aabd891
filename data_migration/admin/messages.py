"""The messages about rows: read, filtered, exported, retried, dismissed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages as notices
from django.core.exceptions import PermissionDenied
from django.db.models import Max, Q, QuerySet
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    QueryDict,
    StreamingHttpResponse,
)
from django.urls import URLPattern
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from ..launch.handover import availability
from ..ledger import about, dismiss
from ..models import MigrationState, RowError, Run, RunStep
from ..outcomes import MessageKind, OnError
from ..patches.definition import label_of_step
from ..reports.causes import causes, like
from .base import ACT, RUN_PATCH, START, LedgerAdmin, may, number_in, permission_to_mend
from .confirmation import confirm
from .export import csv_lines
from .intents import Action, Intent
from .patch_intents import PatchAction

_PAGE = 100
#: So many rows are chosen for a retry at once; beyond it a migration's failed rows are retried
#: as a whole.
_RETRIED = 5000
_RUNS = 25
#: Either lets somebody mend some failures; see :func:`permission_to_mend`.
_MENDING = (START, RUN_PATCH)


@dataclass(frozen=True, kw_only=True, slots=True)
class Filter:
    """Which messages are shown; ``like`` is the number of one whose cause they have."""

    #: Without a run: those of the last run of each migration, and what is open from before.
    run: int | None = None
    is_all: bool = False
    migration: str = ""
    kind: str = ""
    is_open: bool = False
    like: int | None = None
    key: str = ""

    @classmethod
    def of(cls, query: QueryDict) -> Filter:
        """What a query string asks for; what makes no sense there is passed over."""
        kind = query.get("kind", "")
        return cls(
            run=number_in(query.get("run")),
            is_all=query.get("run") == "all",
            migration=_text(query, "migration"),
            kind=kind if kind in MessageKind.values else "",
            is_open=bool(query.get("open")),
            like=number_in(query.get("like")),
            key=_text(query, "key").strip(),
        )

    @classmethod
    def exactly(cls, query: QueryDict) -> Filter | None:
        """What a form asks for; None where a part makes no sense, without which it means more."""
        chosen = cls.of(query)
        names = ("run", "migration", "kind", "open", "like", "key")
        given = {name for name in names if query.get(name)}
        return chosen if given == {name for name, _value in chosen.parameters} else None

    @property
    def parameters(self) -> list[tuple[str, Any]]:
        """What is not left at its default, for a query string or a form."""
        given = {
            "run": "all" if self.is_all else self.run,
            "migration": self.migration,
            "kind": self.kind,
            "open": "1" if self.is_open else "",
            "like": self.like,
            "key": self.key,
        }
        return [(name, value) for name, value in given.items() if value not in (None, "")]

    @property
    def query(self) -> str:
        return urlencode(self.parameters)

    def messages(self, database: str) -> QuerySet[RowError]:
        found = RowError.objects.using(database)
        if self.like is not None:
            example = found.filter(pk=self.like).first()
            found = found.none() if example is None else like(found, example)
        if self.run is not None:
            found = found.filter(step__run=self.run)
        elif not self.is_all:
            found = found.filter(Q(step__in=_last_steps(database)) | Q(is_open=True))
        if self.migration:
            found = found.filter(migration__label=self.migration)
        if self.kind:
            found = found.filter(kind=self.kind)
        if self.is_open:
            found = found.filter(is_open=True)
        if self.key:
            found = about(found, self.key)
        return found


class MessageAdmin(LedgerAdmin):
    """Failed rows, warnings and conflicts."""

    def get_urls(self) -> list[URLPattern]:
        acting: dict[str, Any] = {"methods": ACT, "page": "rowerror_changelist"}
        return [
            self.route("", self.messages, "changelist"),
            self.route("export/", self.export, "export"),
            self.route("retry/", self.retry, "retry", **acting),
            self.route("dismiss/", self.dismiss, "dismiss", **acting),
        ]

    def messages(self, request: HttpRequest) -> HttpResponse:
        chosen = Filter.of(request.GET)
        found = chosen.messages(self.database)
        before = number_in(request.GET.get("before"))
        rows = found.filter(pk__lt=before) if before else found
        # One more than is shown tells whether there is another page.
        page = list(rows.select_related("step").order_by("-pk")[: _PAGE + 1])
        is_first = before is None
        example = None
        if chosen.like is not None:
            example = RowError.objects.using(self.database).filter(pk=chosen.like).first()
        return self.page(
            request,
            "messages",
            pgettext("data migration", "Messages"),
            chosen=chosen,
            page=page[:_PAGE],
            next=page[_PAGE - 1].pk if len(page) > _PAGE else None,
            is_first=is_first,
            total=found.count(),
            causes=causes(found) if is_first and chosen.like is None else [],
            example=example,
            kinds=MessageKind.choices,
            labels=self._labels(),
            runs=self._runs(chosen),
            may_mend=any(may(request, each) for each in _MENDING),
            unavailable=availability().reason,
        )

    def _labels(self) -> list[str]:
        """What messages can be about; a patch has states of its models, too, that have none."""
        found = MigrationState.objects.using(self.database).values_list("label", flat=True)
        return [label for label in found if "/" not in label]

    def _runs(self, chosen: Filter) -> list[Run]:
        """The last runs, and the one that is chosen."""
        runs = Run.objects.using(self.database).defer("live", "error", "options")
        found = list(runs[:_RUNS])
        if chosen.run is not None and chosen.run not in [run.pk for run in found]:
            found += runs.filter(pk=chosen.run)
        return found

    def export(self, request: HttpRequest) -> HttpResponseBase:
        found = Filter.of(request.GET).messages(self.database)
        response = StreamingHttpResponse(csv_lines(found), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = 'attachment; filename="messages.csv"'
        return response

    def retry(self, request: HttpRequest) -> HttpResponseBase:
        """Ask whether the rows of the chosen failures are to be read again."""
        chosen = self._chosen(request)
        labels = _labels_of(chosen)
        if patches := [patch for label in labels if (patch := label_of_step(label)) is not None]:
            return self._retry_patches(request, patches, is_all=len(patches) == len(labels))
        failed = chosen.filter(key_hash__isnull=False)
        rows = list(failed.order_by("pk").values_list("pk", "migration__label")[: _RETRIED + 1])
        if not rows:
            notices.warning(request, _("None of them is an open failure of a row with a key."))
            return self._back(request)
        if len(rows) > _RETRIED:
            notices.warning(
                request,
                _("These are more than %(rows)s rows: retry all failed rows of the migration.")
                % {"rows": _RETRIED},
            )
            return self._back(request)
        intent = Intent(
            action=Action.RETRY,
            # They are on record already: one that is not mended yet must not keep the others.
            on_error=OnError.CONTINUE,
            labels=tuple(sorted({label for _pk, label in rows})),
            failures=tuple(pk for pk, _label in rows),
        )
        confirmation = confirm(intent, self.database)
        return self.page(request, "confirm", f"{Action.RETRY.label}", confirmation=confirmation)

    def _retry_patches(
        self, request: HttpRequest, patches: list[str], *, is_all: bool
    ) -> HttpResponse:
        """Ask whether the patches are to process again what failed: all of it, not some."""
        if not is_all:
            notices.warning(
                request,
                _("Failures of patches and of migrations cannot be retried by one run."),
            )
            return self._back(request)
        asked = [("action", PatchAction.RETRY.value), *(("label", each) for each in patches)]
        query = urlencode(asked)
        return HttpResponseRedirect(f"{self.url('patchrecord_confirm')}?{query}")

    def dismiss(self, request: HttpRequest) -> HttpResponse:
        """Close the chosen failures."""
        rows = dismiss(
            list(self._chosen(request).values_list("pk", flat=True)), database=self.database
        )
        if rows:
            text = ngettext("%(rows)s failure was closed.", "%(rows)s failures were closed.", rows)
            notices.success(request, text % {"rows": rows})
        else:
            notices.warning(request, _("None of them is an open failure."))
        return self._back(request)

    def _chosen(self, request: HttpRequest) -> QuerySet[RowError]:
        """The open failures that are ticked; with ``like`` all of a cause that were shown.

        Raises :exc:`PermissionDenied` for those of migrations, or of patches, without permission.
        """
        if not any(may(request, each) for each in _MENDING):
            raise PermissionDenied
        found = RowError.objects.using(self.database)
        if "like" in request.POST:
            chosen = Filter.exactly(request.POST)
            if chosen is None or chosen.like is None:
                return found.none()
            found = chosen.messages(self.database)
        else:
            ticked = [
                number for text in request.POST.getlist("message") if (number := number_in(text))
            ]
            found = found.filter(pk__in=ticked)
        found = found.filter(kind=MessageKind.FAILURE, is_open=True)
        if not all(may(request, permission_to_mend(label)) for label in _labels_of(found)):
            raise PermissionDenied
        return found

    def _back(self, request: HttpRequest) -> HttpResponse:
        """To the messages, filtered as they were, without the cause that is dealt with."""
        query = QueryDict(request.POST.get("back", "")).urlencode()
        return HttpResponseRedirect(
            f"{self.url('rowerror_changelist')}{'?' if query else ''}{query}"
        )


def _labels_of(messages: QuerySet[RowError]) -> list[str]:
    """The labels of the steps that the messages are about."""
    return list(messages.order_by().values_list("migration__label", flat=True).distinct())


def _last_steps(database: str) -> list[int]:
    """The last step of each migration that did something, rehearsals included."""
    steps = RunStep.objects.using(database).exclude(started_at=None)
    grouped = steps.order_by().values("migration").annotate(last=Max("pk"))
    return [row["last"] for row in grouped]


def _text(query: QueryDict, name: str) -> str:
    """A text to look for; without zero bytes, for which PostgreSQL refuses the query."""
    return query.get(name, "").replace("\0", "")
