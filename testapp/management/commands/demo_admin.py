"""``manage.py demo_admin``: the demo's admin page, with data, a user and a worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from data_migration.conf import settings as migration_settings
from testapp.demo import files
from testapp.legacy import build

#: For a database on this machine that holds nothing but invented data.
USER, PASSWORD = "demo", "demo"

WELCOME = """\
The admin of the demo: http://{address}/admin/data_migration/migrationstate/
User: {user}   Password: {password}
Under Options let a failed row be put on record. Press Rehearse, then Run: two rows fail, and
Messages says which and why. Each run is a process of its own (DATA_MIGRATION_BACKGROUND =
"process"), so this one only serves the pages. Ctrl-C ends it."""


class Command(BaseCommand):
    help = "Serve the admin of the demo project: its data, a user to log in with, and a worker."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("address", nargs="?", default="127.0.0.1:8000", help="%(default)s")
        parser.add_argument("--fresh", action="store_true", help="begin with nothing migrated")
        parser.add_argument("--prepare", action="store_true", help="do all but serve")

    def handle(self, *, address: str, fresh: bool, prepare: bool, **options: Any) -> None:
        try:
            _prepare(fresh=fresh)
        except files.NotOurs as error:
            raise CommandError(str(error)) from error
        self.stdout.write(WELCOME.format(address=address, user=USER, password=PASSWORD))
        self.stdout.flush()
        if not prepare:
            call_command("runserver", address, use_reloader=False)


def _prepare(*, fresh: bool) -> None:
    """Both databases as the last demo left them, or new ones; and the user."""
    legacy = Path(migration_settings.sources["legacy"]["NAME"])
    target = Path(settings.DATABASES["default"]["NAME"])
    for path in (legacy, target):
        files.check(path)
    if fresh or not (legacy.exists() and target.exists()):
        for path in (legacy, target):
            files.create(path)
        build(legacy)
    call_command("migrate", verbosity=0)
    users = get_user_model()._default_manager
    if not users.filter(username=USER).exists():
        users.create_superuser(USER, password=PASSWORD)  # type: ignore[attr-defined]
