"""dlt: extracts, normalizes and loads into tables of its own, through no model."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.db import connection

from benchmarks import legacy
from benchmarks.cases import BATCH, Case
from benchmarks.job import Absent
from tests.support.urls import ServerURL

DATASET = "benchmark_dlt"


def prepare(case: Case) -> None:
    if connection.vendor != "postgresql":
        raise Absent("measured into PostgreSQL")
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    try:
        import dlt  # noqa: F401 - importing it is not a part of the measured time
    except ImportError as error:
        raise Absent('not installed: pip install "dlt[postgres]"') from error
    drop()


def drop() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DROP SCHEMA IF EXISTS {DATASET} CASCADE")
        cursor.execute(f"DROP SCHEMA IF EXISTS {DATASET}_staging CASCADE")


def _pages(case: Case) -> Iterator[list[dict[str, Any]]]:
    rows = legacy.dicts(case.query(legacy.engine(legacy.here())), BATCH)
    while batch := list(islice(rows, BATCH)):
        for row in batch:
            if case.m2m:
                row[case.m2m] = row[case.m2m].split(",")  # becomes a child table
        yield batch


def run(case: Case) -> None:
    import dlt

    server = ServerURL.from_environment("postgresql")
    assert server is not None
    url = str(server.with_database(str(connection.settings_dict["NAME"])))
    with tempfile.TemporaryDirectory() as folder:
        pipeline = dlt.pipeline(
            "benchmark",
            pipelines_dir=folder,
            destination=dlt.destinations.postgres(credentials=url),
            dataset_name=DATASET,
        )
        pipeline.run(_pages(case), table_name=case.name)


def count(case: Case) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {DATASET}.{case.name}")
        (found,) = cursor.fetchone()
    drop()
    return int(found)
