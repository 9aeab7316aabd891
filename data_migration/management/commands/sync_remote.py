"""``manage.py sync_remote``: rehearse or run the syncs with remote systems."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.core.management.base import CommandParser

from ...exceptions import SpecError
from ...launch import jobs
from ...outcomes import Mode, OnError
from ...run.stopping import stop_on_signals
from ...spec.terms import OURS, THEIRS
from ...sync.accounts import connect
from ...sync.discovery import discover
from ...sync.options import SyncOptions
from ...sync.runner import SyncRun, run_sync
from ...sync.words import PULL, PUSH, SYNC
from ..base import (
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
            for account in syncs.connectors:
                connector = connect(account)
                self.tell(f"{account}: {connector.ping()}")
                connector.close()
            return
        if options["plan"]:
            for definition in syncs:
                self.tell(f"{definition.label}  {definition.mapping.direction}")
            return
        with stop_on_signals(tell_of_stop) as should_stop:
            stoppable = replace(asked, should_stop=should_stop)
            done = run_sync(syncs, stoppable, progress=self.progress(options))
        show_sync_run(self, done, options)

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
