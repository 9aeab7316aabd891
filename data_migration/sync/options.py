"""What is asked of a run of syncs, as one value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..exceptions import SpecError
from ..options import LARGEST, MaxErrors, RunOptions, never, silent
from ..outcomes import Mode, OnError
from ..spec.terms import OURS, THEIRS
from .words import DIRECTIONS, SYNC


@dataclass(frozen=True, kw_only=True, slots=True)
class SyncOptions:
    """``labels`` are plans, apps and mappings, all without one; ``connector`` is the account, that
    of each plan without one. ``direction`` narrows those of the mappings.

    ``keys`` are remote keys as text: only these rows, and the objects linked to them. ``settle``
    says of fields in conflict, by the model's name, whose value counts; for ``keys`` only.
    """

    mode: Mode = Mode.REHEARSAL
    database: str = "default"
    labels: tuple[str, ...] = ()
    connector: str = ""
    direction: str = SYNC
    keys: tuple[str, ...] = ()
    settle: Mapping[str, str] = field(default_factory=dict)
    #: Compare everything, whatever the mark says.
    full: bool = False
    #: Only rows and objects that failed before.
    retry_failed: bool = False
    #: Of each mapping, in each direction, at most so many.
    limit: int | None = None
    #: Delete more than ``removed_limit`` and ``deleted_limit`` allow.
    force_removal: bool = False
    on_error: OnError = OnError.CONTINUE
    max_errors: MaxErrors | None = None
    #: How many changes a rehearsal shows of each mapping.
    diff: int = 5
    #: Asked after each batch; True ends the run cleanly.
    should_stop: Callable[[], bool] = field(default=never, repr=False)
    #: Receives what a person should know at once.
    warn: Callable[[str], None] = field(default=silent, repr=False)

    def __post_init__(self) -> None:
        """Raise :exc:`SpecError` for what makes no sense."""
        if self.limit is not None and not (type(self.limit) is int and 1 <= self.limit <= LARGEST):
            raise SpecError(f"--limit takes a whole number from 1 to {LARGEST:,}.")
        if self.direction not in DIRECTIONS:
            raise SpecError(f"A direction is one of {', '.join(DIRECTIONS)}.")
        if self.keys and self.retry_failed:
            raise SpecError("--keys and --retry-failed each choose rows: leave one of them out.")
        if self.settle and not self.keys:
            raise SpecError("A conflict is settled for the rows that --keys names.")
        if not {*self.settle.values()} <= {OURS, THEIRS}:
            raise SpecError(f"A conflict is settled as {OURS!r} or as {THEIRS!r}.")

    @property
    def of_pull(self) -> RunOptions:
        """The same for the import that a pull is."""
        return RunOptions(
            mode=self.mode,
            database=self.database,
            update=True,
            full=self.full,
            retry_failed=self.retry_failed or bool(self.keys),
            keys=tuple(key for text in self.keys for key in _readings(text)),
            limit=self.limit,
            force_removal=self.force_removal,
            on_error=self.on_error,
            max_errors=self.max_errors,
            should_stop=self.should_stop,
            warn=self.warn,
        )

    def recorded(self) -> dict[str, Any]:
        """The part that the ledger keeps with the run, which has mode and database itself."""
        return {
            **{name: getattr(self, name) for name in _AS_THEY_ARE},
            "labels": list(self.labels),
            "keys": list(self.keys),
            "settle": dict(self.settle),
            "on_error": self.on_error.value,
            "max_errors": str(self.max_errors) if self.max_errors else None,
        }

    @classmethod
    def from_recorded(
        cls, recorded: Mapping[str, Any], *, mode: str, database: str, **callbacks: Any
    ) -> SyncOptions:
        """What :meth:`recorded` gave, as options again. ``callbacks`` are the fields it left out.

        Raises :exc:`SpecError` for a value that no option has.
        """
        max_errors = recorded.get("max_errors")
        try:
            return cls(
                mode=Mode(mode),
                database=database,
                labels=tuple(recorded.get("labels") or ()),
                keys=tuple(recorded.get("keys") or ()),
                settle=dict(recorded.get("settle") or {}),
                on_error=OnError(recorded.get("on_error") or OnError.CONTINUE),
                max_errors=MaxErrors.parse(max_errors) if max_errors else None,
                **{name: recorded[name] for name in _AS_THEY_ARE if name in recorded},
                **callbacks,
            )
        except ValueError as error:
            raise SpecError(f"The recorded options cannot be used: {error}.") from error


def _readings(text: str) -> list[Any]:
    """The keys that a person may mean by a text: a number is one, and a text of digits."""
    is_number = text.isascii() and text.isdecimal() and str(int(text)) == text
    return [text, int(text)] if is_number else [text]


_AS_THEY_ARE = (
    *("connector", "direction", "full", "retry_failed", "limit", "force_removal", "diff"),
)
