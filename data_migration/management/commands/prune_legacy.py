"""``manage.py prune_legacy``: forget old runs and messages, never a link."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone

from data_migration.ledger import Ledger
from data_migration.ledger.pruning import prune
from data_migration.management.base import check_database, exit_codes, positive


class Command(BaseCommand):
    help = (
        "Delete the history of old runs: the runs, their steps and their messages. Links stay, and"
        " with them the state of every migration, its open failures and the way to roll it back."
        " Only a single pruned run can no longer be rolled back by its number."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--days",
            type=positive,
            default=90,
            metavar="N",
            help="runs that ended more than N days ago (default: %(default)s)",
        )
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, metavar="ALIAS")

    def handle(self, *args: str, **options: Any) -> None:
        with exit_codes():
            check_database(options["database"])
            Ledger(options["database"])  # refuses a database without its tables
            before = timezone.now() - timedelta(days=options["days"])
            pruned = prune(before, database=options["database"])
        self.stdout.write(
            f"Deleted: {pruned.runs} runs, {pruned.messages} messages, {pruned.images}"
            " before-images."
        )
