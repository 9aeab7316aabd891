"""Messages about rows, and among them the queue of failures that are still to be mended."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from functools import cached_property
from typing import Any, NamedTuple

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from ..models import MigrationState, RowError, RunStep
from ..outcomes import MessageKind
from ..rows.keys import hash_of_text, key_text
from ..utils.chunks import chunks
from ..utils.quoting import shown, with_short
from ..utils.redaction import redact, without_configured
from .patterns import FOLLOWS, pattern_of

_CHUNK = 500


class Message(NamedTuple):
    """What a person should know of one row.

    ``row_number`` is its place in what was read, from 1, ``key`` the text of its key and
    ``key_hash`` the hash of it, both empty where it has none. ``value`` is that of ``column`` as
    it came; without a column nobody sees it. ``pattern`` is what it has in common with others,
    where its cause does not tell. ``handled`` is the checksum of what the error hook has handled
    of a failed row; None where it did not. ``is_undecided`` of a conflict says that it waits for
    a person.
    """

    kind: MessageKind
    cause: str
    row_number: int = 0
    key: str = ""
    key_hash: str = ""
    column: str = ""
    value: Any = None
    pattern: str = ""
    handled: int | None = None
    is_undecided: bool = False


class Messages:
    """The messages of one step, until they are stored with its rows.

    A failure of a committed run is open until its row, found by its key, ends otherwise.
    ``rows_before`` is added to the numbers of rows, where others read the rows before them.
    """

    def __init__(
        self, step: RunStep, state: MigrationState, *, database: str, rows_before: int = 0
    ) -> None:
        self._step = step
        self._state = state
        self._database = database
        self._new: list[RowError] = []
        self._handled: set[str] = set()
        #: What was in conflict, and is no more: hash -> names of fields.
        self._decided: dict[str, frozenset[str]] = {}
        #: The failures among the new messages, by hash; that of all rows without a key is empty.
        self._failures: dict[str, RowError] = {}
        #: The rows whose failures were open when the step began: hash -> text of the key.
        self.failed_before = open_keys(state, database)
        self._queue = set() if step.run.is_dry else set(self.failed_before)
        self._rows_before = rows_before

    def note(self, message: Message) -> RowError:
        """Keep a message; it is stored with the next :meth:`save`."""
        value = value_text(message.value) if message.column else ""
        # Django's own messages repeat a value as it is, however long, and not every database takes
        # it so. Redacted first: what is cut would not be known for a secret.
        cause = encodable(with_short(redact(message.cause), message.value))
        is_failure = message.kind == MessageKind.FAILURE
        row = RowError(
            step=self._step,
            migration=self._state,
            kind=message.kind,
            row_number=self._rows_before + message.row_number,
            key=message.key,
            key_hash=uuid.UUID(message.key_hash) if message.key_hash else None,
            is_open=(is_failure or message.is_undecided) and not self._step.run.is_dry,
            handled=message.handled,
            column=message.column[:255],
            value=value,
            cause=cause,
            pattern=message.pattern or pattern_of(cause, value),
        )
        self._new.append(row)
        if is_failure:
            self._failures[message.key_hash] = row
        return row

    def handled(self, hashes: Iterable[str]) -> None:
        """The rows with these keys came to an end: what was open of them is closed with the next
        :meth:`save`.
        """
        if self._queue:
            self._handled.update(self._queue.intersection(hashes))

    @cached_property
    def undecided_before(self) -> dict[str, dict[str, str]]:
        """The open conflicts that the step began with: hash -> name of the field -> their value
        as text.
        """
        return open_conflicts(self._state, database=self._database)

    def decided(self, key_hash: str, names: Collection[str]) -> None:
        """These fields of a row are in conflict no more, which the next :meth:`save` stores."""
        if names:
            self._decided[key_hash] = self._decided.get(key_hash, frozenset()) | {*names}

    def was_handled(self, key_hash: str, checksum: int) -> bool:
        """Whether the error hook has handled the same failure of the row in a committed run."""
        return bool(key_hash) and self._handled_before.get(key_hash) == checksum

    @cached_property
    def _handled_before(self) -> dict[str, int]:
        rows = open_failures(self._database).filter(migration=self._state, handled__isnull=False)
        found = rows.exclude(step=self._step).order_by("pk").values_list("key_hash", "handled")
        return {each.hex: handled for each, handled in found if each and handled is not None}

    @property
    def has_unsaved_failures(self) -> bool:
        """Whether a row has failed of which the ledger's tables do not tell yet."""
        return bool(self._failures)

    def unsaved_failures(self, hashes: Collection[str]) -> list[RowError]:
        """The same failures, of these keys."""
        return [self._failures[each] for each in hashes if each in self._failures]

    @property
    def not_met(self) -> set[str]:
        """The keys of failures of earlier runs that the step has not come to."""
        return self._queue - self._handled

    def handled_elsewhere(self) -> None:
        """Other processes handled rows of the step: what they closed is waited for no more."""
        rows = open_failures(self._database).filter(migration=self._state)
        left = rows.exclude(step=self._step).values_list("key_hash", flat=True)
        self._queue &= {each.hex for each in left if each is not None}

    def keep_failures_only(self) -> None:
        """What was not stored was rolled back: warnings spoke of rows that are not there."""
        self._new = [message for message in self._new if message.kind == MessageKind.FAILURE]
        failed_again = {message.key_hash.hex for message in self._new if message.key_hash}
        self._handled &= failed_again
        self._decided.clear()

    def forget(self) -> None:
        """What was not stored was rolled back, and its rows are met again at once."""
        self._new = []
        self._failures.clear()
        self._handled.clear()
        self._decided.clear()

    def save(self) -> None:
        """Store the messages; may be repeated after a rollback, until :meth:`saved`."""
        self._close(self._handled)
        for key_hash, names in self._decided.items():
            rows = _open_conflicts(self._state, self._database)
            rows.filter(key_hash=key_hash, column__in=names).update(is_open=False)
        for message in self._new:
            message.pk = None
        RowError.objects.using(self._database).bulk_create(self._new, batch_size=1000)

    def saved(self) -> None:
        """The transaction of :meth:`save` is committed."""
        self._queue -= self._handled
        self._handled.clear()
        self._decided.clear()
        self._failures.clear()
        self._new = []

    def close_all(self) -> None:
        """Close every failure of the migration: its rows are all read again, or gone."""
        open_failures(self._database).filter(migration=self._state).update(is_open=False)

    def close(self, hashes: Collection[str]) -> None:
        """Close the failures of these keys."""
        self._close(hashes)
        self._queue.difference_update(hashes)

    def _close(self, hashes: Collection[str]) -> None:
        if not hashes:  # as with most batches
            return
        rows = open_failures(self._database).filter(migration=self._state)
        for chunk in chunks(sorted(hashes), _CHUNK):
            rows.filter(key_hash__in=chunk).update(is_open=False)


