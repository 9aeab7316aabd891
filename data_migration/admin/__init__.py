"""The admin's pages: where the migration stands, patches, runs, messages; and what starts them.

Importing it registers them in Django's default site, as autodiscovery does. For another site::

    from data_migration.admin import register

    register(my_site)
"""

from __future__ import annotations

from django.contrib.admin import AdminSite, site

from ..models import MigrationState, PatchRecord, RowError, Run
from .messages import MessageAdmin
from .patches import PatchAdmin
from .runs import RunAdmin
from .status import StatusAdmin

__all__ = ["MessageAdmin", "PatchAdmin", "RunAdmin", "StatusAdmin", "register"]


def register(site: AdminSite) -> None:
    """Add the pages to a site; they stand under *Data migration*."""
    site.register(MigrationState, StatusAdmin)
    site.register(PatchRecord, PatchAdmin)
    site.register(Run, RunAdmin)
    site.register(RowError, MessageAdmin)


register(site)
