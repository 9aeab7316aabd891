"""``manage.py rollback_legacy``: undo what runs did."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandError, CommandParser

from ...launch.jobs import plan_undo, undo
from ...ledger import Ledger
from ...reports import rollback as report
from ...undo import RollbackPlan, Selection
from ..base import EXIT_FAILED, EXIT_USAGE, LegacyCommand, exit_codes, positive, say


class Command(LegacyCommand):
    help = (
        "Undo migrations, a run, chosen keys, or a patch (patch:app_label.name): delete what was"
        " created, restore what was changed, newest first, dependants first. Asks before it does"
        " anything."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add = parser.add_argument
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--run", type=positive, metavar="ID", help="only what this run did")
        what.add_argument(
            "--keys",
            metavar="K,K",
            help='only these legacy keys of one migration: 42, "01581" or ["DE", 7]',
        )
        add(
            "--force",
            action="store_true",
            help="undo also what people changed, and what something else refers to",
        )
        add("--plan", action="store_true", help="show what would be undone and stop")
        add("--no-input", action="store_true", help="do not ask")

    @exit_codes()
    def handle(self, *labels: str, **options: Any) -> None:
        plan = self.plan(options["database"])
        Ledger(options["database"])  # refuses a database without its tables
        selection = Selection(
            labels=tuple(options["labels"]), run=options["run"], keys=options["keys"]
        )
        undoing = plan_undo(selection, plan, options["database"])
        for note in undoing.notes:
            say(note)
        if options["plan"]:
            self._print_plan(undoing, options)
            undoing.check(force=options["force"])
            return
        undoing.check(force=options["force"])
        if not undoing.undos:
            self._print_plan(undoing, options)
        elif options["no_input"] or self._agreed(undoing):
            done = undo(selection, plan, options["database"], force=options["force"])
            self.print_rollback(done, options)

    def _print_plan(self, undoing: RollbackPlan, options: dict[str, Any]) -> None:
        if options["format"] == "json":
            self.print_document(report.plan_document(undoing))
        elif undoing.undos:
            self.tell(report.undo_table(undoing))
        else:
            self.tell("There is nothing to roll back.")

    def _agreed(self, undoing: RollbackPlan) -> bool:
        """Ask on stderr, since stdout belongs to the result."""
        say(report.undo_table(undoing))
        sys.stderr.write(report.question(undoing))
        sys.stderr.flush()
        try:
            answer = sys.stdin.readline() if sys.stdin else ""
        except (KeyboardInterrupt, UnicodeDecodeError):
            answer = "no"
        # Only what a person has typed to its end ends the line of the question on the screen.
        if not answer.endswith("\n") or not sys.stdin.isatty():
            say("")
        if answer.strip().lower() in ("y", "yes"):
            return True
        if not answer:
            raise CommandError(
                "Nobody answered. Without a terminal, say --no-input.", returncode=EXIT_USAGE
            )
        raise CommandError("Nothing was rolled back.", returncode=EXIT_FAILED)
