"""The results as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from benchmarks.measurement import Measurement, Results
from benchmarks.registry import BASE, ways

#: Rounds further apart than this are marked: the machine did something else meanwhile.
UNSTEADY = 1.25
_WIDTH = 32
_CELL = 32


def head(versions: Mapping[str, str]) -> str:
    return "\n".join(f"{name:24}{value}" for name, value in versions.items())


def table(results: Results, target: str) -> str:
    """Rows per second, the ratio to the hand-written loop, and MiB of each way on a target."""
    cases = results.cases()
    lines = [
        f"{'-> ' + target:{_WIDTH}}" + "".join(f"{case:>{_CELL}}" for case in cases),
        " " * _WIDTH + f"{'rows/s':>15}{'ratio':>8}{'MiB':>7}  " * len(cases),
    ]
    for way in results.ways(target):
        found = [results.get(target, case, way) for case in cases]
        if any(found):
            cells = "".join(_cell(results, each) for each in found)
            star = " *" if ways()[way].slow or ways()[way].once else ""
            lines.append(f"{way + star:{_WIDTH}}{cells}".rstrip())
    return "\n".join(lines)


def _cell(results: Results, one: Measurement | None) -> str:
    if one is None:
        return f"{'-':>15}{'-':>8}{'-':>7}  "
    ratio = results.ratio(one.target, one.case, one.way, BASE)
    times = "-" if ratio is None else f"{ratio:.2f}"
    mark = "~" if one.spread > UNSTEADY else " "
    return f"{one.rate:>15,.0f}{times:>8}{one.peak / 2**20:>7,.0f}{mark} "


def absences(results: Results) -> Iterator[str]:
    """One line for each way that is not there."""
    for name, reason in results.absences().items():
        yield f"not measured  {name}: {reason}"
