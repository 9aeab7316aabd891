"""``manage.py sync_remote``: rehearse or run the syncs with remote systems."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.core.management.base import CommandError, CommandParser

from ...exceptions import SpecError
from ...launch import jobs
from ...launch.handover import start_sync
from ...ledger.outgoing import Accounts, outgoing
from ...ledger.run_words import time_of
from ...models import RowError
from ...outcomes import MessageKind, Mode, OnError
from ...run.stopping import stop_on_signals
from ...spec.terms import OURS, THEIRS
from ...sync.accounts import ping
from ...sync.checks import check_syncs
from ...sync.discovery import Syncs, discover
from ...sync.options import SyncOptions
from ...sync.runner import SyncRun, run_sync
from ...sync.words import PULL, PUSH, SYNC
from ...utils import processes
from ..base import (
    EXIT_FAILED,
    LegacyCommand,
    check_database,
    exit_codes,
    failures_allowed,
    positive,
    say,
    tell_of_stop,
)
from ..syncs import show_sync_run


class Command(LegacyCommand):
    help = (
        "Pull what is new in remote systems, push what is new here. Without --commit it is a"
        " rehearsal: pulled rows are written and rolled back, pushes are shown and not sent."
    )
    labels_help = "a plan, an app, a mapping, or a mapping@account; everything without one"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add = parser.add_argument
        add("--commit", action="store_true", help="write and send; without it nothing is kept")
        add("--connector", default="", metavar="NAME", help="another account than the plan's")
        add("--pull", action="store_true", help="only from there to here")
        add("--push", action="store_true", help="only from here to there")
        add("--plan", action="store_true", help="print what would run, in order, and stop")
        add("--ping", action="store_true", help="look whether each account lets us in, and stop")
        add("--check", action="store_true", help="exit 1 if anything failed, waits or is held")
        add("--background", action="store_true", help="hand a run for each account to a worker")
        add("--full", action="store_true", help="compare everything, whatever the mark says")
        add("--retry-failed", action="store_true", help="only what is recorded as failed")
        add("--keys", nargs="+", default=[], metavar="KEY", help="only the rows with these keys")
        add(
            "--settle",
            action="append",
            default=[],
            metavar="FIELD=SIDE",
            help=f"with --keys: whose value counts in a conflict, {OURS} or {THEIRS}",
        )
        add("--limit", type=positive, metavar="N", help="first N rows of each mapping, each way")
        add("--force-removal", action="store_true", help="delete more than the limits allow")
        add("--diff", type=positive, default=5, metavar="N", help="changes that are shown")
        add("--on-error", choices=OnError.values, help="what a failed row does")
        add("--max-errors", metavar="N|P%", help="stop when more rows have failed")
        add(
            "--run",
            type=positive,
            metavar="ID",
            help="execute a run that waits for a worker, with the options recorded for it",
        )
        add("--no-progress", action="store_true", help="no bar and no progress lines")

    @exit_codes()
    def handle(self, *labels: str, **options: Any) -> None:
        check_database(options["database"])
        if options["run"] is not None:
            self._execute(options)
            return
        asked = _options(options)
        syncs = discover().select(asked.labels, asked.connector)
        if options["ping"]:
            self._ping(syncs, options)
            return
        jobs.refuse_faults(check_syncs())
        if options["check"]:
            self._check(syncs, options)
            return
        if options["background"]:
            for run in start_sync(syncs, asked, requested_by=processes.owner(), alone=True):
                self.tell(
                    f"Run {run.pk} was handed over. Follow it with: manage.py show_remote --runs,"
                    " or in the admin."
                )
            return
        if options["plan"]:
            for definition in syncs:
                self.tell(f"{definition.label}  {definition.mapping.direction}")
            return
        with stop_on_signals(tell_of_stop) as should_stop:
            stoppable = replace(asked, should_stop=should_stop)
            done = run_sync(syncs, stoppable, progress=self.progress(options))
        show_sync_run(self, done, options)

    def _ping(self, syncs: Syncs, options: dict[str, Any]) -> None:
        found = {name: ping(name) for name in syncs.connectors}
        if options["format"] == "json":
            self.print_document(
                {
                    "connectors": [
                        {"name": name, "ok": is_fine, "said": said}
                        for name, (is_fine, said) in found.items()
                    ]
                }
            )
        else:
            for _, said in found.values():
                self.tell(said)
        if failed := [name for name, (is_fine, _) in found.items() if not is_fine]:
            raise CommandError(f"No answer from {', '.join(failed)}.", returncode=EXIT_FAILED)

    def _check(self, syncs: Syncs, options: dict[str, Any]) -> None:
        """Exit accordingly where something is left to be done by a run or a person."""
        database = options["database"]
        left = []
        for each in syncs:
            labels = [each.label, each.push_label]
            rows = RowError.objects.using(database).filter(migration__label__in=labels)
            rows = rows.filter(is_open=True)
            parts = {
                "failed": rows.filter(kind=MessageKind.FAILURE).count(),
                "in conflict": rows.filter(kind=MessageKind.CONFLICT).count(),
                "on its way": outgoing(each.label, database=database).count(),
            }
            told = [f"{number} {what}" for what, number in parts.items() if number]
            if wait := Accounts(database).waits(each.connector):
                told.append(f"may go on at {time_of(wait.until)}")
            if told:
                left.append(f"{each.label} ({', '.join(told)})")
        if options["format"] == "json":
            self.print_document({"not_settled": left})
        if left:
            raise CommandError(f"Not settled: {'; '.join(left)}.", returncode=EXIT_FAILED)
        if options["format"] != "json":
            self.tell("Nothing failed, waits or is held.")

    def _execute(self, options: dict[str, Any]) -> None:
        """Execute a run that waits for a worker."""
        with stop_on_signals(tell_of_stop) as should_stop:
            done = jobs.execute(
                options["run"],
                options["database"],
                progress=self.progress(options),
                should_stop=should_stop,
                warn=say,
            )
        if not isinstance(done, SyncRun):
            raise SpecError(
                f"Run {options['run']} is none of syncs: manage.py migrate_legacy --run executes"
                " runs of every kind."
            )
        show_sync_run(self, done, options)


def _options(options: dict[str, Any]) -> SyncOptions:
    """What the command line asks for. Raises :exc:`SpecError` for what makes no sense."""
    if options["pull"] and options["push"]:
        raise SpecError("--pull and --push exclude each other; without both it goes both ways.")
    settle = dict(each.partition("=")[::2] for each in options["settle"])
    allowed = failures_allowed(options)
    if options["on_error"] is None:
        allowed["on_error"] = OnError.CONTINUE  # one row keeps no other waiting
    return SyncOptions(
        mode=Mode.COMMIT if options["commit"] else Mode.REHEARSAL,
        database=options["database"],
        labels=tuple(options["labels"]),
        connector=options["connector"],
        direction=PULL if options["pull"] else PUSH if options["push"] else SYNC,
        keys=tuple(options["keys"]),
        settle=settle,
        full=options["full"],
        retry_failed=options["retry_failed"],
        limit=options["limit"],
        force_removal=options["force_removal"],
        diff=options["diff"],
        **allowed,
        warn=say,
    )
