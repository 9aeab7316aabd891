"""How fast a patch in batches is against the loop that one writes by hand.

``python -m benchmarks.patches --rows 200000 --targets sqlite postgresql mysql``. Each way runs in
a process of its own, one after the other in every round; the seconds of a CPU count, those of
other processes that it started among them, since they depend less on who else is at work.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import django

from benchmarks.goals import line
from tests.support.urls import VARIABLES

BY_HAND, BY_PATCH, BY_TWO = "hand-written loop", "patch", "patch, 2 workers"
#: At least so many times as fast as by hand; two workers at most so much more work than one; and
#: at most so much more memory for all rows than for a fifth of them.
SPEED, WORK, MEMORY = 0.9, 1.15, 1.1
PART = 5


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.patches", description=__doc__)
    here = ["sqlite", *(name for name, variable in VARIABLES.items() if variable in os.environ)]
    parser.add_argument("--rows", type=int, default=200_000)
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
    with tempfile.TemporaryDirectory() as folder:
        name = f"bench_{os.getpid()}"
        database = str(Path(folder, f"{name}.sqlite3")) if target == "sqlite" else name
        environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
            "DATA_MIGRATION_TEST_TARGET": target,
            "BENCHMARK_DATABASE": database,
        }
        command = [sys.executable, "-m", "benchmarks.patches", "--measure"]
        command += [f"--rows={rows}", f"--repeat={repeat}"]
        subprocess.run(command, env=environment, check=True)


def _measure(rows: int, repeat: int) -> None:
    """Print a line for each way and each goal of this target."""
    from benchmarks import target

    here = os.environ["DATA_MIGRATION_TEST_TARGET"]
    names = [BY_HAND, BY_PATCH, *([BY_TWO] if here != "sqlite" else [])]
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    with target.database() as database:
        _fill(rows // PART)
        small = _run(BY_PATCH, database)
        target.clear()
        _fill(rows)
        _run(BY_HAND, database)  # not measured: new tables are slow at first
        for _ in range(repeat):
            for name in names:
                _forget()
                found[name].append(_run(name, database))
    middle = {
        name: {key: median(each[key] for each in rounds) for key in rounds[0]}
        for name, rounds in found.items()
    }
    print(f"{here}: {rows:,} rows, median of {repeat} rounds")
    for name, each in middle.items():
        print(
            f"  {name:20}{each['cpu']:8.2f} s of CPU{each['seconds']:8.2f} s"
            f"{rows / each['seconds']:>12,.0f} rows/s{each['peak'] / 2**20:8.0f} MiB"
        )
    speed = middle[BY_HAND]["cpu"] / middle[BY_PATCH]["cpu"]
    memory = middle[BY_PATCH]["peak"] / small["peak"]
    print(line("patch: as fast as by hand", here, f"{speed:.2f} of {SPEED}", speed >= SPEED))
    cells = f"{memory:.2f} of at most {MEMORY}"
    print(line("patch: memory does not grow", here, cells, memory <= MEMORY))
    if BY_TWO in middle:
        work = middle[BY_TWO]["cpu"] / middle[BY_PATCH]["cpu"]
        cells = f"{work:.2f} of at most {WORK}"
        print(line("patch: two workers do the work of one", here, cells, work <= WORK))


def _fill(rows: int) -> None:
    from benchmarks.people.models import Employee

    day = dt.date(1990, 1, 1)
    made = (
        Employee(
            pk=number,
            birth_date=day,
            first_name=f"Georgi {number % 1000}",
            last_name=f"Facello {number % 777}",
            gender="M",
            hire_date=day,
        )
        for number in range(1, rows + 1)
    )
    while batch := list(islice(made, 5_000)):
        Employee.objects.bulk_create(batch)


def _forget() -> None:
    """That the patch has run."""
    from data_migration.ledger.patches import PatchBook

    book = PatchBook("default")
    book.forget(book.records())


def _run(way: str, database: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.patches", f"--way={way}"]
    environment = os.environ | {"BENCHMARK_DATABASE": database}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


def _measured(way: str) -> dict[str, float]:
    from benchmarks.one_way import peak

    ways: dict[str, Any] = {
        BY_HAND: _by_hand,
        BY_PATCH: lambda: _by_patch(1),
        BY_TWO: lambda: _by_patch(2),
    }
    cpu, started = _cpu(), time.perf_counter()
    ways[way]()
    return {
        "seconds": time.perf_counter() - started,
        "cpu": _cpu() - cpu,
        "peak": peak(),
    }


def _cpu() -> float:
    """Of this process and of those that it started and that have ended."""
    of = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in of)


def _by_hand() -> None:
    from django.db import transaction

    from benchmarks.people.models import Employee

    for page in _pages(500):
        with transaction.atomic():
            for employee in page:
                employee.last_name = employee.last_name.swapcase()
            Employee.objects.bulk_update(page, ["last_name"])


def _pages(size: int) -> Iterator[Sequence[Any]]:
    from benchmarks.people.models import Employee

    last = 0
    while page := list(Employee.objects.filter(pk__gt=last).order_by("pk")[:size]):
        yield page
        last = page[-1].pk


def _by_patch(workers: int) -> None:
    from data_migration.outcomes import Mode
    from data_migration.patches.discovery import discover
    from data_migration.patches.options import PatchOptions
    from data_migration.patches.runner import run_patches

    done = run_patches(discover(), PatchOptions(mode=Mode.COMMIT, workers=workers))
    if done.error is not None:
        raise done.error


if __name__ == "__main__":
    main()
