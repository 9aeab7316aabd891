"""Whether cost grows linearly and memory not at all: the same way on more and more rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.goals import line
from benchmarks.measurement import Measurement

SIZES = (30_000, 300_000, 3_000_000)
#: Of the last size against the one before: more memory than this, fewer rows per second.
MEMORY, RATE = 1.10, 0.90


def lines(found: Sequence[Measurement]) -> Iterator[str]:
    """A table of rows per second and MiB by size."""
    sizes = sorted({each.rows for each in found})
    yield f"{'rows/s and MiB of':40}" + "".join(f"{size:>20,}" for size in sizes)
    for name, series in _series(found).items():
        cells = {each.rows: f"{each.rate:,.0f} {each.peak / 2**20:>6,.0f}" for each in series}
        yield f"{name:40}" + "".join(f"{cells.get(size, '-'):>20}" for size in sizes)


def goals(found: Sequence[Measurement]) -> Iterator[str]:
    """Of every way with at least two sizes: memory and speed of the largest to the one before."""
    for series in _series(found).values():
        if len(series) < 2:
            continue
        before, last = series[-2:]
        name = f"{last.case}, {last.way}, {last.rows:,} rows to {before.rows:,}"
        memory, rate = last.peak / before.peak, last.rate / before.rate
        cells = f"{memory:.2f} of at most {MEMORY:.2f}, {name}"
        yield line("peak memory does not grow", last.target, cells, memory <= MEMORY)
        cells = f"{rate:.2f} of at least {RATE:.2f}, {name}"
        yield line("cost grows linearly", last.target, cells, rate >= RATE)


def _series(found: Sequence[Measurement]) -> dict[str, list[Measurement]]:
    series: dict[str, list[Measurement]] = {}
    for each in sorted(found, key=lambda one: one.rows):
        if each.seconds:
            series.setdefault(f"{each.target} {each.case} {each.way}", []).append(each)
    return series
