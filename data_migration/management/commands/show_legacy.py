"""``manage.py show_legacy``: where every migration stands."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.db.models import QuerySet

from ...exceptions import SpecError
from ...ledger import IMPORTS, Ledger, describe_run, lock_holder
from ...models import RowError
from ...outcomes import MessageKind
from ...plan.due import changed
from ...plan.graph import Plan
from ...reports import messages as told
from ...reports import migrations as report
from ..base import LegacyCommand, exit_codes, refuse_patches


class Command(LegacyCommand):
    help = "Show the state of the migrations, the runs so far, or the messages about rows."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        what = parser.add_mutually_exclusive_group()
        what.add_argument(
            "--runs", action="store_true", help="every run but those of patches, newest first"
        )
        what.add_argument(
            "--messages",
            action="store_true",
            help="what each migration's last run had to say, and failures that are still open",
        )
        parser.add_argument(
            "--kind", choices=MessageKind.values, default="", help="only messages of this kind"
        )
        parser.add_argument(
            "--key", default="", metavar="KEY", help="only messages about this legacy key"
        )
        parser.add_argument(
            "--all", action="store_true", help="list every message instead of counting by cause"
        )

    @exit_codes()
    def handle(self, *labels: str, **options: Any) -> None:
        if (options["kind"] or options["key"] or options["all"]) and not options["messages"]:
            raise SpecError("--kind, --key and --all are about messages: add --messages.")
        refuse_patches(options["labels"], "manage.py show_patches {labels}")
        plan = self.plan(options["database"]).select(options["labels"])
        ledger = Ledger(options["database"])
        as_json = options["format"] == "json"
        if options["runs"]:
            self._show_runs(ledger, options["labels"] and _labels(plan), as_json)
        elif options["messages"]:
            found = ledger.messages(_labels(plan), kind=options["kind"], key=options["key"])
            self._show_messages(found, options)
        else:
            self._show_states(plan, ledger, as_json)

    def _show_states(self, plan: Plan, ledger: Ledger, as_json: bool) -> None:
        stale = changed(plan, ledger.applied_fingerprints())
        waiting = ledger.open_relations()
        if as_json:
            self.print_document(report.state_document(plan, ledger.states(), stale, waiting))
            return
        if running := lock_holder(ledger.database):
            self.tell(describe_run(running))
        states = report.state_table(plan, ledger.states(), stale, waiting)
        self.tell(states if len(plan) else "There are no migrations.")

    def _show_runs(self, ledger: Ledger, labels: list[str], as_json: bool) -> None:
        runs = ledger.runs(labels).filter(lane=IMPORTS)
        if as_json:
            self.print_document(report.runs_document(runs))
        elif runs:
            self.tell(report.runs_table(runs))
        else:
            of = f" of {', '.join(labels)}" if labels else ""
            self.tell(f"There was no run{of} yet.")

    def _show_messages(self, messages: QuerySet[RowError], options: dict[str, Any]) -> None:
        if options["format"] == "json":
            self.print_document(told.document(messages))
        elif not messages.exists():
            self.tell("No messages.")
        elif options["all"] or options["key"]:
            for line in told.one_by_one(messages, self.width):
                self.tell(line)
        else:
            for line in told.by_cause(messages, self.width):
                self.tell(line)
            self.tell(told.summary(messages))


def _labels(plan: Plan) -> list[str]:
    return [step.label for step in plan]
