"""Records of patches: what ran, how far, who says so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import Q, QuerySet, Value
from django.db.models.functions import Concat, Right
from django.utils import timezone

from ..models import BeforeImage, MigrationState, PatchRecord, RowError, RowLink, Run, StepRange
from ..outcomes import PatchState
from ..utils import processes

#: An attempt goes on with a record in one of these states.
UNFINISHED = (PatchState.PARTIAL, PatchState.FAILED)


class PatchBook:
    """The records of one database. Every verb is for the transaction of what it tells.

    An identity is app label, name and revision.
    """

    def __init__(self, database: str) -> None:
        self.database = database

    def records(self) -> QuerySet[PatchRecord]:
        """All records, of former revisions and repeats as well, the oldest first."""
        return PatchRecord.objects.using(self.database).order_by("pk")

    def records_of(self, label: str) -> QuerySet[PatchRecord]:
        """The records of the patch with this label, in the same order."""
        app, _, name = label.partition(".")
        return self.records().filter(app=app, name=name)

    def current(self, app: str, name: str, revision: str) -> PatchRecord | None:
        """What is remembered of one identity: its last repeat. None where it is pending."""
        found = self.records().filter(app=app, name=name, revision=revision)
        return found.order_by("-repeat").first()

    def begin(
        self,
        app: str,
        name: str,
        revision: str,
        *,
        digest: str,
        run: Run | None,
        again: bool = False,
    ) -> PatchRecord:
        """An attempt begins: it goes on with a record that is partial or failed, or adds one.

        With ``again`` it adds a repeat. The record is partial until :meth:`finish`.
        """
        former = self.current(app, name, revision)
        ours = {"run": run, "digest": digest, "state": PatchState.PARTIAL, "reason": "", **_who()}
        if former is not None and not again and former.state in UNFINISHED:
            return self._write(former, finished_at=None, **ours)
        return PatchRecord.objects.using(self.database).create(
            app=app,
            name=name,
            revision=revision,
            repeat=former.repeat + 1 if former is not None else 0,
            started_at=timezone.now(),
            **ours,
        )

    def renew(self, record: PatchRecord, *, digest: str, run: Run | None) -> PatchRecord:
        """What runs every time begins once more, in its one record."""
        self._leave_ranges([record])
        return self._write(
            record,
            run=run,
            digest=digest,
            state=PatchState.PARTIAL,
            reason="",
            cursor=None,
            upper=None,
            is_walked=False,
            processed=0,
            total=None,
            output="",
            started_at=timezone.now(),
            finished_at=None,
            **_who(),
        )

    def bound(self, record: PatchRecord, *, upper: str | None, total: int | None) -> None:
        """The walk over its objects begins: up to this key, so many of them."""
        self._write(record, upper=upper, total=total)

    def advance(
        self,
        record: PatchRecord,
        *,
        processed: int,
        cursor: str | None = None,
        is_walked: bool = False,
    ) -> None:
        """A batch of so many more objects is done, up to the key ``cursor``; the old one without.

        With ``is_walked`` none is left.
        """
        self._write(
            record,
            processed=record.processed + processed,
            cursor=record.cursor if cursor is None else cursor,
            is_walked=is_walked or record.is_walked,
        )

    def finish(self, record: PatchRecord, state: PatchState, *, reason: str = "") -> None:
        """An attempt came to its end: done, failed, not needed, or partial still."""
        self._write(record, state=state, reason=reason, finished_at=timezone.now())

    def add_output(self, record: PatchRecord, text: str) -> None:
        """Keep what the patch logged, after what it or another process of it logged before."""
        record.output = f"{record.output}{text}"[-_OUTPUT:]
        whole = Right(Concat("output", Value(text)), _OUTPUT)
        PatchRecord.objects.using(self.database).filter(pk=record.pk).update(output=whole)

    def fake(
        self,
        app: str,
        name: str,
        revision: str,
        *,
        digest: str,
        by: str,
        reason: str,
        steps: Iterable[str] = (),
    ) -> PatchRecord:
        """Somebody says that it is done, or that other code of it is fine: who, and why.

        A record that is done keeps its state and takes over the digest. Objects that failed in
        steps of these labels do not wait to be mended any more.
        """
        record = self.current(app, name, revision)
        if record is None:
            record = PatchRecord(app=app, name=name, revision=revision)
        if record.state != PatchState.DONE:
            record.state = PatchState.FAKED
        record.digest, record.reason, record.finished_at = digest, reason, timezone.now()
        record.owner, record.host = by, processes.host()
        record.save(using=self.database)
        self._give_up(steps)
        return record

    def not_needed(
        self,
        app: str,
        name: str,
        revision: str,
        *,
        digest: str,
        reason: str,
        run: Run | None = None,
    ) -> PatchRecord:
        """There was nothing to do, and why."""
        record = self.begin(app, name, revision, digest=digest, run=run)
        self.finish(record, PatchState.NOT_NEEDED, reason=reason)
        return record

    def rename(
        self, record: PatchRecord, app: str, name: str, revision: str, *, labels: tuple[str, str]
    ) -> None:
        """What is recorded of a patch is told of another identity from now on.

        ``labels`` are what its steps were called in the ledger and what they are called now: its
        failures and what it takes to undo it move from the one to the other.
        """
        self._write(record, app=app, name=name, revision=revision)
        old, new = labels
        states = MigrationState.objects.using(self.database)
        for state in states.filter(Q(label=old) | Q(label__startswith=f"{old}/")):
            moved, _ = states.get_or_create(label=new + state.label.removeprefix(old))
            for model in (RowError, RowLink, BeforeImage):
                model.objects.using(self.database).filter(migration=state).update(migration=moved)
            state.delete(using=self.database)

    def forget(self, records: Iterable[PatchRecord], *, steps: Iterable[str] = ()) -> None:
        """What they did was undone: their patches are pending again.

        Objects that failed in steps of these labels do not wait to be mended any more.
        """
        records = list(records)
        self._leave_ranges(records)
        numbers = [record.pk for record in records]
        PatchRecord.objects.using(self.database).filter(pk__in=numbers).delete()
        self._give_up(steps)

    def _give_up(self, steps: Iterable[str]) -> None:
        """Objects that failed in steps of these labels do not wait to be mended any more."""
        states = MigrationState.objects.using(self.database).filter(label__in=list(steps))
        waiting = RowError.objects.using(self.database).filter(is_open=True)
        waiting.filter(migration__in=list(states)).update(is_open=False)

    def _leave_ranges(self, records: Sequence[PatchRecord]) -> None:
        """Nobody goes on any more with the ranges in which they were processed."""
        marks = [record.mark for record in records]
        StepRange.objects.using(self.database).filter(fingerprint__in=marks).update(fingerprint="")

    def _write(self, record: PatchRecord, **values: Any) -> PatchRecord:
        for name, value in values.items():
            setattr(record, name, value)
        record.save(using=self.database, update_fields=[*values])
        return record


#: Characters of output that are kept with a record, the last ones.
_OUTPUT = 100_000


def _who() -> dict[str, str]:
    return {"owner": processes.owner(), "host": processes.host()}
