"""``manage.py show_patches``: where every patch stands."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from ...exceptions import SpecError
from ...ledger import PATCHES, Ledger, describe_run, lock_holder
from ...patches import report
from ...patches.discovery import discover
from ...patches.records import Standing, last_seconds, standings
from ...reports import messages as told
from ..base import LegacyCommand, check_database, exit_codes


class Command(LegacyCommand):
    help = "Show the state of the patches, their runs so far, or the objects that failed."
    labels_help = "app_label or app_label.name; all patches without one"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--runs", action="store_true", help="every run of patches, newest first")
        what.add_argument(
            "--messages", action="store_true", help="the objects that failed and are still open"
        )
        parser.add_argument(
            "--all", action="store_true", help="list every message instead of counting by cause"
        )

    @exit_codes()
    def handle(self, *labels: str, **options: Any) -> None:
        check_database(options["database"])
        if options["all"] and not options["messages"]:
            raise SpecError("--all is about messages: add --messages.")
        patches = discover()
        chosen = patches.select(options["labels"])
        ledger = Ledger(options["database"], lane=PATCHES)
        as_json = options["format"] == "json"
        steps = [each.step_label for each in chosen]
        if options["runs"]:
            # A run that waits for a worker has no step yet.
            self._show_runs(ledger, options["labels"] and steps, as_json)
        elif options["messages"]:
            self._show_messages(ledger, steps, options)
        else:
            found = [
                each
                for each in standings(patches, database=ledger.database)
                if each.label in chosen
            ]
            self._show_states(ledger, found, options)

    def _show_states(self, ledger: Ledger, found: list[Standing], options: dict[str, Any]) -> None:
        seconds = last_seconds(found, ledger.database)
        if options["format"] == "json":
            self.print_document(report.state_document(found, seconds))
            return
        if running := lock_holder(ledger.database, PATCHES):
            self.tell(describe_run(running))
        if not found:
            self.tell("There are no patches.")
            return
        is_long = options["verbosity"] > 1
        self.tell(report.state_table(found, seconds, width=self.width, is_long=is_long))
        self.tell(report.summary(found))
        if is_long:
            for line in report.outputs(found):
                self.tell(line)

    def _show_runs(self, ledger: Ledger, steps: list[str], as_json: bool) -> None:
        runs = ledger.runs(steps).filter(lane=PATCHES)
        if as_json:
            self.print_document(report.runs_document(runs))
        elif runs:
            self.tell(report.runs_table(runs, self.width))
        else:
            self.tell("There was no run of patches yet.")

    def _show_messages(self, ledger: Ledger, steps: list[str], options: dict[str, Any]) -> None:
        found = ledger.messages(steps)
        if options["format"] == "json":
            self.print_document(told.document(found, noun="patch"))
        elif not found.exists():
            self.tell("No messages.")
        elif options["all"]:
            for line in told.one_by_one(found, self.width, noun="patch"):
                self.tell(line)
        else:
            for line in told.by_cause(found, self.width):
                self.tell(line)
            self.tell(told.summary(found, "show_patches"))
