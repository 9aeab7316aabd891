"""What was measured, and the median of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median


@dataclass
class Measurement:
    """One way on one case of one target: seconds of every round, and the memory."""

    target: str
    case: str
    way: str
    rows: int
    seconds: list[float] = field(default_factory=list)
    peaks: list[int] = field(default_factory=list)
    absent: str = ""

    @property
    def rate(self) -> float:
        """Rows per second of the middle round."""
        return self.rows / median(self.seconds)

    @property
    def peak(self) -> float:
        """Bytes of the middle round."""
        return median(self.peaks)

    @property
    def spread(self) -> float:
        """The slowest round to the fastest: how much to believe."""
        return max(self.seconds) / min(self.seconds)


class Results:
    """All measurements of a run, found by target, case and way."""

    def __init__(self, measurements: list[Measurement]) -> None:
        self.measurements = measurements
        self._found = {(each.target, each.case, each.way): each for each in measurements}

    def get(self, target: str, case: str, way: str) -> Measurement | None:
        """``None`` for what was not measured."""
        found = self._found.get((target, case, way))
        return found if found and found.seconds else None

    def ratio(self, target: str, case: str, way: str, base: str) -> float | None:
        """How many times as fast as ``base`` in the same run, ``None`` if either is missing."""
        one, other = self.get(target, case, way), self.get(target, case, base)
        return one.rate / other.rate if one and other else None

    def targets(self) -> list[str]:
        return list(dict.fromkeys(each.target for each in self.measurements))

    def cases(self) -> list[str]:
        return list(dict.fromkeys(each.case for each in self.measurements))

    def ways(self, target: str) -> list[str]:
        return list(dict.fromkeys(m.way for m in self.measurements if m.target == target))

    def absences(self) -> dict[str, str]:
        """``"target: way"`` -> why it was not measured."""
        return {f"{m.target}: {m.way}": m.absent for m in self.measurements if m.absent}
