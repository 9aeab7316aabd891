"""``manage.py run_patches``: rehearse or run the patches that are due."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db.utils import Error

from ...exceptions import DataMigrationError, SpecError
from ...launch import jobs
from ...launch.handover import start_patches
from ...outcomes import Mode, OnError, PatchState
from ...patches import report
from ...patches.definition import Definition
from ...patches.discovery import Patches, discover
from ...patches.faking import fake
from ...patches.migrate import Listeners, migrate_with_patches
from ...patches.options import PHASES, PatchOptions
from ...patches.records import Standing, last_seconds, standings
from ...patches.runner import PatchRun, due, run_patches
from ...patches.schema import Schema
from ...run.stopping import stop_on_signals
from ...utils import processes
from ...utils.wording import error_text
from ..base import (
    EXIT_FAILED,
    LegacyCommand,
    check_database,
    exit_codes,
    failures_allowed,
    option_of,
    positive,
    refuse_beside_run,
    say,
    tell_of_stop,
)
from ..patches import show_patch_run
from ..workers import refuse_workers

#: With one of these patches something is left to do.
_PENDING = (
    *(PatchState.PENDING, PatchState.PARTIAL, PatchState.FAILED, PatchState.RUNNING),
    *(PatchState.BLOCKED, PatchState.IMPOSSIBLE, PatchState.CHANGED_SINCE),
)


class Command(LegacyCommand):
    help = (
        "Run the patches that are due: changes of data that run once for each environment. Without"
        " --commit it is a rehearsal: everything runs for real in one transaction, which is then"
        " rolled back."
    )
    labels_help = "app_label or app_label.name; all patches without one"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add = parser.add_argument
        add("--commit", action="store_true", help="write; without it nothing is kept")
        add("--plan", action="store_true", help="print what would run, in order, and stop")
        add(
            "--check",
            action="store_true",
            help="exit 1 if anything is pending, has failed or changed since it ran",
        )
        add("--phase", choices=PHASES, help="only what runs before, or after, Django's migrate")
        add(
            "--migrate",
            action="store_true",
            help="before-patches, Django's migrate, after-patches, and what runs always",
        )
        add("--no-progress", action="store_true", help="no bar and no progress lines")

        add = parser.add_argument_group("one patch").add_argument
        add(
            "--fake",
            action="append",
            default=[],
            metavar="NAME",
            help="record this patch as done without running it; needs --reason",
        )
        add("--reason", default="", metavar="TEXT", help="why, for those who come after")
        add(
            "--force",
            action="append",
            default=[],
            metavar="NAME",
            help="run this patch although it is done; adds a record",
        )

        add = parser.add_argument_group("what fails").add_argument
        add(
            "--skip-failing",
            action="store_true",
            help="go on with other patches when one fails; exit 1 all the same",
        )
        add("--retry-failed", action="store_true", help="only objects recorded as failed")
        add(
            "--on-error",
            choices=OnError.values,
            help="what a failed object does (default: stop; continue with --max-errors)",
        )
        add("--max-errors", metavar="N|P%", help="stop when more objects have failed")
        add("--limit", type=positive, metavar="N", help="first N objects of each patch")

        add = parser.add_argument_group("other processes").add_argument
        add(
            "--workers",
            type=positive,
            metavar="N",
            help="with --commit: N processes share the objects of each patch, by ranges of keys",
        )
        add("--background", action="store_true", help="hand the run over to a worker")
        add(
            "--run",
            type=positive,
            metavar="ID",
            help="execute a run that waits for a worker, with the options recorded for it",
        )

    @exit_codes()
    def handle(self, *labels: str, **options: Any) -> None:
        check_database(options["database"])
        if options["run"] is not None:
            self._execute(options)
            return
        asked = _patch_options(options)
        patches = discover()
        if options["fake"]:
            self._fake(patches, options)
        elif options["plan"]:
            self._print_plan(patches, asked, options)
        elif options["check"]:
            self._check(patches.select(options["labels"]), patches, options)
        elif options["background"]:
            run = start_patches(asked, requested_by=processes.owner(), alone=True)
            self.tell(
                f"Run {run.pk} was handed over. Follow it with: manage.py show_patches --runs,"
                " or in the admin."
            )
        elif options["migrate"]:
            self._migrate(asked, options)
        else:
            self._run(patches, asked, options)

    def _migrate(self, asked: PatchOptions, options: dict[str, Any]) -> None:
        """Patches and Django's migrate, each told when it ends; as JSON all of them at the end."""
        as_json = options["format"] == "json"
        documents: list[dict[str, Any]] = []
        left: list[Standing] = []
        try:
            with stop_on_signals(tell_of_stop) as should_stop:
                migrate_with_patches(
                    replace(asked, should_stop=should_stop),
                    Listeners(
                        tell=say if as_json else self.tell,
                        told=partial(show_patch_run, self, options=options, documents=documents),
                        progress=self.progress(options),
                    ),
                    stdout=sys.stderr if as_json else self.stdout._out,
                    verbosity=options["verbosity"],
                )
            if asked.mode == Mode.COMMIT:
                left = self._waiting(discover(), asked)
        except (CommandError, DataMigrationError, Error):
            raise
        except Exception as error:  # of a schema migration that somebody wrote
            raise CommandError(error_text(error, "migrate"), returncode=EXIT_FAILED) from error
        finally:
            if as_json:
                waiting = report.waiting_document(left)
                self.print_document({"runs": documents, "waiting": waiting})
        if as_json or options["verbosity"] == 0:
            return
        if asked.mode == Mode.REHEARSAL:
            self.tell("Rehearsal: nothing was migrated or written. Write with --commit.")
        for sentence in report.waiting(left):
            self.tell(sentence)

    def _run(self, patches: Patches, asked: PatchOptions, options: dict[str, Any]) -> None:
        with stop_on_signals(tell_of_stop) as should_stop:
            stoppable = replace(asked, should_stop=should_stop)
            done = run_patches(patches, stoppable, progress=self.progress(options))
        left = [] if asked.retry_failed else self._waiting(patches, asked)
        show_patch_run(self, done, options, left=left)

    def _waiting(self, patches: Patches, asked: PatchOptions) -> list[Standing]:
        """What was asked for and cannot run as things are."""
        schema = Schema.of(asked.database)
        chosen = patches.select((*asked.labels, *asked.force))
        return [
            each
            for each in standings(patches, database=asked.database, schema=schema)
            if each.label in chosen
            and each.cannot_run
            and asked.phase in (None, schema.phase(each.definition))
        ]

    def _execute(self, options: dict[str, Any]) -> None:
        """Execute a run that waits for a worker."""
        refuse_beside_run(options, _RECORDED)
        with stop_on_signals(tell_of_stop) as should_stop:
            done = jobs.execute(
                options["run"],
                options["database"],
                progress=self.progress(options),
                should_stop=should_stop,
                warn=say,
            )
        if not isinstance(done, PatchRun):
            raise SpecError(
                f"Run {options['run']} is none of patches: manage.py migrate_legacy --run executes"
                " runs of every kind."
            )
        show_patch_run(self, done, options)

    def _fake(self, patches: Patches, options: dict[str, Any]) -> None:
        chosen = [_exactly(patches, name) for name in options["fake"]]
        database, reason = options["database"], options["reason"].strip()
        fake(chosen, by=processes.owner(), reason=reason, database=database)
        labels = [each.label for each in chosen]
        found = [each for each in standings(patches, database=database) if each.label in labels]
        if options["format"] == "json":
            self.print_document(report.state_document(found, last_seconds(found, database)))
        elif options["verbosity"] > 0:
            for each in found:
                is_done = each.state == PatchState.DONE
                kept = "is done, with its code of today" if is_done else "is recorded as done"
                self.tell(f"{each.label} {kept}: {reason}")

    def _print_plan(self, patches: Patches, asked: PatchOptions, options: dict[str, Any]) -> None:
        schema = Schema.of(asked.database)
        would_run = {each.label for each in due(patches, asked, schema=schema)}
        chosen = {each.label for each in patches.select((*asked.labels, *asked.force))}
        found = [
            each
            for each in standings(patches, database=asked.database, schema=schema)
            if each.label in chosen
        ]
        phases = {each.label: schema.phase(each.definition) for each in found}
        if options["format"] == "json":
            self.print_document(report.plan_document(found, would_run, phases))
        elif found:
            self.tell(report.plan_table(found, would_run, phases, self.width))
        else:
            self.tell("There are no patches.")

    def _check(self, selected: Patches, patches: Patches, options: dict[str, Any]) -> None:
        found = [
            each
            for each in standings(patches, database=options["database"])
            if each.label in selected
            and each.state in _PENDING
            and not (each.definition.patch.always and each.state == PatchState.PENDING)
        ]
        seconds = last_seconds(found, options["database"])
        if options["format"] == "json":
            self.print_document(report.state_document(found, seconds))
        elif not found:
            self.tell("Nothing is pending.")
        else:
            self.tell(report.state_table(found, seconds, width=self.width))
        if found:
            labels = ", ".join(f"{each.label} ({each.state.label})" for each in found)
            raise CommandError(f"Not done: {labels}.", returncode=EXIT_FAILED)


