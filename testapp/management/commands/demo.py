"""``manage.py demo``: a guided tour, from an old database to a new one."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

import testapp
from data_migration.conf import settings as migration_settings
from testapp.demo import files
from testapp.demo.comparison import compare
from testapp.legacy import build

MANAGE = Path(testapp.__file__).resolve().parent.parent / "manage.py"

INTRODUCTION = """\
A small shop has sold lamps and kettles since 2006. Its old database ({rows:,} rows, just built)
is as old databases are: SQL words as column names, 0 for "none", dates as text, lists of ids in
one column, no keys declared. The new shop is a Django project with proper models. Between the two
stand three short files that say which query fills which model: the specs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stop:
    """One command of the tour.

    ``mend`` are statements for the legacy database, to be run before. ``exit_code`` is the one
    with which the command has to end.
    """

    heading: str
    text: str
    command: str
    mend: tuple[str, ...] = ()
    exit_code: int = 0


STOPS = (
    Stop(
        heading="The new database",
        text="Django's own schema migrations make the empty tables.",
        command="migrate --verbosity 0",
    ),
    Stop(
        heading="The plan",
        text="What would run, in which order, and what waits for what.",
        command="migrate_legacy --plan",
    ),
    Stop(
        heading="The rehearsal",
        text="""\
Without --commit everything is really done, then rolled back: you see what would happen, and not
a row has changed. A run stops at the first row that fails, unless --on-error continue is given:
then the row is put on record, and all others go on. Two rows of the old shop cannot be right.""",
        command="migrate_legacy --on-error continue",
        exit_code=1,
    ),
    Stop(
        heading="The real run",
        text="""\
The same with --commit. Skipped are four test accounts, by a hook in the spec. Warnings are
references to things that were deleted long ago, which the spec allows to stay empty. The exit
code is 1, here and above: two rows failed, and no script should take that for success.""",
        command="migrate_legacy --commit --on-error continue",
        exit_code=1,
    ),
    Stop(
        heading="Where things stand",
        text="The state of every migration, remembered in the new database.",
        command="show_legacy",
    ),
    Stop(
        heading="What went wrong",
        text="Every failed row and every warning, with key, column and value.",
        command="show_legacy --messages --all",
    ),
    Stop(
        heading="The two rows",
        text="""\
Somebody looks up the missing price and asks whose order it was, and types both into the old
database. --retry-failed reads exactly the rows that failed, by their keys.""",
        mend=(
            "UPDATE Product SET Price = '24,50' WHERE ProdID = 417;",
            'UPDATE "Order" SET CustID = 12 WHERE OrderID = 2042;',
        ),
        command="migrate_legacy --retry-failed --commit",
    ),
    Stop(
        heading="What is left",
        text="Failures stay open until their row ends otherwise. Now none is open.",
        command="show_legacy --messages --kind failure",
    ),
    Stop(
        heading="Once more, from the start",
        text="""\
The old shop goes on selling until the last evening, so its data will be fetched again and again.
With --update every row is compared with what the ledger remembers of it. Nothing has changed, so
nothing is written: no row of the new shop is touched. The warnings are told again, because the
groups and labels might have come back.""",
        command="migrate_legacy --update --commit",
    ),
)

CLOSING = """\
Now read the specs, they are short and say why:
  testapp/customers/data_migration_spec.py    aliases, a test account skipped, one to one
  testapp/catalogue/data_migration_spec.py    a tree, a list of ids, runs again at any time
  testapp/orders/data_migration_spec.py       odd dates, dependencies, a key of two columns
Then try it yourself. The two databases stay as they are until the next demo:
  python manage.py migrate_legacy --help
  python manage.py rollback_legacy --plan                             (what undoing it means)
  make demo-admin                          (the same in the admin: see it, start it, watch it)
The documentation begins at docs/index.rst."""


class Command(BaseCommand):
    help = "Build a small legacy shop, migrate it, and show every step."
    # The commands of the tour check the project themselves.
    requires_system_checks = []

    def handle(self, **options: Any) -> None:
        legacy = Path(migration_settings.sources["legacy"]["NAME"])
        target = Path(settings.DATABASES["default"]["NAME"])
        self._say(INTRODUCTION.format(rows=_start_afresh(legacy, target)))
        surprises = [*self._tour(legacy), *self._compare(legacy, target)]
        if surprises:
            raise CommandError("The demo did not go as expected:\n" + "\n".join(surprises))
        self._say(CLOSING)

    def _tour(self, legacy: Path) -> Iterator[str]:
        """Run every command; yield what differs from what was expected."""
        for number, stop in enumerate(STOPS, 1):
            self._heading(number, stop.heading)
            self._say(stop.text)
            for statement in stop.mend:
                _run_sql(legacy, statement)
                self._say(self.style.SUCCESS(f"legacy> {statement}"))
            self._say(self.style.SUCCESS(f"$ python manage.py {stop.command}"))
            exit_code = _manage(stop.command)
            if exit_code:
                self._say(self.style.SUCCESS("$ echo $?") + f"\n{exit_code}")
            if exit_code != stop.exit_code:
                yield f"{stop.command}: exit code {exit_code} instead of {stop.exit_code}"

    def _compare(self, legacy: Path, target: Path) -> Iterator[str]:
        """Count both databases; yield what differs without a known reason."""
        self._heading(len(STOPS) + 1, "The proof")
        self._say("Both databases, counted by plain SQL:")
        self.stdout.write(f"{'':16}{'legacy':>12}{'new':>12}")
        for answer in compare(legacy, target):
            question = answer.question
            line = f"{question.text:16}{answer.legacy:12,}{answer.target:12,}   {question.why}"
            self.stdout.write(line.rstrip())
            if not answer.is_right:
                yield f"{question.text}: {answer.legacy} in legacy, {answer.target} in new"
        self._say("")

    def _heading(self, number: int, text: str) -> None:
        self.stdout.write("")
        self._say(self.style.MIGRATE_HEADING(f"{number}. {text}"))

    def _say(self, text: str) -> None:
        # The commands write to the same terminal from processes of their own.
        self.stdout.write(text)
        self.stdout.flush()


def _start_afresh(legacy: Path, target: Path) -> int:
    """Make both files anew; return the number of legacy rows."""
    try:
        for path in (legacy, target):
            files.check(path)
        for path in (legacy, target):
            files.create(path)
    except files.NotOurs as error:
        raise CommandError(str(error)) from error
    return build(legacy)


def _run_sql(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def _manage(command: str) -> int:
    """Run a command of this project as a person would; return its exit code."""
    return subprocess.run([sys.executable, MANAGE, *command.split()], check=False).returncode
