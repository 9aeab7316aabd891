"""``manage.py prune_legacy``: forget old runs and messages, never a link."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone

from ...ledger import Ledger
from ...ledger.pruning import prune
from ...utils.wording import number_of
from ..base import EXIT_USAGE, OwnCommand, check_database, exit_codes, positive


class Command(OwnCommand):
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
        parser.add_argument(
            "--database",
            default=DEFAULT_DB_ALIAS,
            metavar="ALIAS",
            help="the target database (default: %(default)s)",
        )

    @exit_codes()
    def handle(self, *args: str, **options: Any) -> None:
        check_database(options["database"])
        Ledger(options["database"])  # refuses a database without its tables
        try:
            before = timezone.now() - timedelta(days=options["days"])
        except OverflowError:
            raise CommandError(
                f"--days {options['days']} goes back to before the year 1: no run is as old.",
                returncode=EXIT_USAGE,
            ) from None
        pruned = prune(before, database=options["database"])
        if options["verbosity"] > 0:
            self.stdout.write(
                f"Deleted: {number_of(pruned.runs, 'run')},"
                f" {number_of(pruned.messages, 'message')},"
                f" {number_of(pruned.images, 'before-image')}."
            )
