"""What a user asks of a run, as one value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .exceptions import SpecError
from .outcomes import Mode, OnError

#: The largest number of rows, of a run, of a message that is taken; every database can hold it.
LARGEST = 10**18 - 1


def never() -> bool:
    return False


def silent(text: object) -> None:
    """Drop a message that nobody listens to."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MaxErrors:
    """How many rows may fail: a number of the run, or a percentage of each migration's rows."""

    count: int | None = None
    percent: float | None = None

    @classmethod
    def parse(cls, text: str) -> MaxErrors:
        """Read ``N`` or ``P%``. Raises :exc:`SpecError`."""
        try:
            limit = cls(percent=float(text[:-1])) if text.endswith("%") else cls(count=int(text))
        except ValueError:
            limit = cls(count=-1)
        if not 0 <= (limit.count or 0) <= LARGEST or not 0 <= (limit.percent or 0) <= 100:
            raise SpecError(
                f"--max-errors takes a number or a percentage such as 5%, not {text[:40]!r}."
            )
        return limit

    def is_exceeded(self, *, failed: int, failed_in_step: int, rows: int | None) -> bool:
        """Whether that many failures are too many; ``rows`` is the migration's total if known."""
        if self.percent is None:
            return failed > (self.count or 0)
        # Where nobody knows the total, the share of the rows is known at the end only.
        return rows is not None and failed_in_step * 100 > self.percent * rows

    def __str__(self) -> str:
        return f"{self.count}" if self.percent is None else f"{self.percent:g}%"


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOptions:
    """The options of one run. ``batch_size`` overrides every migration's own.

    ``labels`` are the apps and migrations that were chosen, all without one, and ``exclude``
    those that were left out.
    """

    mode: Mode = Mode.REHEARSAL
    database: str = "default"
    labels: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    on_error: OnError = OnError.STOP
    max_errors: MaxErrors | None = None
    limit: int | None = None
    batch_size: int | None = None
    update: bool = False
    #: Compare every row with its object: no high-water mark, no digests.
    full: bool = False
    #: Read only the rows that failed before.
    retry_failed: bool = False
    #: With ``retry_failed``: of them only those of these messages, by number.
    failures: tuple[int, ...] = ()
    #: With ``retry_failed``: the rows with these keys instead.
    keys: tuple[Any, ...] = ()
    #: Delete objects of rows that are gone although they are more than ``removed_limit`` allows.
    force_removal: bool = False
    #: How many processes share the rows of a step.
    workers: int = 1
    #: Hands a range, by its number, over to workers anywhere; None for processes of this host.
    enqueue: Callable[[int], None] | None = field(default=None, repr=False)
    #: Asked after each batch; True ends the run cleanly.
    should_stop: Callable[[], bool] = field(default=never, repr=False)
    #: Receives each migration's label and query before it is read.
    log_query: Callable[[str, str], None] | None = field(default=None, repr=False)
    #: Receives what a person should know at once.
    warn: Callable[[str], None] = field(default=silent, repr=False)

    def __post_init__(self) -> None:
        """Raise :exc:`SpecError` for a number of rows or of workers that makes no sense."""
        for name, most in _MOST.items():
            value = getattr(self, name)
            if value is not None and not (type(value) is int and 1 <= value <= most):
                option = f"--{name.replace('_', '-')}"
                raise SpecError(f"{option} takes a whole number from 1 to {most:,}.")

    def recorded(self) -> dict[str, Any]:
        """The part that the ledger keeps with the run, which has mode and database itself."""
        return {
            "labels": list(self.labels),
            "exclude": list(self.exclude),
            "on_error": self.on_error.value,
            "max_errors": str(self.max_errors) if self.max_errors else None,
            "limit": self.limit,
            "batch_size": self.batch_size,
            "update": self.update,
            "full": self.full,
            "retry_failed": self.retry_failed,
            "failures": list(self.failures),
            "force_removal": self.force_removal,
            "workers": self.workers,
            "distribute": self.enqueue is not None,
        }

    @classmethod
    def from_recorded(
        cls, recorded: Mapping[str, Any], *, mode: str, database: str, **callbacks: Any
    ) -> RunOptions:
        """What :meth:`recorded` gave, as options again. ``callbacks`` are the fields it left out.

        Raises :exc:`SpecError` for a value that no option has.
        """
        values = {name: recorded[name] for name in _AS_THEY_ARE if name in recorded}
        if recorded.get("distribute"):
            values["workers"] = 1  # how ranges were handed over cannot be recorded
        max_errors = recorded.get("max_errors")
        try:
            return cls(
                mode=Mode(mode),
                database=database,
                labels=tuple(recorded.get("labels") or ()),
                exclude=tuple(recorded.get("exclude") or ()),
                failures=tuple(recorded.get("failures") or ()),
                on_error=OnError(recorded.get("on_error") or OnError.STOP),
                max_errors=MaxErrors.parse(max_errors) if max_errors else None,
                **values,
                **callbacks,
            )
        except ValueError as error:
            raise SpecError(f"The recorded options cannot be used: {error}.") from error


#: How large a number may be: a batch is held in memory, and workers are processes or ranges.
_MOST = {"limit": LARGEST, "batch_size": 1_000_000, "workers": 1_000}

_AS_THEY_ARE = (
    "limit",
    "batch_size",
    "update",
    "full",
    "retry_failed",
    "force_removal",
    "workers",
)
