"""The calls of a push: outside of any transaction, and each with one answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone

from ..exceptions import (
    Conflict,
    Gone,
    Refused,
    RemoteError,
    RowFailure,
    SpecError,
    Transient,
    Uncertain,
)
from ..models import Outgoing
from ..outcomes import OnConflict, Outcome
from .connector import Connector, Written
from .fields import RemoteField
from .mapping import Mapping as Spec
from .merge import Merge
from .payload import NOT_THERE, Change, put, take

#: What is said of one row; whatever else a connector raises would meet any other row.
ROW_ERRORS = (Refused, Gone, Conflict, Uncertain, Transient)

#: Seconds after which a search can be trusted that finds nothing, unless OPTIONS say otherwise.
FIND_DELAY = 10.0


@dataclass(kw_only=True)
class Result:
    """What became of one change.

    ``key`` is the row's key there, where it has one. ``recorded`` are the fields of which both
    sides have the same now, ``conflicts`` those that were left out with the values there.
    With ``is_held`` only a person can tell what became of it; with ``is_again`` it is to be looked
    at once more in this run, since the row it was linked with is gone, or what was sent once may
    be older than what is here.
    """

    change: Change
    outcome: Outcome | None = None
    key: Any = None
    row: Mapping[str, Any] | None = None
    version: str | None = None
    recorded: Sequence[RemoteField] = ()
    conflicts: Sequence[tuple[RemoteField, Any]] = ()
    error: Exception | None = None
    is_held: bool = False
    is_again: bool = False


@dataclass(kw_only=True)
class Exchange:
    """Sends the changes of one mapping through one connector.

    ``owner_of`` tells which object a remote key is linked with. ``called`` are the objects whose
    calls may have arrived. ``pause`` waits so many seconds.
    """

    connector: Connector
    mapping: Spec
    merge: Merge
    owner_of: Callable[[Any], str | None]
    pause: Callable[[float], None] = time.sleep
    called: set[str] = field(default_factory=set)

    @property
    def can_be_asked(self) -> bool:
        """Whether it can be found out later what became of a row that was to be created."""
        return self._remembers > 0 or self.connector.can("find")

    @property
    def _remembers(self) -> float:
        return self.connector.remembers(self.mapping.objectname)

    def send(self, changes: Sequence[Change], intents: Mapping[str, Outgoing]) -> Iterator[Result]:
        """Make the calls for these changes, whose intents were written down; a result for each.

        Raises what no other row would be spared.
        """
        fresh = []
        for change in changes:
            if change.link is None:
                try:
                    row = self._match(change)
                except ROW_ERRORS as error:
                    yield _failed(change, error)
                    continue
                if row is None:
                    fresh.append(change)
                else:
                    yield self._adopt(change, row)
        yield from self._create(fresh, intents)
        yield from self._update([change for change in changes if change.link is not None])

    # ------------------------------------------------------------------ rows that are created

    def _create(
        self, changes: Sequence[Change], intents: Mapping[str, Outgoing]
    ) -> Iterator[Result]:
        rows = [
            (change.values, str(intents[change.object_pk].idempotency_key)) for change in changes
        ]
        for change, answer in self._answers(changes, "insert", rows, self._insert):
            yield self._created(change, answer)

    def _insert(self, row: tuple[Mapping[str, Any], str]) -> Written:
        values, key = row
        return self.connector.insert(self.mapping.objectname, values, idempotency_key=key)

    def _created(self, change: Change, answer: Written | RemoteError) -> Result:
        if isinstance(answer, RemoteError):
            return _failed(change, answer)
        key = self._key_of(answer.row) if answer.row is not None else None
        key = answer.key if key is None else key
        if key is None:
            error = Refused("the connector did not say which key the new row has")
            return Result(change=change, outcome=Outcome.FAILED, error=error, is_held=True)
        return Result(
            change=change,
            outcome=Outcome.CREATED,
            key=key,
            row=answer.row,
            version=self._version_of(answer),
            recorded=change.fields,
        )

    def _match(self, change: Change) -> Mapping[str, Any] | None:
        """The row that is taken to be the object's, although they are not linked yet."""
        if not (self.mapping.match and self.connector.can("find")):
            return None
        values: dict[str, Any] = {}
        for name in self.mapping.match:
            path = name.split(".")
            value = take(change.values, path)
            if value is NOT_THERE or value is None:
                return None
            put(values, path, value)
        return self.connector.find(self.mapping.objectname, values)

    def _adopt(self, change: Change, row: Mapping[str, Any]) -> Result:
        key = self._key_of(row)
        if key is None:
            raise SpecError(
                f"find() of {type(self.connector).__name__} returned a row of"
                f" {self.mapping.objectname!r} without its remote_key,"
                f" {self.mapping.remote_key!r}."
            )
        if (owner := self.owner_of(key)) not in (None, change.object_pk):
            error = self.taken(key, owner)
            return Result(change=change, outcome=Outcome.FAILED, error=error, is_held=True)
        return self._with_row(change, key, row)

    def taken(self, key: Any, owner: str | None) -> RowFailure:
        """Why an object cannot be linked with a row: another one is."""
        return RowFailure(
            f"the row {key!r} over there is linked with {self.mapping.model._meta.label} {owner}"
            " already, so it cannot be this object's as well"
        )

    # ------------------------------------------------------------------ after a crash

    def recover(self, change: Change, intent: Outgoing) -> Result:
        """Find out what became of a row that was to be created, and of which no answer came.

        ``intent`` is the one of then. The same idempotency key is used again while the remote
        system remembers it; otherwise the row is looked for; a person has to tell where neither
        can be.
        """
        age = (timezone.now() - intent.planned_at).total_seconds()
        is_same = intent.digest == change.digest
        try:
            if (row := self._match(change)) is not None:
                return self._adopt(change, row)
            if age < self._remembers:
                return self._again(change, intent, is_same=is_same)
            if self.connector.can("find") and (is_same or self.mapping.match):
                return self._look_for(change, intent)
        except ROW_ERRORS as error:
            return _failed(change, error)
        return self._unknown(change)

    def _again(self, change: Change, intent: Outgoing, *, is_same: bool) -> Result:
        (result,) = self._create([change], {change.object_pk: intent})
        if is_same:
            return result
        if isinstance(result.error, Refused):
            # It may refuse no more than other values with a key that it knows.
            return self._unknown(change)
        if result.error is None:
            result.recorded, result.is_again = (), True
        return result

    def _look_for(self, change: Change, intent: Outgoing) -> Result:
        find = self._match if self.mapping.match else self._find_all
        row = find(change)
        delay = float(
            dict(self.connector.config.get("OPTIONS") or {}).get("find_delay", FIND_DELAY)
        )
        since = timezone.now() - (intent.sent_at or intent.planned_at)
        if row is None and (left := delay - since.total_seconds()) > 0:
            self.pause(left)  # a search may not know yet what was just created
            row = find(change)
        if row is None:
            (result,) = self._create([change], {change.object_pk: intent})
            return result
        return self._adopt(change, row)

    def _find_all(self, change: Change) -> Mapping[str, Any] | None:
        return self.connector.find(self.mapping.objectname, change.values)

    def _unknown(self, change: Change) -> Result:
        error = RowFailure(
            "nobody knows whether it was created over there: the call was sent, no answer came,"
            " and it cannot be asked for. Look there; then name the object with --keys to send it"
            " again, or link it by a match"
        )
        return Result(change=change, outcome=Outcome.FAILED, error=error, is_held=True)

    # ------------------------------------------------------------------ rows that are changed

    def _update(self, changes: Sequence[Change]) -> Iterator[Result]:
        ready = []
        for change in changes:
            if self._is_read_first(change):
                yield self._read_first(change)
            else:
                ready.append(change)
        rows = [(each.key, each.values, each.version or None) for each in ready]
        for change, answer in self._answers(ready, "update", rows, self._change):
            if isinstance(answer, Conflict) and self.connector.can("get"):
                yield self._read_first(change)
            else:
                yield self._updated(change, change.key, answer, change.fields)

    def _change(self, row: tuple[Any, Mapping[str, Any], str | None]) -> Written:
        key, values, version = row
        return self.connector.update(self.mapping.objectname, key, values, version=version)

    def _is_read_first(self, change: Change) -> bool:
        """Whether its row has to be read before it is changed."""
        if not self.connector.can("get"):
            return False
        has_lists = any(each.nested is not None and each.pulls for each in change.fields)
        return has_lists or (not change.version and self.connector.can("version"))

    def _read_first(self, change: Change) -> Result:
        try:
            row = self.connector.get(self.mapping.objectname, change.key)
            return self._with_row(change, change.key, row)
        except ROW_ERRORS as error:
            return _failed(change, error)

    def _with_row(self, change: Change, key: Any, row: Mapping[str, Any] | None) -> Result:
        """Send what of a change is still to be sent, now that its row was read."""
        for _ in range(2):
            if row is None:
                return self._gone(change)
            change.version = self.connector.version(self.mapping.objectname, row) or ""
            merged = self.merge(change, row)
            recorded = [*merged.agreed, *merged.ours]
            if not merged.ours:
                outcome = Outcome.SKIPPED if merged.conflicts else Outcome.UNCHANGED
                return Result(
                    change=change,
                    outcome=outcome,
                    key=key,
                    row=row,
                    version=change.version,
                    recorded=recorded,
                    conflicts=merged.conflicts,
                )
            heads = {each.path[0] for each in merged.ours}
            values = {name: value for name, value in change.values.items() if name in heads}
            rows = [(key, values, change.version or None)]
            ((_, answer),) = self._answers([change], "update", rows, self._change)
            if not isinstance(answer, Conflict):
                return self._updated(change, key, answer, recorded, merged.conflicts)
            row = self.connector.get(self.mapping.objectname, key)
        conflicts = [(each, take(row or {}, each.path)) for each in change.fields]
        return Result(change=change, outcome=Outcome.SKIPPED, key=key, conflicts=conflicts)

    def _updated(
        self,
        change: Change,
        key: Any,
        answer: Written | RemoteError,
        recorded: Sequence[RemoteField],
        conflicts: Sequence[tuple[RemoteField, Any]] = (),
    ) -> Result:
        if isinstance(answer, Gone):
            return self._gone(change)
        if isinstance(answer, RemoteError):
            return _failed(change, answer)
        return Result(
            change=change,
            outcome=Outcome.UPDATED,
            key=key,
            row=answer.row,
            version=self._version_of(answer),
            recorded=recorded,
            conflicts=conflicts,
        )

    def _gone(self, change: Change) -> Result:
        """Their row was deleted and our object changed: both sides did something."""
        if self.mapping.on_conflict == OnConflict.KEEP:
            return Result(change=change, is_again=True)
        error = Gone(
            "its row over there was deleted, and the object was changed here. Decide with"
            ' on_conflict = "keep", which creates the row again, or delete the object'
        )
        return Result(change=change, outcome=Outcome.FAILED, error=error)

    # ------------------------------------------------------------------ one call or one for many

    def _answers(
        self,
        changes: Sequence[Change],
        verb: str,
        rows: Sequence[Any],
        one: Callable[[Any], Written],
    ) -> Iterator[tuple[Change, Written | RemoteError]]:
        many = f"{verb}_many"
        if (len(rows) > 1 and self.connector.can(many)) or not self.connector.can(verb):
            if rows:
                yield from self._all_at_once(changes, many, rows, one)
            return
        for change, row in zip(changes, rows, strict=True):
            self.called.add(change.object_pk)
            try:
                yield change, one(row)
            except ROW_ERRORS as error:
                yield change, error

    def _all_at_once(
        self,
        changes: Sequence[Change],
        many: str,
        rows: Sequence[Any],
        one: Callable[[Any], Written],
    ) -> Iterator[tuple[Change, Written | RemoteError]]:
        self.called.update(change.object_pk for change in changes)
        try:
            answers = list(getattr(self.connector, many)(self.mapping.objectname, rows))
        except ROW_ERRORS as error:
            answers = [error] * len(rows)
        if len(answers) != len(rows):
            raise Uncertain(
                f"{many}() of {type(self.connector).__name__} answered {len(answers)} times for"
                f" {len(rows)} rows: nobody knows which is which"
            )
        for change, answer in zip(changes, answers, strict=True):
            if isinstance(answer, Exception) and not isinstance(answer, ROW_ERRORS):
                raise answer
            yield change, answer

    def _key_of(self, row: Mapping[str, Any]) -> Any:
        key = take(row, self.mapping.remote_key.split("."))
        return None if key is NOT_THERE else key

    def _version_of(self, answer: Written) -> str | None:
        if answer.version is None and answer.row is not None:
            return self.connector.version(self.mapping.objectname, answer.row)
        return answer.version


def _failed(change: Change, error: Exception) -> Result:
    return Result(change=change, outcome=Outcome.FAILED, error=error)