def value_text(value: Any) -> str:
    """A value as a message keeps it."""
    return without_configured(shown(value))


def open_messages(database: str) -> QuerySet[RowError]:
    """What somebody has still to do something about: failures, and conflicts that wait."""
    kinds = (MessageKind.FAILURE, MessageKind.CONFLICT)
    return RowError.objects.using(database).filter(kind__in=kinds, is_open=True)


def open_failures(database: str) -> QuerySet[RowError]:
    """The failures that are still to be mended."""
    return RowError.objects.using(database).filter(kind=MessageKind.FAILURE, is_open=True)


def _open_conflicts(state: MigrationState, database: str) -> QuerySet[RowError]:
    rows = RowError.objects.using(database)
    return rows.filter(migration=state, kind=MessageKind.CONFLICT, is_open=True)


def open_conflicts(
    state: MigrationState, *, database: str, hashes: Collection[str] | None = None
) -> dict[str, dict[str, str]]:
    """The fields that wait for a person to say which value counts, of these rows or of all: hash
    -> name of the field -> their value as text.
    """
    rows = _open_conflicts(state, database)
    if hashes is not None:
        rows = rows.filter(key_hash__in=hashes)
    found: dict[str, dict[str, str]] = {}
    for key_hash, name, value in rows.order_by("pk").values_list("key_hash", "column", "value"):
        if key_hash is not None:
            found.setdefault(key_hash.hex, {})[name] = value
    return found


