"""What is on its way to remote systems, what they are known to have, when they may be called."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from django.db import connections
from django.utils import timezone

from ..models import MigrationState, Outgoing, RemoteAccount, RemoteState
from ..outcomes import Action, OutgoingState
from ..utils.chunks import query_chunks
from .statements import RowInsert

_PAGE = 1000
_CAUSE = 1000
_COLUMNS = (
    *("idempotency_key", "object_pk", "action", "key", "digest", "state", "attempts"),
    *("planned_at", "sent_at", "next_try", "cause", "run"),
)


class Intent(NamedTuple):
    """One change that is about to be sent.

    ``key`` is the text of the remote key, empty for a row that is to be created. ``digest`` is
    that of the values. ``idempotency_key`` is a new one, but for the same change sent once more.
    """

    object_pk: str
    action: Action
    digest: int
    key: str = ""
    idempotency_key: uuid.UUID | None = None


class OutgoingBook:
    """The changes of one mapping and account that are on their way, at most one of an object.

    Every verb is for a transaction of the caller's, who holds the lock.
    """

    def __init__(self, state: MigrationState, *, database: str) -> None:
        self.state = state
        self.database = database

    @property
    def _rows(self) -> Any:
        return Outgoing.objects.using(self.database).filter(mapping=self.state)

    def is_empty(self) -> bool:
        return not self._rows.exists()

    def find(self, pks: Collection[str]) -> dict[str, Outgoing]:
        """What is on its way of these objects, by the text of their primary keys."""
        return {
            each.object_pk: each
            for chunk in query_chunks(pks, self.database)
            for each in self._rows.filter(object_pk__in=chunk)
        }

    def all(
        self, *states: OutgoingState, actions: Collection[Action] = tuple(Action)
    ) -> Iterator[list[Outgoing]]:
        """What is in one of these states, in the order in which it was planned, page by page."""
        rows = self._rows.filter(state__in=states, action__in=list(actions)).order_by("pk")
        page = list(rows[:_PAGE])
        while page:
            yield page
            page = list(rows.filter(pk__gt=page[-1].pk)[:_PAGE])

    def plan(
        self,
        intents: Collection[Intent],
        *,
        run: int,
        former: Mapping[str, Outgoing],
        is_sent: bool = True,
    ) -> dict[str, Outgoing]:
        """Write down what is about to be sent, in place of what was planned of these objects.

        ``former`` is that, as far as there is any; its calls are counted on. ``is_sent`` tells
        that the calls follow at once: should they be broken off, they may have arrived.
        """
        self.done(former)
        now = timezone.now()
        rows = [
            Outgoing(
                mapping=self.state,
                object_pk=each.object_pk,
                action=each.action.value,
                key=each.key,
                idempotency_key=each.idempotency_key or uuid.uuid4(),
                digest=each.digest,
                state=(OutgoingState.SENT if is_sent else OutgoingState.PLANNED).value,
                attempts=before.attempts + is_sent if before else int(is_sent),
                # The remote system counts from when it saw the key for the first time.
                planned_at=before.planned_at if before and each.idempotency_key else now,
                sent_at=now if is_sent else None,
                run=run,
            )
            for each in intents
            for before in [former.get(each.object_pk)]
        ]
        self._insert(
            self.state.pk,
            [
                (row.idempotency_key.hex, *(getattr(row, name) for name in _COLUMNS[1:]))
                for row in rows
            ],
        )
        return {row.object_pk: row for row in rows}

    @cached_property
    def _insert(self) -> RowInsert:
        return RowInsert(connections[self.database], Outgoing, _COLUMNS, owner="mapping")

    def done(self, pks: Collection[str]) -> None:
        """Nothing is on its way any more of these objects."""
        for chunk in query_chunks(pks, self.database) if pks else ():
            self._rows.filter(object_pk__in=chunk).delete()

    def not_sent(self, pks: Collection[str], cause: str, *, next_try: datetime | None) -> None:
        """The calls for these objects were not made after all, or did nothing."""
        self._end(pks, OutgoingState.PLANNED, cause, next_try)

    def fail(self, causes: Mapping[str, str]) -> None:
        """The remote system refused these objects, each for a cause; the next run tries again."""
        for pk, cause in causes.items():
            self._end([pk], OutgoingState.FAILED, cause)

    def hold(self, causes: Mapping[str, str]) -> None:
        """What became of these objects only a person can tell; each has a cause."""
        for pk, cause in causes.items():
            self._end([pk], OutgoingState.HELD, cause)

    def _end(
        self,
        pks: Collection[str],
        state: OutgoingState,
        cause: str,
        next_try: datetime | None = None,
    ) -> None:
        for chunk in query_chunks(pks, self.database) if pks else ():
            self._rows.filter(object_pk__in=chunk).update(
                state=state, cause=cause[:_CAUSE], next_try=next_try
            )


class Known(NamedTuple):
    """What the remote system got of one object: packed digests of what only goes there, and the
    version that the next change has to name.
    """

    sent: bytes = b""
    version: str = ""


class RemoteStates:
    """What the remote system is known to have of the objects of one mapping and account."""

    def __init__(self, state: MigrationState, *, database: str) -> None:
        self.state = state
        self.database = database

    @property
    def _rows(self) -> Any:
        return RemoteState.objects.using(self.database).filter(mapping=self.state)

    def find(self, pks: Collection[str]) -> dict[str, Known]:
        """What is known of these objects, by the text of their primary keys."""
        found: dict[str, Known] = {}
        for chunk in query_chunks(pks, self.database) if pks else ():
            rows = self._rows.filter(object_pk__in=chunk)
            for pk, sent, version in rows.values_list("object_pk", "sent", "version"):
                found[pk] = Known(bytes(sent), version)
        return found

    def remember(self, known: Mapping[str, Known]) -> None:
        """Remember these, in place of what was known of the same objects."""
        self.forget(known)
        told = [(pk, *each) for pk, each in known.items() if each.sent or each.version]
        self._insert(self.state.pk, told)

    @cached_property
    def _insert(self) -> RowInsert:
        columns = ("object_pk", "sent", "version")
        return RowInsert(connections[self.database], RemoteState, columns, owner="mapping")

    def forget(self, pks: Collection[str]) -> None:
        """The remote system is known to have nothing of these objects."""
        for chunk in query_chunks(pks, self.database) if pks else ():
            self._rows.filter(object_pk__in=chunk).delete()


class Wait(NamedTuple):
    """Until when an account may not be called, and why."""

    until: datetime
    reason: str


class Accounts:
    """What is remembered of accounts from run to run, in ``database``."""

    def __init__(self, database: str) -> None:
        self.database = database

    def waits(self, name: str) -> Wait | None:
        """Until when the account may not be called; None where it may be called now."""
        rows = RemoteAccount.objects.using(self.database)
        row = rows.filter(name=name, not_before__gt=timezone.now()).first()
        return Wait(row.not_before, row.reason) if row and row.not_before else None

    def wait(self, name: str, until: datetime, reason: str) -> None:
        """The account is not to be called before then, says the remote system."""
        RemoteAccount.objects.using(self.database).update_or_create(
            name=name, defaults={"not_before": until, "reason": reason[:_CAUSE]}
        )

    def go_on(self, name: str) -> None:
        """The account may be called again."""
        rows = RemoteAccount.objects.using(self.database).filter(name=name)
        rows.update(not_before=None, reason="")


def outgoing(*labels: str, database: str) -> Any:
    """What is on its way, of these mappings (of every one without), in the order of its plan."""
    rows = Outgoing.objects.using(database).select_related("mapping").order_by("pk")
    return rows.filter(mapping__label__in=labels) if labels else rows
