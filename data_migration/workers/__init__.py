"""One step in ranges of keys, for several processes: here, or on any worker of the project.

Puts the parts of a step together in another way than the step itself; imports ``step`` and below.
"""

from __future__ import annotations

from .coordinator import RangeCoordinator
from .crew import Crew, crew_for
from .unsplit import why_not_split
from .worker import execute_range

__all__ = ["Crew", "RangeCoordinator", "crew_for", "execute_range", "why_not_split"]
