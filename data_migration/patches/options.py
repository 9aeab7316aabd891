"""What is asked of a run of patches, as one value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..exceptions import SpecError
from ..options import LARGEST, MaxErrors, never, silent
from ..outcomes import Mode, OnError

#: When a patch runs: before or after Django's ``migrate``.
BEFORE, AFTER = "before", "after"
PHASES = (BEFORE, AFTER)


@dataclass(frozen=True, kw_only=True, slots=True)
class PatchOptions:
    """``labels`` are apps and patches, all without one; ``force`` are labels of patches that are
    to run again although they are done. ``phase`` is one of :data:`PHASES`, or None for both.

    ``with_always``: what runs every time is due as well, as it is around ``migrate``.
    """

    mode: Mode = Mode.REHEARSAL
    database: str = "default"
    labels: tuple[str, ...] = ()
    force: tuple[str, ...] = ()
    phase: str | None = None
    with_always: bool = False
    on_error: OnError = OnError.STOP
    max_errors: MaxErrors | None = None
    #: Of each patch at most so many objects.
    limit: int | None = None
    #: Only objects that failed before.
    retry_failed: bool = False
    #: Go on with other patches when one fails, but for what depends on it.
    skip_failing: bool = False
    #: How many processes share the objects of a patch.
    workers: int = 1
    #: Asked after each batch; True ends the run cleanly.
    should_stop: Callable[[], bool] = field(default=never, repr=False)
    #: Receives what a person should know at once.
    warn: Callable[[str], None] = field(default=silent, repr=False)

    def __post_init__(self) -> None:
        """Raise :exc:`SpecError` for a number that makes no sense."""
        for name, most in (("limit", LARGEST), ("workers", 1_000)):
            value = getattr(self, name)
            if value is not None and not (type(value) is int and 1 <= value <= most):
                raise SpecError(f"--{name} takes a whole number from 1 to {most:,}.")

    def recorded(self) -> dict[str, Any]:
        """The part that the ledger keeps with the run, which has mode and database itself."""
        return {
            **{name: getattr(self, name) for name in _AS_THEY_ARE},
            "labels": list(self.labels),
            "force": list(self.force),
            "on_error": self.on_error.value,
            "max_errors": str(self.max_errors) if self.max_errors else None,
        }

    @classmethod
    def from_recorded(
        cls, recorded: Mapping[str, Any], *, mode: str, database: str, **callbacks: Any
    ) -> PatchOptions:
        """What :meth:`recorded` gave, as options again. ``callbacks`` are the fields it left out.

        Raises :exc:`SpecError` for a value that no option has.
        """
        max_errors = recorded.get("max_errors")
        try:
            return cls(
                mode=Mode(mode),
                database=database,
                labels=tuple(recorded.get("labels") or ()),
                force=tuple(recorded.get("force") or ()),
                on_error=OnError(recorded.get("on_error") or OnError.STOP),
                max_errors=MaxErrors.parse(max_errors) if max_errors else None,
                **{name: recorded[name] for name in _AS_THEY_ARE if name in recorded},
                **callbacks,
            )
        except ValueError as error:
            raise SpecError(f"The recorded options cannot be used: {error}.") from error


_AS_THEY_ARE = ("phase", "with_always", "limit", "retry_failed", "skip_failing", "workers")
