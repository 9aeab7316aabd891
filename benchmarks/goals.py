"""What the project wants to reach, as ratios within one run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks.measurement import Results
from benchmarks.registry import ANCESTOR, BASE, ours, rerun

WORDS = {True: "reached", False: "NOT REACHED", None: "not measured"}
_EVERY = ("employee", "m2m", "title")


@dataclass(frozen=True)
class Goal:
    """``way`` is at least ``floors[case]`` times as fast as ``base``, on each of the targets."""

    text: str
    way: str
    base: str
    floors: Mapping[str, float]
    targets: tuple[str, ...] = ("sqlite", "postgresql", "mysql")

    def lines(self, results: Results) -> Iterator[str]:
        """One for each target that was measured."""
        for target in self.targets:
            if target in results.targets():
                yield self._line(results, target)

    def _line(self, results: Results, target: str) -> str:
        ratios = {case: results.ratio(target, case, self.way, self.base) for case in self.floors}
        found = {case: ratio for case, ratio in ratios.items() if ratio is not None}
        cells = ", ".join(
            f"{case} {ratio:.2f} of {self.floors[case]:g}" for case, ratio in found.items()
        )
        reached = all(ratio >= self.floors[case] for case, ratio in found.items())
        return line(self.text, target, cells, reached if found else None)


def line(text: str, target: str, cells: str, reached: bool | None) -> str:
    """``None``: it was not measured."""
    return f"{WORDS[reached]:13}{text:52}{target:12}{cells}".rstrip()


def _each(floor: float) -> dict[str, float]:
    return dict.fromkeys(_EVERY, floor)


_POSTGRESQL = ("postgresql",)
_OTHERS = ("sqlite", "mysql")
_HOOKS, _BOTH = ours("bulk", hooks=True), ours("bulk", hooks=True, links=True)
GOALS = (
    Goal("bulk, hooks: 1.0 of the hand-written loop", _HOOKS, BASE, _each(1.0)),
    Goal("bulk, hooks, links: 0.65 of the hand-written loop", _BOTH, BASE, _each(0.65)),
    Goal(
        "copy: 4, 2.5, 2 times the hand-written loop",
        "copy",
        BASE,
        {"employee": 4.0, "title": 2.5, "m2m": 2.0},
        _POSTGRESQL,
    ),
    Goal(
        "copy, links: 2.5, 1.8, 1.5 times",
        ours("copy", links=True),
        BASE,
        {"employee": 2.5, "title": 1.8, "m2m": 1.5},
        _POSTGRESQL,
    ),
    Goal("bulk: 1.5 times the hand-written loop", "bulk", BASE, _each(1.5), ("sqlite",)),
    Goal(
        "unchanged rerun: a quarter of the first import",
        rerun("bulk"),
        ours("bulk", links=True),
        {"employee": 4.0},
    ),
    Goal("bulk, hooks: 10 times the ancestor", _HOOKS, ANCESTOR, _each(10.0)),
    Goal("copy: 40 times the ancestor", "copy", ANCESTOR, _each(40.0), _POSTGRESQL),
    Goal("bulk: 40 times the ancestor", "bulk", ANCESTOR, _each(40.0), _OTHERS),
    *(
        Goal(
            f"{writer}, two workers: 1.7 times one",
            ours(writer, links=True, workers=2),
            ours(writer, links=True),
            _each(1.7),
            targets,
        )
        for writer, targets in (("bulk", ("postgresql", "mysql")), ("copy", _POSTGRESQL))
    ),
)
