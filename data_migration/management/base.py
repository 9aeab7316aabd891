"""What the commands share: labels, plans, errors with the right exit code."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.utils import Error

from ..exceptions import DataMigrationError, SpecError
from ..launch.jobs import whole_plan
from ..options import LARGEST, MaxErrors
from ..outcomes import OnError
from ..patches.definition import label_of_step
from ..plan.graph import Plan
from ..progress import Progress, for_stream
from ..reports import rollback as report
from ..undo import Rollback
from ..utils.wording import error_text, exit_text
from .values import read_values

#: Refused, failed, or some rows failed.
EXIT_FAILED = 1
#: The command line, a setting or a spec is wrong.
EXIT_USAGE = 2


class OwnCommand(BaseCommand):
    """Base of all commands: what ``call_command()`` gives counts as what the command line says."""

    # A fault in a spec has its own exit code, so the checks are run by hand.
    requires_system_checks: list[str] = []

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Read values of options like words, and send all that is said to ``stderr`` there.

        What is said comes from hooks and progress too, so the stream takes the place of the
        process's own while the command runs.
        """
        stream = options.get("stderr")
        parser = self.create_parser("manage.py", self.__module__.rpartition(".")[2])
        try:
            options = read_values(parser, options)
        except argparse.ArgumentTypeError as error:
            raise CommandError(str(error), returncode=EXIT_USAGE) from error
        with nullcontext() if stream is None else redirect_stderr(getattr(stream, "_out", stream)):
            return super().execute(*args, **options)


class LegacyCommand(OwnCommand):
    """Base of the commands that work on migrations or patches."""

    #: What a label is, for ``--help``.
    labels_help = "app_label or app_label.ClassName; all migrations without one"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("labels", nargs="*", metavar="LABEL", help=self.labels_help)
        parser.add_argument(
            "--database",
            default=DEFAULT_DB_ALIAS,
            metavar="ALIAS",
            help="the target database (default: %(default)s)",
        )
        parser.add_argument(
            "--format", choices=("text", "json"), default="text", help="default: %(default)s"
        )

    def plan(self, database: str) -> Plan:
        """Every migration in order. Raises :exc:`SpecError` for a fault in a spec."""
        check_database(database)
        return whole_plan(database)

    def print_document(self, document: dict[str, Any]) -> None:
        text = json.dumps(document, indent=2, ensure_ascii=False)
        if encodable(text, self.stdout) != text:
            text = json.dumps(document, indent=2)
        self.tell(text)

    def tell(self, text: str) -> None:
        """A part of the result. What stdout's encoding has no form for is spelled out.

        Where nobody reads on, as behind ``| head``, the rest is dropped: a run is over by then,
        and its exit code counts.
        """
        try:
            self.stdout.write(encodable(text, self.stdout))
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stdout.fileno())
            os.close(nowhere)

    @property
    def width(self) -> int | None:
        """How wide a line of the result may be; None where that is nobody's terminal."""
        return width_of(self.stdout)

    def progress(self, options: dict[str, Any]) -> Progress:
        """What shows the progress of a run, as loudly as was asked."""
        if options["no_progress"] or options["verbosity"] == 0:
            return Progress()
        return for_stream(sys.stderr)

    def print_rollback(self, done: Rollback, options: dict[str, Any]) -> None:
        """Tell what a rollback undid, in the format and as loudly as was asked."""
        if options["format"] == "json":
            self.print_document(report.rollback_document(done))
        elif options["verbosity"] > 0:
            self.tell(report.undo_table(done.plan))
            self.tell(report.verdict(done))


def width_of(stream: Any) -> int | None:
    """How wide a line in the stream may be; None where it goes into a file or a program."""
    return shutil.get_terminal_size().columns if stream.isatty() else None


def encodable(text: str, stream: Any) -> str:
    """The text, in which what the stream's encoding has no form for is spelled out."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def check_database(alias: str) -> None:
    """Raise :exc:`CommandError` for an alias that ``DATABASES`` does not have."""
    if alias not in connections:
        raise CommandError(
            f"--database: there is no alias {alias!r} in DATABASES. It has:"
            f" {', '.join(connections)}.",
            returncode=EXIT_USAGE,
        )


def refuse_patches(labels: Iterable[str], instead: str) -> None:
    """Raise :exc:`SpecError` for labels of patches, with the command that takes their names."""
    named = [label for each in labels if (label := label_of_step(each)) is not None]
    if named:
        command = instead.format(labels=" ".join(named))
        raise SpecError(f"{', '.join(named)} is no migration but a patch. Say: {command}")


def positive(text: str) -> int:
    """A whole number above zero, for argparse."""
    if not text.isdecimal() or len(text) > len(str(LARGEST)) or not 1 <= int(text) <= LARGEST:
        raise argparse.ArgumentTypeError(f"takes a whole number above zero, not {text[:40]!r}")
    return int(text)


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn what a user can mend into a :exc:`CommandError` with its exit code."""
    try:
        yield
    except SpecError as error:
        raise CommandError(error_text(error), returncode=EXIT_USAGE) from error
    except (DataMigrationError, Error) as error:
        raise CommandError(error_text(error), returncode=EXIT_FAILED) from error
    except SystemExit as error:  # of a receiver or a model: whoever calls it is not heard
        raise CommandError(f"{exit_text(error)}.", returncode=EXIT_FAILED) from error


def failures_allowed(options: dict[str, Any]) -> dict[str, Any]:
    """``--on-error`` and ``--max-errors`` as fields of options; the latter means to go on.

    Raises :exc:`SpecError` where they exclude each other.
    """
    asked = options["max_errors"]
    max_errors = None if asked is None else MaxErrors.parse(str(asked))
    default = OnError.CONTINUE if max_errors else OnError.STOP
    if max_errors and options["on_error"] == OnError.STOP:
        raise SpecError("--max-errors makes no sense with --on-error stop: choose one.")
    return {"on_error": OnError(options["on_error"] or default), "max_errors": max_errors}


def option_of(name: str) -> str:
    """What people write for an argument of a command: ``--on-error`` for ``on_error``."""
    return name if name == "labels" else f"--{name.replace('_', '-')}"


def refuse_beside_run(options: dict[str, Any], names: Iterable[str]) -> None:
    """A recorded run has its options already. Raises :exc:`SpecError` when others are given."""
    if given := [name for name in names if options[name]]:
        named = ", ".join(map(option_of, given))
        raise SpecError(f"--run executes a run as it was recorded: leave out {named}.")


def tell_of_stop() -> None:
    say("Stopping after this batch. Press Ctrl-C again to stop at once.")


def say(text: str) -> None:
    """A diagnostic, on stderr: stdout belongs to the result."""
    sys.stderr.write(f"{text}\n")