def _exactly(patches: Patches, name: str) -> Definition:
    """The patch with this label. Raises :exc:`SpecError` for an app, which means several."""
    patches.select([name])
    if name not in patches:
        raise SpecError(f"--fake takes the name of one patch, and {name!r} is an app.")
    return patches[name]


def _patch_options(options: dict[str, Any]) -> PatchOptions:
    """What the command line asks for. Raises :exc:`SpecError` for what makes no sense."""
    refuse_workers({**options, "distribute": False, "atomic": False})
    if options["fake"] and not options["reason"].strip():
        raise SpecError("--fake needs --reason: those who come after want to know why.")
    if options["reason"] and not options["fake"]:
        raise SpecError("--reason is for --fake NAME.")
    if options["fake"] and (given := [name for name in _NOT_WITH_FAKE if options[name]]):
        named = ", ".join(map(option_of, given))
        raise SpecError(f"--fake runs nothing: leave out {named}.")
    for name, others in _EXCLUDED.items():
        if options[name] and (given := [other for other in others if options[other]]):
            raise SpecError(f"--{name} and {option_of(given[0])} exclude each other: choose one.")
    mode = Mode.COMMIT if options["commit"] else Mode.REHEARSAL
    allowed = failures_allowed(options)
    if options["on_error"] is None and (mode == Mode.REHEARSAL or options["retry_failed"]):
        allowed["on_error"] = OnError.CONTINUE  # the whole list is what people are after
    return PatchOptions(
        mode=mode,
        database=options["database"],
        labels=tuple(options["labels"]),
        force=tuple(options["force"]),
        phase=options["phase"],
        **allowed,
        limit=options["limit"],
        retry_failed=options["retry_failed"],
        skip_failing=options["skip_failing"],
        workers=options["workers"] or 1,
        warn=say,
    )


#: Options, and others with which each makes no sense.
_EXCLUDED = {
    "check": (
        *("plan", "commit", "migrate", "background", "force", "phase", "skip_failing"),
        *("retry_failed", "on_error", "max_errors", "limit", "workers"),
    ),
    "plan": ("background", "commit"),
    "migrate": ("background", "labels", "phase", "force", "retry_failed", "limit"),
}
_NOT_WITH_FAKE = (
    *("labels", "commit", "plan", "check", "phase", "migrate", "force", "skip_failing"),
    *("retry_failed", "on_error", "max_errors", "limit", "workers", "background"),
)
_RECORDED = ("fake", "reason", *_NOT_WITH_FAKE)
