"""The demo as a newcomer runs it: a process of its own, in an empty folder."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.paths import MANAGE

# What changes from run to run: durations and dates.
CHANGING = re.compile(r"\d+\.\d+s\b|\d{4}-\d{2}-\d{2} \d{2}:\d{2}")
# So does where the patch is killed.
KILLED = re.compile(r"\n12\. A patch: where it stands\n.*?\n14\. ", re.DOTALL)
PROCESS = re.compile(r"kill -9 \d+")


def _without_changing(screen: str) -> str:
    return PROCESS.sub("", KILLED.sub("", CHANGING.sub("", screen)))


@dataclass(frozen=True)
class Folder:
    """Where a demo keeps its two databases."""

    path: Path

    @property
    def legacy(self) -> Path:
        return self.path / "legacy.sqlite3"

    @property
    def target(self) -> Path:
        return self.path / "demo.sqlite3"

    def manage(self, *command: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "testapp.settings",
            "DEMO_DATABASE": str(self.target),
            "DEMO_LEGACY": str(self.legacy),
            "PYTHONWARNINGS": "error",
            "PYTHONIOENCODING": "utf-8",
        }
        return subprocess.run(
            [sys.executable, str(MANAGE), *command],
            cwd=self.path,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )


@dataclass(frozen=True)
class Demo:
    """A finished demo: its folder and what it showed."""

    folder: Folder
    process: subprocess.CompletedProcess[str]

    @property
    def lines(self) -> list[str]:
        """The lines on stdout with single spaces, so that column widths may change."""
        return [" ".join(line.split()) for line in self.process.stdout.splitlines()]

    def part(self, command: str) -> list[str]:
        """The lines between a command of the tour and the next blank line."""
        start = self.lines.index(f"$ python manage.py {command}") + 1
        return self.lines[start : self.lines.index("", start)]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder = Folder(tmp_path_factory.mktemp("demo"))
    return Demo(folder, folder.manage("demo"))


@pytest.mark.slow
class TestScreen:
    def test_ends_well(self, demo: Demo) -> None:
        assert demo.process.returncode == 0, demo.process.stdout + demo.process.stderr

    def test_tells_how_many_rows_the_old_database_has(self, demo: Demo) -> None:
        assert "(10,618 rows, just built)" in demo.process.stdout

    def test_plan_puts_what_is_needed_before_what_needs_it(self, demo: Demo) -> None:
        planned = [line.split()[1] for line in demo.part("migrate_legacy --plan")[1:]]
        assert planned == [
            "catalogue.CategoryMigration",
            "catalogue.LabelMigration",
            "catalogue.ProductMigration",
            "customers.GroupMigration",
            "customers.CustomerMigration",
            "customers.ProfileMigration",
            "orders.OrderMigration",
            "orders.OrderLineMigration",
        ]

    @pytest.mark.parametrize(
        ("command", "closing_line"),
        [
            (
                "migrate_legacy --on-error continue",
                "Rehearsal (run 1): nothing was written. Write with --commit.",
            ),
            ("migrate_legacy --commit --on-error continue", "Run 2: committed."),
        ],
    )
    def test_rehearsal_and_real_run_show_the_same_counts(
        self, demo: Demo, command: str, closing_line: str
    ) -> None:
        shown = demo.part(command)
        counts = [CHANGING.sub("", line).strip() for line in shown[:10]]
        assert counts == [
            "Migration read created updated unchanged skipped failed warnings time",
            "catalogue.CategoryMigration 37 37 0 0 0 0 0",
            "catalogue.LabelMigration 24 24 0 0 0 0 0",
            "catalogue.ProductMigration 800 799 0 0 0 1 2",
            "customers.GroupMigration 6 6 0 0 0 0 0",
            "customers.CustomerMigration 1600 1596 0 0 4 0 3",
            "customers.ProfileMigration 1249 1249 0 0 0 0 0",
            "orders.OrderMigration 2300 2299 0 0 0 1 0",
            "orders.OrderLineMigration 4602 4602 0 0 0 0 0",
            "Total 10618 10612 0 0 4 2 5",
        ]
        assert closing_line in shown
        assert shown[-2:] == ["$ echo $?", "1"]

    def test_status_names_the_migrations_with_failed_rows(self, demo: Demo) -> None:
        states = dict(line.split()[:2] for line in demo.part("show_legacy")[1:9])
        partial = {label for label, state in states.items() if state == "partial"}
        assert partial == {"catalogue.ProductMigration", "orders.OrderMigration"}
        assert set(states.values()) == {"partial", "done"}

    def test_messages_pin_the_two_failed_rows(self, demo: Demo) -> None:
        messages = demo.part("show_legacy --messages --all")
        failures = [line for line in messages if " failure " in line]
        assert failures == [
            "catalogue.ProductMigration failure \"K-00417\" price 'n/a'"
            " “n/a” value must be a decimal number.",
            "orders.OrderMigration failure 2042 customer 99999"
            " id = 99999 matches no customers.Customer",
        ]

    def test_messages_name_each_reference_to_something_deleted(self, demo: Demo) -> None:
        messages = demo.part("show_legacy --messages --all")
        warnings = [line for line in messages if " warning " in line]
        assert warnings == [
            'catalogue.ProductMigration warning "K-00150" labels 77'
            " id = 77 matches no catalogue.Label",
            'catalogue.ProductMigration warning "K-00599" labels 77'
            " id = 77 matches no catalogue.Label",
            "customers.CustomerMigration warning 88 group 9"
            " id = 9 matches no customers.CustomerGroup",
            "customers.CustomerMigration warning 640 group 9"
            " id = 9 matches no customers.CustomerGroup",
            "customers.CustomerMigration warning 1313 group 9"
            " id = 9 matches no customers.CustomerGroup",
        ]

    def test_mended_rows_come_with_the_retry_and_no_others(self, demo: Demo) -> None:
        shown = demo.part("migrate_legacy --retry-failed --commit")
        assert [CHANGING.sub("", line).strip() for line in shown[1:4]] == [
            "catalogue.ProductMigration 1 1 0 0 0 0 0",
            "orders.OrderMigration 1 1 0 0 0 0 0",
            "Total 2 2 0 0 0 0 0",
        ]
        assert shown[-1] == "Run 3: committed."

    def test_after_the_retry_no_failure_is_open(self, demo: Demo) -> None:
        assert demo.part("show_legacy --messages --kind failure") == ["No messages."]

    def test_update_reads_every_row_and_writes_none(self, demo: Demo) -> None:
        shown = demo.part("migrate_legacy --update --commit")
        assert CHANGING.sub("", shown[9]).strip() == "Total 10618 0 0 10614 4 0 5"
        assert shown[-1] == "Run 4: committed."

    def test_patch_is_rehearsed_over_every_product(self, demo: Demo) -> None:
        assert [CHANGING.sub("", line).strip() for line in demo.part("run_patches")] == [
            "Patch processed changed unchanged skipped failed time",
            "catalogue.end_prices 800 537 263 0 0",
            "Rehearsal (run 5): nothing was written. Write with --commit.",
        ]

    def test_killed_patch_goes_on_behind_its_last_batch(self, demo: Demo) -> None:
        lines = demo.lines
        start = lines.index("$ python manage.py run_patches --commit")
        assert lines[start + 1].startswith("$ kill -9 ")
        state = demo.part("show_patches")[1]
        found = re.match(r"catalogue\.end_prices partial (\d+) of 800 6 \d\d:\d\d\b", state)
        assert found, state
        done = int(found[1])
        second = lines.index("$ python manage.py run_patches --commit", start + 1)
        assert lines[second + 2].startswith(f"catalogue.end_prices {800 - done} ")
        assert f"catalogue.end_prices: {done} objects had been done by earlier runs." in lines
        assert "Run 7: committed." in lines

    def test_patch_is_rolled_back(self, demo: Demo) -> None:
        part = demo.part("rollback_legacy patch:catalogue.end_prices --no-input")
        assert part[1].startswith("patch:catalogue.end_prices 0 537 ")
        with closing(sqlite3.connect(demo.folder.target)) as target:
            query = (
                "SELECT COUNT(*) FROM catalogue_product WHERE CAST(price * 100 AS INT) % 100 <> 90"
            )
            assert target.execute(query).fetchone()[0] >= 500

    def syncs(self, demo: Demo) -> list[list[str]]:
        """The closing table of each run that writes: what was pulled, and what was pushed."""
        rows = [line.split()[1:8] for line in demo.lines if "ProductToMarket@market " in line]
        return [row for row in rows if row[0].isdecimal()]

    def test_sync_goes_both_ways_and_then_nothing_is_written(self, demo: Demo) -> None:
        rehearsed, real, again = (self.syncs(demo)[n : n + 2] for n in (0, 2, 4))
        assert (
            rehearsed
            == real
            == [["5", "5", "0", "0", "0", "0", "0"], ["9", "9", "0", "0", "0", "0", "0"]]
        )
        assert [row[1:3] for row in again] == [["0", "0"], ["0", "0"]]
        assert "sku: 'K-00090'" in demo.lines

    def test_sync_holds_a_conflict_until_it_is_settled(self, demo: Demo) -> None:
        held = demo.part("show_remote --conflicts")
        assert held[1:] == ["catalogue.ProductToMarket@market 7 price 160.00 158.00"]
        with closing(sqlite3.connect(demo.folder.target)) as target:
            query = "SELECT name, price FROM catalogue_product WHERE sku IN ('K-00090', 'K-00235')"
            assert target.execute(f"{query} ORDER BY sku").fetchall() == [
                ("Notebook for winter", 155),
                ("Tall Watering Can No. 3", 158),
            ]

    def test_proof_shows_both_databases_side_by_side(self, demo: Demo) -> None:
        start = demo.lines.index("legacy new") + 1
        assert demo.lines[start : start + 5] == [
            "customers 1,600 1,596 4 test accounts, skipped by a hook",
            "products 800 805 5 came from the market place",
            "orders 2,300 2,300",
            "order lines 4,602 4,602",
            "sold, in cents 87,408,404 87,408,404",
        ]

    def test_text_of_the_tour_fits_a_terminal_of_100_columns(self, demo: Demo) -> None:
        own = [
            line for line in demo.process.stdout.splitlines() if not line.startswith("catalogue.")
        ]
        heading = own.index("3. The rehearsal")
        assert max(len(line) for line in own[:4] + own[heading : heading + 5]) <= 100

    def test_files_named_at_the_end_exist(self, demo: Demo) -> None:
        named = re.findall(
            r"testapp/\w+/(?:data_\w+_spec|patches|connectors)\.py", demo.process.stdout
        )
        assert len(set(named)) == 6
        assert all((MANAGE.parent / name).is_file() for name in named)


@pytest.mark.slow
class TestAgain:
    def test_ledger_remembers_every_run_the_rehearsal_included(self, demo: Demo) -> None:
        with closing(sqlite3.connect(demo.folder.target)) as target:
            runs = target.execute("SELECT mode, status FROM data_migration_run ORDER BY id")
            assert runs.fetchmany(4) == [
                ("rehearsal", "partial"),
                ("commit", "partial"),
                ("commit", "done"),
                ("commit", "done"),
            ]

    def test_second_demo_starts_afresh_and_shows_the_same(self, demo: Demo) -> None:
        second = demo.folder.manage("demo")
        assert second.returncode == 0, second.stdout + second.stderr
        first = demo.process.stdout
        assert _without_changing(second.stdout) == _without_changing(first)

    def test_run_by_hand_afterwards_finds_nothing_to_change(self, demo: Demo) -> None:
        shown = demo.folder.manage("migrate_legacy")
        assert shown.returncode == 0, shown.stdout + shown.stderr
        lines = [" ".join(line.split()) for line in shown.stdout.splitlines()]
        assert lines[1].startswith("catalogue.ProductMigration 800 0 0 800 0 0 ")


class TestForeignFiles:
    @pytest.mark.parametrize("name", ["legacy.sqlite3", "demo.sqlite3"])
    def test_are_left_alone(self, tmp_path: Path, name: str) -> None:
        folder = Folder(tmp_path)
        precious = tmp_path / name
        with closing(sqlite3.connect(precious)) as connection:
            connection.execute("CREATE TABLE precious (id INTEGER)")
        before = precious.read_bytes()
        refused = folder.manage("demo")
        assert refused.returncode == 1
        assert f"CommandError: {precious} is there already and was not made" in refused.stderr
        assert precious.read_bytes() == before
        assert [path.name for path in tmp_path.iterdir()] == [name]