def dismiss(messages: Collection[int], *, database: str) -> int:
    """Close these failures although their rows were not mended; returns how many were open.

    The rows stay as they are: no run tries them again by itself.
    """
    rows = open_failures(database)
    return sum(
        rows.filter(pk__in=chunk).update(is_open=False)
        for chunk in chunks(sorted(messages), _CHUNK)
    )


def warned_of(
    state: MigrationState, column: str, hashes: Collection[str], *, database: str
) -> dict[str, int]:
    """The last run that warned of the column in the rows with these keys: hash -> run."""
    rows = RowError.objects.using(database).filter(
        migration=state, kind=MessageKind.WARNING, column=column, is_open=False
    )
    found: dict[str, int] = {}
    for chunk in chunks(sorted(hashes), _CHUNK):
        told = rows.filter(key_hash__in=chunk).order_by("pk").select_related("step")
        found |= {each.key_hash.hex: each.step.run_id for each in told if each.key_hash}
    return found


def open_keys(
    state: MigrationState, database: str, messages: Collection[int] = ()
) -> dict[str, str]:
    """The keys of a migration's open failures: hash -> text, in the order of the rows.

    With ``messages``, only of those failures and of such as follow from others.
    """
    rows = open_failures(database).filter(migration=state, key_hash__isnull=False)
    if messages:
        rows = rows.filter(Q(pk__in=messages) | Q(pattern__startswith=FOLLOWS))
    ordered = rows.order_by("row_number", "pk").values_list("key", flat=True)
    return {hash_of_text(key): key for key in ordered.iterator()}


def messages_of(
    labels: Iterable[str], *, database: str, kind: str = "", key: str = ""
) -> QuerySet[RowError]:
    """The messages of the last run of each of these migrations, rehearsals included.

    A failure of an earlier run that is still open is among them, unless the last run speaks of
    the same key. ``kind`` is one of :class:`~data_migration.outcomes.MessageKind`; ``key`` a
    legacy key as people write it, with or without the quotes of text.
    """
    labels = list(labels)
    last: dict[str, int] = {}
    steps = RunStep.objects.using(database).filter(migration__in=labels)
    for step in steps.exclude(started_at=None).order_by("run_id"):
        last[step.migration] = step.pk
    rows = RowError.objects.using(database)
    told = Q(step__in=list(last.values()))
    # A sum, and both values of is_open, so that the index of the queue finds the key: by that of
    # the step, each open failure would be looked for among all messages of the last run.
    again = rows.alias(told_by=F("step_id") + 0).filter(
        told_by__in=list(last.values()),
        migration=OuterRef("migration"),
        is_open__in=(False, True),
        key_hash=OuterRef("key_hash"),
    )
    waiting = Q(migration__label__in=labels, kind=MessageKind.FAILURE, is_open=True)
    undecided = Q(migration__label__in=labels, kind=MessageKind.CONFLICT, is_open=True)
    found = rows.filter(told | undecided | (waiting & ~Exists(again)))
    if kind:
        found = found.filter(kind=kind)
    if key:
        found = about(found, key)
    return found.select_related("step")


def about(messages: QuerySet[RowError], key: str) -> QuerySet[RowError]:
    """Those of the messages about a legacy key as people write it, with or without quotes."""
    return messages.filter(key__in=(encodable(key), key_text(key)))


def encodable(text: str) -> str:
    """The text, in which what no database takes is spelled out."""
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()
