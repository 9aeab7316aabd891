"""How a run ended: its status, and what is said of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ..models import RunStep
from ..outcomes import RunStatus
from ..utils.wording import error_text

_BROKEN_OFF = (RunStatus.FAILED, RunStatus.INTERRUPTED)


def status_of(steps: Iterable[RunStep], error: BaseException | None) -> RunStatus:
    """The worst of its steps; failed where the run itself did."""
    statuses = {step.status for step in steps}
    for status in (RunStatus.INTERRUPTED, RunStatus.FAILED, RunStatus.PARTIAL):
        if status in statuses:
            return status
    return RunStatus.FAILED if error is not None else RunStatus.DONE


def problems_of(steps: Collection[RunStep], error: BaseException | None) -> list[str]:
    """Each sentence that says what went wrong with a run, once, in order."""
    told = [step.error for step in steps if step.error]
    if error is not None and not any(step.status in _BROKEN_OFF for step in steps):
        told.insert(0, error_text(error, "The run"))
    return list(dict.fromkeys(told))
