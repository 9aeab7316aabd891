"""Measures every way on one target; prints a JSON list of measurements."""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import django


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--repeat", type=int, required=True)
    arguments = parser.parse_args()
    django.setup()
    from django.db import connection  # Django has to be set up first

    connection.creation.create_test_db(verbosity=0)
    try:
        with tempfile.TemporaryDirectory() as folder:
            json.dump(list(_measure(Path(folder), arguments.rows, arguments.repeat)), sys.stdout)
    finally:
        connection.creation.destroy_test_db(connection.settings_dict["NAME"], verbosity=0)


def _measure(folder: Path, rows: int, repeat: int) -> Iterator[dict[str, object]]:
    from benchmarks import legacy, ways  # Django has to be set up first

    part = max(rows // 20, 1000)
    whole, small = folder / "whole.sqlite3", folder / "part.sqlite3"
    legacy.build(whole, rows)
    legacy.build(small, part)
    ways.Department.objects.bulk_create(
        ways.Department(pk=number, name=f"Department {number}")
        for number in range(1, legacy.DEPARTMENTS + 1)
    )
    for case in (ways.EMPLOYEE, ways.M2M, ways.TITLE):
        if case is ways.TITLE:
            ways.EMPLOYEE.clear()
            ways.hand_written(ways.EMPLOYEE, whole)  # what the foreign keys refer to
        seconds: dict[str, list[float]] = {name: [] for name in ways.WAYS}
        # In turn, so that a machine that slows down slows all of them.
        for _ in range(repeat):
            for name in ways.WAYS:
                seconds[name].append(_time(name, case, small if name in ways.SLOW else whole))
        for name, times in seconds.items():
            count = part if name in ways.SLOW else rows
            yield {"case": case.name, "way": name, "rate": count / min(times)}
        case.clear()


def _time(name: str, case: object, path: Path) -> float:
    from benchmarks import ways  # Django has to be set up first

    assert isinstance(case, ways.Case)
    way = ways.WAYS[name]
    case.clear()
    if way.prepare is not None:
        way.prepare(case, path)
    gc.collect()
    started = time.perf_counter()
    way.run(case, path)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
