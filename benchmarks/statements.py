"""What bad rows cost: INSERTs for 10,000 rows with three bad ones, and with none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, log2

from benchmarks.cases import BATCH
from benchmarks.goals import line

ROWS = 10_000
BAD = 3
#: How many more than without bad rows: each is found by halving its batch.
LIMIT = BAD * 2 * ceil(log2(BATCH))


@dataclass(frozen=True)
class Statements:
    """How often one writer wrote to the model's table on one target."""

    target: str
    writer: str
    without: int
    with_bad: int


def goals(found: list[Statements]) -> Iterator[str]:
    for each in found:
        more = each.with_bad - each.without
        text = f"{each.writer}: {BAD} bad rows of {ROWS:,}"
        cells = f"{more} INSERTs or COPYs more ({each.without} without), at most {LIMIT}"
        yield line(text, each.target, cells, more <= LIMIT)
