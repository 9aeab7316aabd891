"""How fast the import is against other ways, as ratios of one run: ``make bench``."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import goals, scaling, sources, statements, table
from benchmarks.cases import CASES
from benchmarks.measurement import Measurement, Results
from benchmarks.one_target import PART
from benchmarks.registry import BASE, ours, ways
from benchmarks.statements import BAD, ROWS, Statements
from benchmarks.versions import versions
from tests.support.urls import VARIABLES

SCALED = (BASE, ours("bulk", links=True), "copy", ours("copy", links=True))


def main() -> None:
    arguments = _arguments()
    if arguments.list:
        print("\n".join(_chosen(arguments)))
        return
    print(f"{table.head(found := versions(arguments.targets))}\n", flush=True)
    document = _scale(arguments) if arguments.scaling else _compare(arguments)
    if arguments.json:
        document["versions"] = found
        arguments.json.write_text(json.dumps(document, indent=2) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    here = ["sqlite", *(name for name, variable in VARIABLES.items() if variable in os.environ)]
    add("--list", action="store_true", help="print the names of the ways and stop")
    add("--only", metavar="PATTERN", help="ways whose name has this regular expression in it")
    add("--rows", type=int, help="of each table; default: 50,000")
    add("--repeat", type=int, help="rounds, of which the median counts; default: 3")
    add("--targets", nargs="+", choices=("sqlite", *VARIABLES), default=here)
    add("--cases", nargs="+", choices=tuple(CASES), help="default: all")
    add("--source", choices=sources.ENGINES, default="sqlite", help="default: %(default)s")
    add("--json", type=Path, metavar="FILE", help="write everything there as well")
    add("--quick", action="store_true", help="few rows, one round, the important ways")
    add("--scaling", action="store_true", help="more and more rows instead; takes long")
    add("--sizes", type=int, nargs="+", default=scaling.SIZES, help="rows of --scaling")
    arguments = parser.parse_args()
    small = arguments.quick or arguments.scaling
    arguments.rows = arguments.rows or (5_000 if arguments.quick else 50_000)
    arguments.repeat = arguments.repeat or (1 if small else 3)
    arguments.cases = arguments.cases or (["employee"] if arguments.scaling else list(CASES))
    return arguments


def _chosen(arguments: argparse.Namespace) -> list[str]:
    """The names of the ways to measure; the base of the ratios is always among them."""
    known = ways()
    if arguments.only:
        pattern = re.compile(arguments.only, re.IGNORECASE)
        return [name for name in known if pattern.search(name) or name == BASE]
    if arguments.scaling:
        return [name for name in SCALED if name in known]
    return [name for name, way in known.items() if way.quick or not arguments.quick]


def _compare(arguments: argparse.Namespace) -> dict[str, Any]:
    count = not (arguments.quick or arguments.only)
    print(
        f"Legacy database {arguments.source}, {arguments.rows:,} rows, median of"
        f" {arguments.repeat} interleaved rounds.\n* one round only, if slow on a tenth of the"
        f" rows; ~ rounds more than {table.UNSTEADY} apart.\nThe ratio is to the {BASE} of the"
        " same run.\n"
    )
    sizes = {"whole": arguments.rows, "part": arguments.rows // PART}
    sizes |= {"good": ROWS, "bad": ROWS} if count else {}
    measured: list[Measurement] = []
    counted: list[Statements] = []
    with sources.built(arguments.source, sizes, {"bad": BAD}) as addresses:
        for target in arguments.targets:
            found = _measure(target, arguments, addresses, arguments.rows)
            measured += found[0]
            counted += found[1]
            print(f"{table.table(Results(found[0]), target)}\n", flush=True)
    results = Results(measured)
    lines = [line for goal in goals.GOALS for line in goal.lines(results)]
    lines += statements.goals(counted)
    if not count:  # only a part was asked for
        lines = [line for line in lines if not line.startswith(goals.WORDS[None])]
    print("\n".join([*table.absences(results), "", *lines]))
    return _document(measured, lines) | {"statements": [asdict(each) for each in counted]}


def _scale(arguments: argparse.Namespace) -> dict[str, Any]:
    measured: list[Measurement] = []
    for rows in sorted(arguments.sizes):
        sizes = {"whole": rows, "part": rows // PART}
        with sources.built(arguments.source, sizes, {}) as addresses:
            for target in arguments.targets:
                measured += _measure(target, arguments, addresses, rows)[0]
        print(f"{rows:,} rows measured", file=sys.stderr, flush=True)
    lines = list(scaling.goals(measured))
    print("\n".join([*scaling.lines(measured), "", *lines]))
    return _document(measured, lines)


def _document(measured: Sequence[Measurement], lines: Sequence[str]) -> dict[str, Any]:
    return {"measurements": [asdict(each) for each in measured], "goals": list(lines)}


def _measure(
    target: str, arguments: argparse.Namespace, addresses: dict[str, str], rows: int
) -> tuple[list[Measurement], list[Statements]]:
    command = [sys.executable, "-m", "benchmarks.one_target", f"--rows={rows}"]
    command += [f"--repeat={arguments.repeat}"]
    command += [f"--{name}={address}" for name, address in addresses.items()]
    command += [f"--case={name}" for name in arguments.cases]
    command += [f"--way={name}" for name in _chosen(arguments)]
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
        "DATA_MIGRATION_TEST_TARGET": target,
        "BENCHMARK_DATABASE": _database(target, next(iter(addresses.values()))),
    }
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=False, text=True)
    if done.returncode:
        raise SystemExit(done.returncode)
    document = json.loads(done.stdout)
    return (
        [Measurement(**each) for each in document["measurements"]],
        [Statements(**each) for each in document["statements"]],
    )


def _database(target: str, beside: str) -> str:
    """The target's name: a file in the folder of the legacy database, or one on the server."""
    name = f"bench_{os.getpid()}"
    if target != "sqlite":
        return name
    return str(Path(beside).with_name(f"{name}.sqlite3"))


if __name__ == "__main__":
    main()
