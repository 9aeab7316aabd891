"""``manage.py migrate_legacy``: rehearse or run the migrations."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.core.management.base import CommandError, CommandParser

from data_migration import report
from data_migration.compilation import CompiledStep, explain
from data_migration.exceptions import SpecError
from data_migration.graph import Plan, PlanStep
from data_migration.ledger import FINISHED, Ledger
from data_migration.management.base import (
    EXIT_FAILED,
    EXIT_USAGE,
    LegacyCommand,
    exit_codes,
    positive,
    say,
)
from data_migration.options import MaxErrors, RunOptions
from data_migration.outcomes import Mode, OnError, RunStatus
from data_migration.planning import due, left_out, pending, with_failures
from data_migration.progress import Progress, for_stream
from data_migration.recording import rows_failed
from data_migration.runner import Runner


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
        add(
            "--exclude",
            action="append",
            default=[],
            metavar="LABEL",
            help="leave out this app or migration (exact)",
        )
        add("--plan", action="store_true", help="print what would run, in order, and stop")
        add("--check", action="store_true", help="exit 1 if anything is pending")
        add("--logquery", action="store_true", help="print each query")
        add("--limit", type=positive, metavar="N", help="first N rows of each query")
        add(
            "--update",
            action="store_true",
            help="rerun finished migrations as if allow_updates",
        )
        add(
            "--full",
            action="store_true",
            help="like --update, but compare every row with its object: no mark, no digests",
        )
        add("--retry-failed", action="store_true", help="only rows recorded as failed")
        add(
            "--force-removal",
            action="store_true",
            help="delete what is gone from the source although it is more than removed_limit",
        )
        add(
            "--on-error",
            choices=OnError.values,
            help="what a failed row does (default: stop; continue with --max-errors)",
        )
        add("--max-errors", metavar="N|P%", help="stop when more rows have failed")
        add("--batch-size", type=positive, metavar="N", help="rows written together")
        add("--no-progress", action="store_true", help="no bar and no progress lines")

    def handle(self, *labels: str, **options: Any) -> None:
        with exit_codes():
            self._handle(list(options["labels"]), options)

    def _handle(self, labels: list[str], options: dict[str, Any]) -> None:
        if options["atomic"] and not options["commit"]:
            raise CommandError("--atomic needs --commit.", returncode=EXIT_USAGE)
        whole = self.plan(options["database"])
        selected = whole.select(labels, options["exclude"])
        ledger = Ledger(options["database"])
        finished = ledger.finished()
        todo = self._due(selected, ledger, options)
        if options["plan"]:
            self._print_plan(selected, todo, ledger, options)
        elif options["check"]:
            self._check(pending(selected, finished), options)
        else:
            for label, needed in left_out(todo, whole, finished):
                say(f"{label} needs {needed}, which is left out and not finished.")
            self.refuse_missing_sources(todo)
            self._run(todo, whole, ledger, options, done_before=len(selected) - len(todo))

    def _due(self, selected: Plan, ledger: Ledger, options: dict[str, Any]) -> Plan:
        if options["retry_failed"]:
            return with_failures(selected, ledger.failed())
        update = options["update"] or options["full"]
        return due(selected, ledger.finished(), update=update)

    def _print_plan(self, plan: Plan, todo: Plan, ledger: Ledger, options: dict[str, Any]) -> None:
        states = ledger.states()
        would_run = [step for step in todo if not step.migration.skip]
        compiled: list[CompiledStep] = []
        if options["verbosity"] > 1:
            self.refuse_missing_sources(todo)
            compiled = list(explain(would_run, database=options["database"]))
        if options["format"] == "json":
            self.print_document(report.plan_document(plan, states, would_run, compiled))
        elif len(plan):
            self.stdout.write(report.plan_table(plan, states, would_run))
            for each in compiled:
                self.stdout.write(f"\n{each}")
        else:
            self.stdout.write("There are no migrations.")

    def _check(self, steps: list[PlanStep], options: dict[str, Any]) -> None:
        labels = [step.label for step in steps]
        if options["format"] == "json":
            self.print_document({"pending": labels})
        elif not labels:
            self.stdout.write("Nothing is pending.")
        if labels:
            raise CommandError(f"Pending: {', '.join(labels)}.", returncode=EXIT_FAILED)

    def _run(
        self, todo: Plan, whole: Plan, ledger: Ledger, options: dict[str, Any], *, done_before: int
    ) -> None:
        with stop_on_signals() as should_stop:
            run_options = self._run_options(options, should_stop)
            runner = Runner(todo, run_options, ledger, self._progress(options), whole=whole)
            # Recorded by the runner like every other end of a run, and told below.
            with suppress(KeyboardInterrupt):
                runner.execute()
        if options["format"] == "json":
            self.print_document(report.run_document(runner.run, runner.steps))
        elif options["verbosity"] > 0:
            self._print_result(runner, done_before)
        self._exit(runner, options)

    def _run_options(self, options: dict[str, Any], should_stop: Any) -> RunOptions:
        mode = Mode.REHEARSAL
        if options["commit"]:
            mode = Mode.ATOMIC if options["atomic"] else Mode.COMMIT
        max_errors = options["max_errors"] and MaxErrors.parse(options["max_errors"])
        default = OnError.CONTINUE if max_errors else OnError.STOP
        if max_errors and options["on_error"] == OnError.STOP:
            raise SpecError("--max-errors makes no sense with --on-error stop: choose one.")
        return RunOptions(
            mode=mode,
            database=options["database"],
            on_error=OnError(options["on_error"] or default),
            max_errors=max_errors,
            limit=options["limit"],
            batch_size=options["batch_size"],
            update=options["update"],
            full=options["full"],
            retry_failed=options["retry_failed"],
            force_removal=options["force_removal"],
            should_stop=should_stop,
            log_query=log_query if options["logquery"] else None,
            warn=say,
        )

    def _progress(self, options: dict[str, Any]) -> Progress:
        if options["no_progress"] or options["verbosity"] == 0:
            return Progress()
        return for_stream(sys.stderr)

    def _print_result(self, runner: Runner, done_before: int) -> None:
        if runner.steps:
            self.stdout.write(report.closing_table(runner.steps))
        if done_before:
            self.stdout.write(f"Done before and not run again: {done_before}.")
        for sentence in report.afterwords(runner.steps, runner.options.limit):
            self.stdout.write(sentence)
        self.stdout.write(_verdict(runner))

    def _exit(self, runner: Runner, options: dict[str, Any]) -> None:
        if runner.error is not None:
            code = EXIT_USAGE if isinstance(runner.error, SpecError) else EXIT_FAILED
            raise CommandError("\n".join(runner.problems()), returncode=code) from runner.error
        failed = sum(step.failed for step in runner.steps)
        if failed:
            raise CommandError(
                f"{rows_failed(failed)}. See: manage.py show_legacy --messages",
                returncode=EXIT_FAILED,
            )


def log_query(label: str, query: str) -> None:
    say(f"{label}:\n{query.strip()}")


def _verdict(runner: Runner) -> str:
    run = [step for step in runner.steps if step.status != RunStatus.SKIPPED]
    if not run:
        return "Nothing to do."
    if runner.options.mode == Mode.REHEARSAL:
        return f"Rehearsal (run {runner.run.pk}): nothing was written. Write with --commit."
    finished = [step.migration for step in run if step.status in FINISHED]
    if len(finished) == len(run):
        return f"Run {runner.run.pk}: committed."
    # What was rolled back is in no count but that of the failures.
    broken_off = [step for step in run if step.status not in FINISHED]
    partly = [each.migration for each in broken_off if each.created + each.updated]
    kept = [*finished, *(f"a part of {label}" for label in partly)]
    if not kept:
        return f"Run {runner.run.pk}: nothing was written."
    return f"Run {runner.run.pk}: committed {', '.join(kept)}."


@contextmanager
def stop_on_signals() -> Iterator[Any]:
    """Let the first Ctrl-C or SIGTERM end the run after its batch, a second one at once."""
    asked: list[int] = []

    def ask(number: int, frame: Any) -> None:
        asked.append(number)
        signal.signal(number, before[signal.Signals(number)])
        say("Stopping after this batch. Press Ctrl-C again to stop at once.")

    try:
        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread, so no signals arrive here
        yield lambda: False
        return
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
