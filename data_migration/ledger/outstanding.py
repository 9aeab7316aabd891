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

    ``is_limit``: since ``--limit`` of this run left rows unread. ``is_known``: all that is to come
    are rows that have failed, and the keys of all of them are known.
    """

    text: str
    is_limit: bool = False
    is_known: bool = False


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
        #: By label and what changes it: of the step going on its failures, of others nothing.
        self._known: dict[tuple[str, bool, int], Reason | None] = {}

    def reason(self, labels: Iterable[str]) -> Reason | None:
        """Why an object that is not there may still come from these migrations.

        None where they have done all that they can do.
        """
        found = [reason for label in labels if (reason := self._reason_of(label)) is not None]
        # The one that leaves most open, since it speaks for all of them.
        return min(found, key=lambda reason: reason.is_known, default=None)

    def _reason_of(self, label: str) -> Reason | None:
        is_unread, failed = False, 0
        if label == self._own and (step := self._ledger.step_of(label)) is not None:
            is_unread, failed = self._is_own_unread(), step.failed
        known = (label, is_unread, failed)
        if known not in self._known:
            if label != self._own:
                read = MigrationState.objects.using(self._database).filter(is_read=True)
                is_unread = not read.filter(label=label).exists()
            self._known[known] = self._reason(label, is_unread=is_unread)
        return self._known[known]

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
            text = f"only the first rows of {label} were read (--limit {limit})"
            return Reason(text, is_limit=True)
        if is_unread:
            states = MigrationState.objects.using(self._database).filter(label=label)
            has_begun = states.filter(pass_run__isnull=False).exists()
            return Reason(
                f"{label} {'was not read to its end' if has_begun else 'has not run yet'}"
            )
        stored = open_failures(self._database).filter(migration__label=label)
        unsaved = self._ledger.messages_of([label])
        if not (any(each.has_unsaved_failures for each in unsaved) or stored.exists()):
            return None
        has_unknown = any(each.unsaved_failures([""]) for each in unsaved)
        is_known = not (has_unknown or stored.filter(key_hash__isnull=True).exists())
        return Reason(f"rows of {label} have failed", is_known=is_known)

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
