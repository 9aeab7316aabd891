"""How fast a sync is against the bare calls of the same client.

``python -m benchmarks.syncs --rows 100000 --targets sqlite postgresql mysql``. The remote system
is a dictionary behind HTTP, in a process of its own. Each way runs in a process of its own, one
after the other in every round; seconds on the clock count, since waiting for answers is a part of
it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import django

from benchmarks import legacy, shelf
from benchmarks.goals import line
from tests.support.urls import VARIABLES

#: The ways, in the order in which they follow each other in a round. Before the bare calls every
#: object is changed; the push after them sends the same changes, which it does not know of.
BARE_ONE, PUSH_ONE = "bare calls, one by one", "push, one by one"
BARE_MANY, PUSH_MANY = "bare calls, pages", "push, pages"
BARE_READ, IMPORT, PULL = "bare reading", "import from SQLite", "pull"
RERUN, PULL_AGAIN, PUSH_AGAIN = "unchanged rerun", "unchanged pull", "unchanged push"
#: Of the bare calls' speed a push keeps at least; of reading and importing a pull; an unchanged
#: pass may take so many times what an unchanged rerun of an import takes; and memory may grow by
#: so much with five times as many rows.
SPEED, PASS, MEMORY = 0.8, 2.0, 1.1
PART = 5
#: One by one a call costs what it costs: so many less of them.
FEWER = 10


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.syncs", description=__doc__)
    here = ["sqlite", *(name for name, variable in VARIABLES.items() if variable in os.environ)]
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=3, help="rounds, of which the median counts")
    parser.add_argument("--targets", nargs="+", choices=("sqlite", *VARIABLES), default=here)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--way", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        django.setup()
        json.dump(_measured(arguments.way), sys.stdout)
    elif arguments.measure:
        django.setup()
        _measure(arguments.rows, arguments.repeat)
    else:
        for target in arguments.targets:
            _start_target(target, arguments.rows, arguments.repeat)


def _start_target(target: str, rows: int, repeat: int) -> None:
    with tempfile.TemporaryDirectory() as folder, shelf.serving() as address:
        name = f"bench_{os.getpid()}"
        environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
            "DATA_MIGRATION_TEST_TARGET": target,
            "BENCHMARK_DATABASE": str(Path(folder, "new")) if target == "sqlite" else name,
            legacy.VARIABLE: str(Path(folder, "legacy")),
            shelf.VARIABLE: address,
        }
        command = [sys.executable, "-m", "benchmarks.syncs", "--measure"]
        command += [f"--rows={rows}", f"--repeat={repeat}"]
        subprocess.run(command, env=environment, check=True)


def _measure(rows: int, repeat: int) -> None:
    """Print a line for each way and each goal of this target."""
    from benchmarks import target

    here = os.environ["DATA_MIGRATION_TEST_TARGET"]
    found: dict[str, list[dict[str, float]]] = {}
    with target.database() as database:
        _fill(rows // PART)
        small = {way: _run(way, database) for way in (PULL, PULL_AGAIN, PUSH_AGAIN)}
        target.clear()
        _fill(rows)
        for _ in range(repeat):
            target.clear()
            for way in (IMPORT, RERUN):
                found.setdefault(way, []).append(_run(way, database))
            target.clear()
            for way in (BARE_READ, PULL, PULL_AGAIN, PUSH_AGAIN, BARE_MANY, PUSH_MANY):
                if way == BARE_MANY:
                    _change()
                found.setdefault(way, []).append(_run(way, database))
        target.clear()
        _fill(rows // FEWER)
        _run(PULL, database)
        for _ in range(repeat):
            _change()
            for way in (BARE_ONE, PUSH_ONE):
                found.setdefault(way, []).append(_run(way, database))
    middle = {
        name: {key: median(each[key] for each in rounds) for key in rounds[0]}
        for name, rounds in found.items()
    }
    print(f"{here}: {rows:,} rows, one by one {rows // FEWER:,}, median of {repeat} rounds")
    for name, each in middle.items():
        speed = each["rows"] / each["seconds"]
        print(
            f"  {name:24}{each['seconds']:8.2f} s{speed:>12,.0f} rows/s"
            f"{each['peak'] / 2**20:8.0f} MiB"
        )
    seconds = {name: each["seconds"] for name, each in middle.items()}
    for text, base, way in (
        ("push one by one: of the speed of bare calls", seconds[BARE_ONE], PUSH_ONE),
        ("push of pages: of the speed of bare calls", seconds[BARE_MANY], PUSH_MANY),
        ("pull: of reading and importing", seconds[BARE_READ] + seconds[IMPORT], PULL),
    ):
        ratio = base / seconds[way]
        print(line(text, here, f"{ratio:.2f} of {SPEED}", ratio >= SPEED))
    for way in (PULL_AGAIN, PUSH_AGAIN):
        ratio = seconds[way] / seconds[RERUN]
        print(line(f"{way}: of an unchanged rerun", here, f"{ratio:.2f} of {PASS}", ratio <= PASS))
    for way, before in small.items():
        ratio = middle[way]["peak"] / before["peak"]
        cells = f"{ratio:.2f} of at most {MEMORY}"
        print(line(f"{way}: memory does not grow", here, cells, ratio <= MEMORY))


def _fill(rows: int) -> None:
    """The same rows in the legacy database and on the shelf; none here."""
    Path(legacy.here()).unlink(missing_ok=True)
    legacy.build(legacy.here(), rows)
    remote = shelf.connect()
    remote.call("DELETE")
    names = ("birth_date", "first_name", "last_name", "gender", "hire_date")
    query = f"SELECT {', '.join(names)} FROM employees ORDER BY emp_no"
    page: list[dict[str, Any]] = []
    for row in legacy.dicts(query, 1000):
        page.append(row)
        if len(page) == 1000:
            remote.call("POST", data=page)
            page = []
    if page:
        remote.call("POST", data=page)


def _change() -> None:
    """Another last name for every object."""
    from django.db.models.functions import Reverse

    from benchmarks.people.models import Employee

    Employee.objects.update(last_name=Reverse("last_name"))


def _run(way: str, database: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.syncs", f"--way={way}"]
    environment = os.environ | {"BENCHMARK_DATABASE": database}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


def _measured(way: str) -> dict[str, float]:
    from benchmarks.one_way import peak

    ways: dict[str, Any] = {
        BARE_ONE: lambda: _bare_push(many=False),
        BARE_MANY: lambda: _bare_push(many=True),
        PUSH_ONE: lambda: _sync("push", "one", "updated"),
        PUSH_MANY: lambda: _sync("push", "many", "updated"),
        BARE_READ: _bare_read,
        IMPORT: lambda: _import("created"),
        RERUN: lambda: _import("unchanged"),
        PULL: lambda: _sync("pull", "many", "created"),
        PULL_AGAIN: lambda: _sync("pull", "many", "unchanged"),
        PUSH_AGAIN: lambda: _sync("push", "many", "unchanged"),
    }
    started = time.perf_counter()
    rows = ways[way]()
    return {"seconds": time.perf_counter() - started, "rows": rows, "peak": peak()}


def _objects() -> Iterator[list[dict[str, Any]]]:
    """Every object with what the mapping sends, a page at a time."""
    from benchmarks.people.mappings import EmployeesToShelf
    from benchmarks.people.models import Employee

    last, size = 0, EmployeesToShelf.page_size
    rows = Employee.objects.order_by("pk").values("pk", "last_name")
    while page := list(rows.filter(pk__gt=last)[:size]):
        yield page
        last = page[-1]["pk"]


def _bare_push(*, many: bool) -> int:
    """What changed is known and sent; nothing is remembered."""
    remote, sent = shelf.connect(), 0
    for page in _objects():
        changes = [(row["pk"], {"last_name": row["last_name"]}, None) for row in page]
        if many:
            remote.update_many("employees", changes)
        else:
            for key, values, _ in changes:
                remote.update("employees", key, values)
        sent += len(page)
    return sent


def _bare_read() -> int:
    from benchmarks.people.mappings import EmployeesToShelf

    pages = shelf.connect().pages("employees", size=EmployeesToShelf.page_size)
    return sum(len(page.rows) for page in pages)


def _import(outcome: str) -> int:
    from benchmarks.people.models import Employee
    from data_migration import Migration
    from data_migration.ledger import Ledger
    from data_migration.options import RunOptions
    from data_migration.outcomes import Mode
    from data_migration.plan.graph import build_plan
    from data_migration.run.runner import run_import

    class Employees(Migration):
        query = (
            "SELECT emp_no AS id, birth_date, first_name, last_name, gender, hire_date"
            " FROM employees ORDER BY emp_no"
        )
        model = Employee
        source = "legacy"
        legacy_key = "id"
        allow_updates = True

    plan = build_plan({"people.Employees": Employees})
    options = RunOptions(mode=Mode.COMMIT, update=outcome == "unchanged")
    done = run_import(plan, options, Ledger("default"))
    return _read(done.run, done.error, outcome)


def _sync(direction: str, account: str, outcome: str) -> int:
    from benchmarks.people.mappings import EmployeesToShelf
    from data_migration.models import Run
    from data_migration.outcomes import Mode
    from data_migration.sync import Plan
    from data_migration.sync.discovery import Syncs
    from data_migration.sync.options import SyncOptions
    from data_migration.sync.runner import run_sync

    plan = type("Shelves", (Plan,), {"mappings": [EmployeesToShelf], "connector": "shelf"})
    syncs = Syncs(
        plans={"people.Shelves": plan}, apps={EmployeesToShelf: "people"}, definitions=()
    ).select()
    remote = {"one": shelf.OneByOne, "many": shelf.Shelf}[account]
    run_sync(
        syncs,
        SyncOptions(mode=Mode.COMMIT, direction=direction),
        connect=lambda *_, **__: remote({"HOST": os.environ[shelf.VARIABLE]}),
    )
    return _read(Run.objects.latest("pk"), None, outcome)


def _read(run: Any, error: BaseException | None, outcome: str) -> int:
    """How many rows were read; each has to have this outcome."""
    if error is not None:
        raise error
    steps = list(run.steps.all())
    if run.status != "done" or any(getattr(step, outcome) != step.read for step in steps):
        raise SystemExit(f"run {run.pk} ended {run.status}: {[step.error for step in steps]}")
    return sum(step.read for step in steps)


if __name__ == "__main__":
    main()
