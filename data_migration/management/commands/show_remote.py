"""``manage.py show_remote``: where every mapping stands with its remote system."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.management.base import CommandParser

from ...ledger import Ledger, describe_run, lock_holder
from ...ledger.lanes import connector_lane
from ...ledger.outgoing import outgoing
from ...models import RowError, RowLink, RunStep
from ...outcomes import MessageKind, RunStatus
from ...reports import messages as told
from ...reports.migrations import moment, table
from ...sync.discovery import Syncs, discover
from ...utils.quoting import one_line
from ..base import LegacyCommand, check_database, exit_codes


class Command(LegacyCommand):
    help = "Show where the syncs stand, their runs, messages, conflicts, and what is on its way."
    labels_help = "a plan, an app, a mapping, or a mapping@account; everything without one"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--connector", default="", metavar="NAME", help="another account")
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--runs", action="store_true", help="every run of syncs, newest first")
        what.add_argument("--messages", action="store_true", help="what is said of rows")
        what.add_argument(
            "--conflicts",
            action="store_true",
            help="fields that wait for a person, with both values",
        )
        what.add_argument("--outgoing", action="store_true", help="what is on its way")

    @exit_codes()
    def handle(self, *labels: str, **options: Any) -> None:
        check_database(options["database"])
        syncs = discover().select(options["labels"], options["connector"])
        database = options["database"]
        names = [name for each in syncs for name in (each.label, each.push_label)]
        if options["runs"]:
            ledger = Ledger(database)
            runs = ledger.runs(names)
            head = ["Run", "When", "Mode", "State"]
            rows = [
                [str(run.pk), moment(run.started_at), run.mode, run.current_status] for run in runs
            ]
            self._table(head, rows, options, none="There was no run of syncs yet.")
        elif options["messages"]:
            found = Ledger(database).messages(names)
            if options["format"] == "json":
                self.print_document(told.document(found))
            elif not found.exists():
                self.tell("No messages.")
            else:
                for line in told.by_cause(found, self.width):
                    self.tell(line)
        elif options["conflicts"]:
            self._show_conflicts(syncs, options)
        elif options["outgoing"]:
            head = ["Mapping", "Object", "Action", "State", "Attempts", "Cause"]
            rows = [
                [
                    row.mapping.label,
                    row.object_pk,
                    row.action,
                    row.state,
                    str(row.attempts),
                    row.cause,
                ]
                for row in outgoing(*(each.label for each in syncs), database=database)
            ]
            self._table(head, rows, options, none="Nothing is on its way.")
        else:
            self._show_states(syncs, options)

    def _show_states(self, syncs: Syncs, options: dict[str, Any]) -> None:
        database = options["database"]
        for account in syncs.connectors if options["format"] == "text" else ():
            if running := lock_holder(database, connector_lane(account)):
                self.tell(describe_run(running))
        states = Ledger(database).states()
        rows = []
        for each in syncs:
            last = _worse(states.get(each.label), states.get(each.push_label))
            links = RowLink.objects.using(database).filter(migration__label=each.label)
            waiting = outgoing(each.label, database=database)
            conflicts = self._conflicts([each.label], database)
            rows.append(
                [
                    each.label,
                    last.current_status if last else "never run",
                    str(links.exclude(object_pk=None).count()),
                    str(waiting.count()),
                    str(conflicts.count()),
                ]
            )
        head = ["Mapping", "State", "Linked", "Outgoing", "Conflicts"]
        self._table(head, rows, options, none="There are no plans.")

    def _show_conflicts(self, syncs: Syncs, options: dict[str, Any]) -> None:
        rows = [
            [row.migration.label, row.key, row.column, _ours(row, syncs), row.value]
            for row in self._conflicts([each.label for each in syncs], options["database"])
        ]
        head = ["Mapping", "Key", "Field", "Ours", "Theirs"]
        self._table(head, rows, options, none="No conflicts.")

    def _conflicts(self, labels: Iterable[str], database: str) -> Any:
        rows = RowError.objects.using(database).select_related("migration").order_by("pk")
        return rows.filter(
            migration__label__in=list(labels), kind=MessageKind.CONFLICT, is_open=True
        )

    def _table(
        self, head: list[str], rows: list[list[Any]], options: dict[str, Any], *, none: str
    ) -> None:
        if options["format"] == "json":
            names = [name.lower() for name in head]
            self.print_document({"rows": [dict(zip(names, row, strict=True)) for row in rows]})
        elif rows:
            cells = [[one_line(str(cell)) for cell in row] for row in rows]
            self.tell(table(head, cells, text_columns=len(head)))
        else:
            self.tell(none)


def _worse(pull: RunStep | None, push: RunStep | None) -> RunStep | None:
    """The half that says how the mapping stands: the pull unless it is done."""
    if pull is None or (push is not None and pull.status == RunStatus.DONE):
        return push
    return pull


def _ours(message: RowError, syncs: Syncs) -> str:
    """The object's value of the field in conflict."""
    definition = next(each for each in syncs if each.label == message.migration.label)
    link = RowLink.objects.filter(
        migration=message.migration, key_hash=str(message.key_hash)
    ).values_list("object_pk", flat=True)
    model = definition.mapping.model
    found = model._base_manager.filter(pk__in=list(link)).values_list(message.column, flat=True)
    return "" if not found else str(found[0])
