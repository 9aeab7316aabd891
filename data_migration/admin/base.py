"""What the pages share: who may see them, how they are drawn, where they stand."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, ClassVar

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import DEFAULT_DB_ALIAS
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from ..ledger import Ledger
from ..models import Run
from ..options import LARGEST
from ..outcomes import RunKind
from ..patches.definition import label_of_step

View = Callable[..., HttpResponseBase]

VIEW, START, ROLL_BACK, RUN_PATCH, FAKE_PATCH = (
    f"data_migration.{name}"
    for name in ("view_run", "start_run", "rollback_run", "run_patch", "fake_patch")
)
READ = ("GET", "HEAD")
ACT = ("POST",)


class LedgerAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Pages of our own in place of Django's forms: nobody edits the ledger by hand.

    ``database`` is the target database whose ledger is shown.
    """

    database: ClassVar[str] = DEFAULT_DB_ALIAS

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request, VIEW)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return may(request, VIEW)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @property
    def ledger(self) -> Ledger:
        """Raises :exc:`LedgerError` where its tables are missing."""
        return Ledger(self.database)

    def route(
        self,
        where: str,
        view: View,
        name: str,
        *,
        methods: Collection[str] = READ,
        needs: Collection[str] = (),
        page: str = "",
    ) -> URLPattern:
        """A URL for those who may view runs and have the permissions of ``needs``.

        ``page`` names where a browser goes that only looks at the URL of something that acts. The
        login sends it there when a session ended between the question and the answer.
        """

        def guarded(request: HttpRequest, **arguments: Any) -> HttpResponseBase:
            if not may(request, VIEW, *needs):
                raise PermissionDenied
            if page and request.method in READ:
                return HttpResponseRedirect(self.url(page, *arguments.values()))
            if request.method not in methods:
                return HttpResponseNotAllowed(methods)
            return view(request, **arguments)

        full_name = f"{self.opts.app_label}_{self.opts.model_name}_{name}"
        return path(where, self.admin_site.admin_view(guarded), name=full_name)

    def url(self, name: str, *arguments: Any) -> str:
        """The address of a page of ours in this site, such as ``run_change``."""
        full_name = f"admin:data_migration_{name}"
        return reverse(full_name, args=arguments, current_app=self.admin_site.name)

    def page(
        self, request: HttpRequest, template: str, title: str, **context: Any
    ) -> HttpResponse:
        """Draw ``admin/data_migration/<template>.html``."""
        request.current_app = self.admin_site.name
        shared = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "may_start": may(request, START),
            "may_roll_back": may(request, ROLL_BACK),
            "may_run_patch": may(request, RUN_PATCH),
            "may_fake_patch": may(request, FAKE_PATCH),
        }
        return TemplateResponse(
            request, f"admin/data_migration/{template}.html", {**shared, **context}
        )


def number_in(text: str | None) -> int | None:
    """A number of the ledger; None for what is none, or more than a database can hold."""
    if text and text.isascii() and text.isdecimal() and len(text) <= len(str(LARGEST)):
        return int(text)
    return None


def may(request: HttpRequest, *permissions: str) -> bool:
    return request.user.has_perms(permissions)


def permission_for(run: Run) -> str:
    """What it takes to stop this run or to start another one like it."""
    return _PERMISSIONS.get(run.kind, START)


def permission_to_mend(migration: str) -> str:
    """What it takes to retry or dismiss failures of the steps with this label."""
    return START if label_of_step(migration) is None else RUN_PATCH


_PERMISSIONS: dict[str, str] = {RunKind.ROLLBACK: ROLL_BACK, RunKind.PATCH: RUN_PATCH}
