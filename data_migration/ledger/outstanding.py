"""What is still to come of migrations: rows that were not read yet, and rows that failed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from ..models import MigrationState, RowError
from ..rows.keys import alternative, key_hash
from ..utils.chunks import chunks
from .messages import open_failures
from .steps import FINISHED, StepLedger

_CHUNK = 500


class Reason(NamedTuple):
    """Why an object may still come: a clause, ``shop.CustomerMigration has not run yet``.

    ``is_limit``: since ``--limit`` of this run left rows unread.
    """

    text: str
    is_limit: bool = False


class Outstanding:
    """What is outstanding of the migrations that others refer to, as one step of a run sees it.

    ``ledger`` has what the run did so far and did not store. ``own`` is the label of the step
    itself, which is going on: whether it leaves rows unread, ``is_own_unread`` tells.
    """

    def __init__(
        self, ledger: StepLedger, *, own: str = "", is_own_unread: Callable[[], bool] = bool
    ) -> None:
        self._ledger = ledger
        self._database = ledger.database
        self._own = own
        self._is_own_unread = is_own_unread
        #: By label. While a step is going on, that of no other migration changes.
        self._known: dict[str, Reason | None] = {}

    def reason(self, labels: Iterable[str]) -> Reason | None:
        """Why an object that is not there may still come from these migrations.

        None where they have done all that they can do.
        """
        for label in labels:
            if label == self._own:
                reason = self._reason(label, is_unread=self._is_own_unread())
            else:
                if label not in self._known:
                    read = MigrationState.objects.using(self._database).filter(is_read=True)
                    is_unread = not read.filter(label=label).exists()
                    self._known[label] = self._reason(label, is_unread=is_unread)
                reason = self._known[label]
            if reason is not None:
                return reason
        return None

    def failures(self, labels: Sequence[str], keys: Collection[Any]) -> dict[Any, RowError]:
        """Those of these legacy keys whose rows have failed, with what was said of it."""
        hashes: dict[str, Any] = {}
        for key in keys:
            with suppress(TypeError):  # a value that is no key of anything
                hashes |= {key_hash(form): key for form in _forms(key)}
        found = self._failed(labels, hashes)
        return {hashes[each.key_hash.hex]: each for each in found if each.key_hash is not None}

    def _failed(self, labels: Sequence[str], hashes: Collection[str]) -> Iterator[RowError]:
        rows = open_failures(self._database).filter(migration__label__in=labels)
        for chunk in chunks(sorted(hashes), _CHUNK):
            yield from rows.filter(key_hash__in=chunk).order_by("pk")
        for messages in self._ledger.messages_of(labels):
            yield from messages.unsaved_failures(hashes)

    def _reason(self, label: str, *, is_unread: bool) -> Reason | None:
        if is_unread and (limit := self._limit_of(label)):
            return Reason(f"only the first rows of {label} were read (--limit {limit})", True)
        if is_unread:
            states = MigrationState.objects.using(self._database).filter(label=label)
            has_begun = states.filter(pass_run__isnull=False).exists()
            return Reason(
                f"{label} {'was not read to its end' if has_begun else 'has not run yet'}"
            )
        rows = open_failures(self._database).filter(migration__label=label)
        unsaved = (messages.has_unsaved_failures for messages in self._ledger.messages_of([label]))
        return Reason(f"rows of {label} have failed") if any(unsaved) or rows.exists() else None

    def _limit_of(self, label: str) -> int | None:
        """The ``--limit`` under which this run has read a migration, or reads it."""
        step = self._ledger.step_of(label)
        if step is None or not (step.status in FINISHED or label == self._own):
            return None
        limit: int | None = step.run.options.get("limit")
        return limit


def _forms(key: Any) -> list[Any]:
    other = alternative(key)
    return [key] if other is None else [key, other]
