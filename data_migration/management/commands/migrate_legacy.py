"""``manage.py migrate_legacy``: rehearse or run the migrations."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from django.core.management.base import CommandError, CommandParser

from ...exceptions import SpecError
from ...launch import jobs
from ...ledger import FINISHED, Ledger
from ...models import RowError, RunStep
from ...options import RunOptions
from ...outcomes import MessageKind, Mode, OnError, RunStatus
from ...patches.runner import PatchRun
from ...plan.due import pending, waiting
from ...plan.graph import Plan
from ...reports import messages as told
from ...reports import migrations as report
from ...run.runner import Import
from ...run.stopping import stop_on_signals
from ...spec.discovery import discover
from ...spec.hooks import BEFORE_ALL, OwnHooks
from ...step.compilation import CompiledStep, explain
from ...step.recording import TOLD
from ...sync.runner import SyncRun
from ...utils.redaction import without_configured
from ...utils.wording import number_of
from ..base import (
    EXIT_FAILED,
    EXIT_USAGE,
    LegacyCommand,
    check_database,
    exit_codes,
    failures_allowed,
    positive,
    refuse_beside_run,
    refuse_patches,
    say,
    tell_of_stop,
    width_of,
)
from ..patches import show_patch_run
from ..syncs import show_sync_run
from ..workers import crew_options, reasons_not_split, refuse_workers


class Command(LegacyCommand):
    help = (
        "Move the legacy data into the models. Without --commit it is a rehearsal: everything"
        " runs for real in one transaction, which is then rolled back."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add = parser.add_argument
        add("--commit", action="store_true", help="write; without it nothing is kept")
        add("--atomic", action="store_true", help="with --commit: all or nothing")
        add("--plan", action="store_true", help="print what would run, in order, and stop")
        add("--check", action="store_true", help="exit 1 if anything is pending")
        add(
            "--exclude",
            action="append",
            default=[],
            metavar="LABEL",
            help="leave out this app or migration (exact)",
        )
        add("--batch-size", type=positive, metavar="N", help="rows written together")
        add("--logquery", action="store_true", help="print each query")
        add("--no-progress", action="store_true", help="no bar and no progress lines")

        add = parser.add_argument_group("which rows").add_argument
        add("--limit", type=positive, metavar="N", help="first N rows of each query")
        add("--update", action="store_true", help="rerun finished migrations as if allow_updates")
        add(
            "--full",
            action="store_true",
            help="like --update, but compare every row with its object: no mark, no digests",
        )
        add(
            "--force-removal",
            action="store_true",
            help="delete what is gone from the source although it is more than removed_limit",
        )

        add = parser.add_argument_group("failed rows").add_argument
        add("--retry-failed", action="store_true", help="only rows recorded as failed")
        add(
            "--on-error",
            choices=OnError.values,
            help="what a failed row does (default: stop; continue with --max-errors)",
        )
        add("--max-errors", metavar="N|P%", help="stop when more rows have failed")

        add = parser.add_argument_group("several processes").add_argument
        add(
            "--workers",
            type=positive,
            metavar="N",
            help="with --commit: N processes share the rows of each migration, by ranges of keys",
        )
        add(
            "--distribute",
            action="store_true",
            help="with --commit: the ranges are tasks for the workers of the project's task queue",
        )
        add(
            "--run",
            type=positive,
            metavar="ID",
            help="execute a run that waits for a worker, with the options recorded for it",
        )

    @exit_codes()
    def handle(self, *labels: str, **options: Any) -> None:
        if options["run"] is not None:
            self._execute(options)
            return
        asked = _run_options(options)
        refuse_patches(asked.labels, "manage.py run_patches {labels}")
        whole = self.plan(options["database"])
        selected = whole.select(asked.labels, asked.exclude)
        ledger = Ledger(options["database"])
        todo = jobs.todo(whole, ledger, asked)
        if options["plan"]:
            self._print_plan(selected, todo, ledger, options)
        elif options["check"]:
            self._check(selected, whole, ledger, options)
        else:
            with stop_on_signals(tell_of_stop) as should_stop:
                stoppable = replace(asked, should_stop=should_stop)
                done = jobs.run(todo, stoppable, whole, ledger, self.progress(options))
            self._show(done, ledger, options, done_before=len(selected) - len(todo))

    def _execute(self, options: dict[str, Any]) -> None:
        """Execute a run that waits for a worker."""
        refuse_beside_run(options, _RECORDED)
        check_database(options["database"])
        with stop_on_signals(tell_of_stop) as should_stop:
            done = jobs.execute(
                options["run"],
                options["database"],
                progress=self.progress(options),
                should_stop=should_stop,
                warn=say,
            )
        if isinstance(done, Import):
            self._show(done, Ledger(options["database"]), options)
        elif isinstance(done, PatchRun):
            show_patch_run(self, done, options)
        elif isinstance(done, SyncRun):
            show_sync_run(self, done, options)
        else:
            self.print_rollback(done, options)

    def _print_plan(self, plan: Plan, todo: Plan, ledger: Ledger, options: dict[str, Any]) -> None:
        states, open_ = ledger.states(), ledger.open_relations()
        would_run = [step for step in todo if not step.migration.skip]
        compiled: list[CompiledStep] = []
        if options["verbosity"] > 1:
            jobs.require_sources(todo)
            compiled = list(explain(would_run, database=options["database"]))
        if options["format"] == "json":
            self.print_document(report.plan_document(plan, states, would_run, compiled, open_))
        elif len(plan):
            self.tell(report.plan_table(plan, states, would_run, open_))
            for each in compiled:
                self.tell(f"\n{each}")
            for sentence in reasons_not_split(would_run, options) if compiled else ():
                self.tell(sentence)
        else:
            self.tell("There are no migrations.")

    def _check(self, selected: Plan, whole: Plan, ledger: Ledger, options: dict[str, Any]) -> None:
        unfinished, relations = ledger.unfinished(), ledger.open_relations()
        finished = ledger.finished()
        open_ = waiting(whole, finished, relations)
        steps = pending(selected, finished - unfinished.keys() - set(open_))
        labels = [step.label for step in steps]
        counted = {label: relations[label] for label in labels if label in open_}
        if options["format"] == "json":
            more = {"open_relations": counted} if counted else {}
            self.print_document({"pending": labels, **more})
        elif not labels:
            self.tell("Nothing is pending.")
        else:
            broken = [unfinished[label] for label in labels if label in unfinished]
            for sentence in (*report.unfinished(broken), *report.open_relations(counted)):
                self.tell(sentence)
        if labels:
            raise CommandError(f"Pending: {', '.join(labels)}.", returncode=EXIT_FAILED)

    def _show(
        self, done: Import, ledger: Ledger, options: dict[str, Any], *, done_before: int = 0
    ) -> None:
        """Tell what became of the run, and exit accordingly."""
        failed = sum(step.failed for step in done.steps)
        follow = ledger.consequences(done.run) if failed else {}
        if options["format"] == "json":
            self.print_document(report.run_document(done.run, done.steps, follow))
        elif options["verbosity"] > 0:
            if done.steps:
                self.tell(report.closing_table(done.steps))
            if done_before:
                self.tell(f"Done before and not run again: {done_before}.")
            for sentence in report.afterwords(done.steps, done.run.options.get("limit")):
                self.tell(sentence)
            for sentence in report.consequences(done.steps, follow):
                self.tell(sentence)
            for sentence in report.filled_relations(done.filled):
                self.tell(sentence)
            if not done.run.is_dry:
                for sentence in report.open_relations(ledger.open_relations()):
                    self.tell(sentence)
            self.tell(_verdict(done))
        if options["verbosity"] > 0 and any(step.failed > TOLD for step in done.steps):
            rows = RowError.objects.using(ledger.database).filter(step__run=done.run)
            for line in told.by_cause(rows.filter(kind=MessageKind.FAILURE), width_of(sys.stderr)):
                say(line)
        if done.error is not None:
            code = EXIT_USAGE if isinstance(done.error, SpecError) else EXIT_FAILED
            raise CommandError("\n".join(done.problems()), returncode=code) from done.error
        if failed:
            raise CommandError(
                f"{number_of(failed, 'row')} failed. See: manage.py show_legacy --messages",
                returncode=EXIT_FAILED,
            )


def log_query(label: str, query: str) -> None:
    say(f"{label}:\n{without_configured(query.strip())}")


def _verdict(done: Import) -> str:
    run = [step for step in done.steps if step.status != RunStatus.SKIPPED]
    if not run and not done.filled:
        return "Nothing to do."
    if done.run.is_dry:
        return f"Rehearsal (run {done.run.pk}): nothing was written. Write with --commit."
    finished = [step.migration for step in run if step.status in FINISHED]
    if len(finished) == len(run):
        return f"Run {done.run.pk}: committed."
    # What was rolled back is in no count but that of the failures.
    broken_off = [step for step in run if step.status not in FINISHED]
    partly = [each.migration for each in broken_off if each.created + each.updated]
    kept = [*finished, *(f"a part of {label}" for label in partly)]
    kept += _written_beforehand(each for each in broken_off if each.migration not in partly)
    if not kept:
        return f"Run {done.run.pk}: nothing was written."
    return f"Run {done.run.pk}: committed {', '.join(kept)}."


def _written_beforehand(steps: Iterable[RunStep]) -> list[str]:
    """Hooks whose writes were committed before the rows of their steps, none of which was."""
    migrations = discover()
    return [
        f"what {BEFORE_ALL} of {step.migration} wrote"
        for step in steps
        if step.commits_batches and BEFORE_ALL in OwnHooks(migrations[step.migration])
    ]


def _run_options(options: dict[str, Any]) -> RunOptions:
    """What the command line asks for. Raises :exc:`SpecError` for what makes no sense."""
    if options["atomic"] and not options["commit"]:
        raise SpecError("--atomic needs --commit.")
    refuse_workers(options)
    mode = Mode.REHEARSAL
    if options["commit"]:
        mode = Mode.ATOMIC if options["atomic"] else Mode.COMMIT
    return RunOptions(
        mode=mode,
        database=options["database"],
        labels=tuple(options["labels"]),
        exclude=tuple(options["exclude"]),
        **failures_allowed(options),
        limit=options["limit"],
        batch_size=options["batch_size"],
        update=options["update"],
        full=options["full"],
        retry_failed=options["retry_failed"],
        force_removal=options["force_removal"],
        **crew_options(options),
        log_query=log_query if options["logquery"] else None,
        warn=say,
    )


_RECORDED = (
    *("labels", "exclude", "commit", "atomic", "plan", "check", "logquery", "limit", "update"),
    *("full", "retry_failed", "force_removal", "on_error", "max_errors", "batch_size"),
    *("workers", "distribute"),
)
