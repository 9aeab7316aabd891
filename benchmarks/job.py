"""What one measured process is asked to do, and what it answers."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from typing import Any

#: The environment variable that hands the job to the process, and to workers that it starts.
VARIABLE = "BENCHMARK_JOB"


class Absent(Exception):
    """A way does not exist here; the message says why."""


@dataclass(frozen=True)
class Job:
    """Run the module ``benchmarks.ways.<way>`` on a case; ``rows`` have to arrive."""

    way: str
    case: str
    rows: int
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def current(cls) -> Job | None:
        """The job of this process, ``None`` outside of the benchmarks."""
        text = os.environ.get(VARIABLE)
        return cls(**json.loads(text)) if text else None

    def environment(self) -> dict[str, str]:
        return {VARIABLE: json.dumps(asdict(self))}


@dataclass(frozen=True)
class Answer:
    """``seconds`` of wall time and ``peak`` memory in bytes; or why there is nothing.

    ``statements`` are counted by the way of that name only.
    """

    seconds: float = 0.0
    peak: int = 0
    statements: int = 0
    absent: str = ""
