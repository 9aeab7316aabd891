"""``manage.py demo``: a guided tour, from an old database to a new one."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

import testapp
from data_migration.conf import settings as migration_settings
from data_migration.models import PatchRecord
from testapp import market
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

    ``mend`` are statements for the legacy database, to be run before, ``here`` those for the new
    one, and ``there`` what somebody at the market does meanwhile: an article number, and values.
    ``exit_code`` is the one with which the command has to end; one that ``is_killed`` ends with
    the signal.
    """

    heading: str
    text: str
    command: str
    mend: tuple[str, ...] = ()
    here: tuple[str, ...] = ()
    there: tuple[tuple[str, dict[str, Any]], ...] = ()
    exit_code: int = 0
    is_killed: bool = False


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
    Stop(
        heading="A patch: the rehearsal",
        text="""\
The new owner wants every price to end in 90 cents. That is no schema migration and no import: it
is a patch (testapp/catalogue/patches.py), which runs once in each environment, in batches. Without
--commit it is a rehearsal, too.""",
        command="run_patches",
    ),
    Stop(
        heading="A patch: killed in the middle",
        text="""\
Somebody pulls the plug (kill -9) when some batches are done. Each was committed together with how
far the patch has come.""",
        command="run_patches --commit",
        is_killed=True,
    ),
    Stop(
        heading="A patch: where it stands",
        text="The record is right without anybody having mended it.",
        command="show_patches",
    ),
    Stop(
        heading="A patch: the same command goes on",
        text="It begins behind the last batch. No price is changed twice, none is left out.",
        command="run_patches --commit",
    ),
    Stop(
        heading="A patch: and back",
        text="""\
The customers complain. The patch says what it writes, so the former prices were kept, and prices
that somebody has changed by hand since would be spared.""",
        command="rollback_legacy patch:catalogue.end_prices --no-input",
    ),
    Stop(
        heading="A sync: the rehearsal",
        text="""\
The shop sells its dearest things on a market place as well, where others have put articles
already: a small server of the demo, which now runs (testapp/market.py). A mapping says what is
what (testapp/catalogue/data_sync_spec.py). Without --commit what is over there is brought here and
rolled back, and what would be sent is only shown.""",
        command="sync_remote --diff 2",
    ),
    Stop(
        heading="A sync: there and back",
        text="""\
Five articles come, nine products go. Each goes with a key that keeps it from going twice.""",
        command="sync_remote --commit",
    ),
    Stop(
        heading="A sync: once more",
        text="""\
The market is asked for what changed since, and answers: the nine that came from here. They are
known. Nothing is written, nothing is sent.""",
        command="sync_remote --commit",
    ),
    Stop(
        heading="A sync: both sides change",
        text="""\
Of the notebook the price changes here and the title there: both sides get both. Of the watering
can both change the price, and nobody but a person can know which is right.""",
        here=(
            "UPDATE catalogue_product SET price = 155 WHERE sku = 'K-00090';",
            "UPDATE catalogue_product SET price = 160 WHERE sku = 'K-00235';",
        ),
        there=(("K-00090", {"title": "Notebook for winter"}), ("K-00235", {"price": "158.00"})),
        command="sync_remote --commit",
    ),
    Stop(
        heading="A sync: the conflict",
        text="Both values, for the person who knows. The admin has a page for it.",
        command="show_remote --conflicts",
    ),
    Stop(
        heading="A sync: settled",
        text="Theirs is right. Of article 7 alone, theirs is taken, and the conflict is gone.",
        command="sync_remote --keys 7 --settle price=theirs --commit",
    ),
)

CLOSING = """\
Now read the specs, they are short and say why:
  testapp/customers/data_migration_spec.py    aliases, a test account skipped, one to one
  testapp/catalogue/data_migration_spec.py    a tree, a list of ids, runs again at any time
  testapp/orders/data_migration_spec.py       odd dates, dependencies, a key of two columns
  testapp/catalogue/patches.py                a patch, with what it takes to undo it
  testapp/catalogue/data_sync_spec.py         a sync; testapp/catalogue/connectors.py speaks HTTP
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
        with market.serving() as server:
            os.environ["DEMO_MARKET"] = server.address  # for the commands, which are processes
            surprises = [*self._tour(legacy, target, server.market)]
        surprises += self._compare(legacy, target)
        if surprises:
            raise CommandError("The demo did not go as expected:\n" + "\n".join(surprises))
        self._say(CLOSING)

    def _tour(self, legacy: Path, target: Path, place: market.Market) -> Iterator[str]:
        """Run every command; yield what differs from what was expected."""
        for number, stop in enumerate(STOPS, 1):
            self._heading(number, stop.heading)
            self._say(stop.text)
            for statement in stop.mend:
                _run_sql(legacy, statement)
                self._say(self.style.SUCCESS(f"legacy> {statement}"))
            for statement in stop.here:
                _run_sql(target, statement)
                self._say(self.style.SUCCESS(f"shop> {statement}"))
            for sku, values in stop.there:
                place.change(place.number(sku), values)
                self._say(self.style.SUCCESS(f"market> {sku}: {values}"))
            self._say(self.style.SUCCESS(f"$ python manage.py {stop.command}"))
            if stop.is_killed:
                yield from self._kill(stop.command)
                continue
            exit_code = _manage(stop.command)
            if exit_code:
                self._say(self.style.SUCCESS("$ echo $?") + f"\n{exit_code}")
            if exit_code != stop.exit_code:
                yield f"{stop.command}: exit code {exit_code} instead of {stop.exit_code}"

    def _kill(self, command: str) -> Iterator[str]:
        """Run a command on patches and kill it when the first batches are committed."""
        process = subprocess.Popen(
            [sys.executable, MANAGE, *command.split(), "--no-progress"],
            env={**os.environ, "DEMO_THROTTLE": "0.2"},
        )
        records = PatchRecord.objects.filter(processed__gt=0)
        while process.poll() is None and not records.exists():
            time.sleep(0.05)
        process.kill()
        process.wait()
        self._say(self.style.SUCCESS(f"$ kill -9 {process.pid}"))
        if process.returncode != -signal.SIGKILL:
            yield f"{command}: ended with {process.returncode} before it could be killed"

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
