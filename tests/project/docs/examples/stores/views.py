from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from data_migration import legacy


def old_store(request: HttpRequest) -> HttpResponse:
    """``/filiale.php?nr=10``, as the old site had it."""
    store = legacy.resolve("stores.StoreMigration", request.GET.get("nr", ""))
    if store is None:
        raise Http404("No store had that number.")
    return redirect("store", store.pk, permanent=True)


def store(request: HttpRequest, pk: Any) -> HttpResponse:
    return HttpResponse(f"store {pk}")
