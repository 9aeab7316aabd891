from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DataMigrationConfig(AppConfig):
    name = "data_migration"
    verbose_name = _("Data migration")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Registers the system checks, those of specs among them.
        from .patches import checks, migrate  # noqa: F401, PLC0415
        from .sync import checks as sync_checks  # noqa: F401, PLC0415

        migrate.connect_signals()
