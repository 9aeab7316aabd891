"""``python -m benchmarks``: every way on every target, as one table of rates and ratios."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from typing import Any

import django

from tests.support.urls import VARIABLES

CASES = ("employee", "title", "m2m")
BASE = "hand-written"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rows", type=int, default=300_000, help="default: %(default)s")
    parser.add_argument("--repeat", type=int, default=2, help="best of; default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="few rows, once")
    parser.add_argument("--target", action="append", choices=("sqlite", *VARIABLES))
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rows, arguments.repeat = 20_000, 1
    targets = arguments.target or ["sqlite", *(t for t, v in VARIABLES.items() if v in os.environ)]
    print(
        f"Python {platform.python_version()}, Django {django.get_version()}, legacy SQLite,"
        f" {arguments.rows:,} rows, batch 2,000, best of {arguments.repeat}."
        f"\nRows per second, and the ratio to the {BASE} bulk_create loop of the same run.\n"
    )
    for target in targets:
        _print_table(target, _measure(target, arguments.rows, arguments.repeat))


def _measure(target: str, rows: int, repeat: int) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "benchmarks.one_target"]
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
        "DATA_MIGRATION_TEST_TARGET": target,
    }
    done = subprocess.run(
        [*command, f"--rows={rows}", f"--repeat={repeat}"],
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def _print_table(target: str, measured: list[dict[str, Any]]) -> None:
    rates = {(each["way"], each["case"]): each["rate"] for each in measured}
    print(f"{'-> ' + target:18}" + "".join(f"{case:>20}" for case in CASES))
    for way in dict.fromkeys(way for way, _ in rates):
        cells = "".join(
            f"{rates[way, case]:>12,.0f}  {rates[way, case] / rates[BASE, case]:>5.2f}x"
            for case in CASES
        )
        print(f"{way:18}{cells}")
    print(flush=True)


if __name__ == "__main__":
    main()
