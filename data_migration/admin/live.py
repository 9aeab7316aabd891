"""A run that is going on: a bar for each migration, and the failures as they come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..ledger import ACTIVE
from ..models import RowError, Run, RunStep
from ..outcomes import MessageKind, RunKind, RunStatus
from ..patches.definition import label_of_step
from ..progress import duration
from ..utils.quoting import shortened

#: So many failures are sent at once; the messages page has the others.
_FAILURES = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """How far a migration or a patch is; ``done`` rows, or objects, of ``total``, which is None
    where nobody knows.
    """

    migration: str
    status: str
    done: int
    total: int | None
    failed: int
    rate: float | None

    @property
    def name(self) -> str:
        """What people call it."""
        return label_of_step(self.migration) or self.migration

    @property
    def is_patch(self) -> bool:
        return label_of_step(self.migration) is not None

    @property
    def word(self) -> Any:
        return RunStatus(self.status).label

    @property
    def is_running(self) -> bool:
        return self.status == RunStatus.RUNNING

    @property
    def percent(self) -> int | None:
        """None where it cannot be told; 100 only at the end."""
        if self.status in (RunStatus.DONE, RunStatus.SKIPPED, RunStatus.PARTIAL):
            return 100
        if not self.total:
            return None if self.is_running else 0
        return min(self.done * 100 // self.total, 99)

    @property
    def text(self) -> str:
        """Rows, rate, time that is left, failures."""
        if not self.done and not (self.is_running and not self.is_patch):
            return ""
        parts = [(_objects if self.is_patch else _rows)(self.done, self.total)]
        if self.is_running and self.rate:
            rate = {"rate": _number(round(self.rate))}
            parts.append(
                (_("%(rate)s objects/s") if self.is_patch else _("%(rate)s rows/s")) % rate
            )
            if self.total and self.total > self.done:
                left = duration((self.total - self.done) / self.rate)
                parts.append(_("%(time)s left") % {"time": left})
        if self.failed:
            parts.append(_("%(number)s failed") % {"number": _number(self.failed)})
        return " · ".join(parts)


def bars(run: Run, database: str) -> list[Bar]:
    """A bar for each step, in order."""
    steps = RunStep.objects.using(database).filter(run=run).order_by("position")
    live: Mapping[str, Any] = run.live if run.current_status == RunStatus.RUNNING else {}
    return [_bar(step, run, live) for step in steps]


def _bar(step: RunStep, run: Run, live: Mapping[str, Any]) -> Bar:
    step.run = run
    counts, status, total = step.counts(), step.current_status, step.total
    started = step.started_at
    # What is one transaction is seen by nobody until its end: only the signs of life tell of it.
    if live.get("migration") == step.migration:
        if live.get("read", 0) >= counts["read"]:
            counts = {name: live.get(name, count) for name, count in counts.items()}
            total = live.get("total")
        status = RunStatus.RUNNING.value
        started = parse_datetime(live.get("started_at") or "") or started
    elif status == RunStatus.PENDING and step.position < live.get("position", 0):
        status = RunStatus.DONE.value
    return Bar(
        migration=step.migration,
        status=status,
        done=counts["read"] + counts["passed"],
        total=total,
        failed=counts["failed"],
        rate=_rate(counts["read"], started) if status == RunStatus.RUNNING else None,
    )


def _rate(rows: int, started: datetime | None) -> float | None:
    """Rows in a second since the step began."""
    seconds = (timezone.now() - started).total_seconds() if started else 0
    return rows / seconds if rows and seconds > 0 else None


def summary(run: Run, found: Iterable[Bar]) -> str:
    """One sentence, which changes with the migrations and not with the rows: it is read out."""
    found = list(found)
    running = next((bar.name for bar in found if bar.is_running), "")
    ended = sum(bar.status not in (*ACTIVE, RunStatus.PENDING) for bar in found)
    if run.current_status == RunStatus.QUEUED:
        return _("Run %(run)s waits for a worker.") % {"run": run.pk}
    if run.current_status not in ACTIVE:
        return _("Run %(run)s has ended: %(status)s.") % {"run": run.pk, "status": word_of(run)}
    values = {"run": run.pk, "ended": ended, "all": len(found), "migration": running}
    if run.stop_requested:
        return _("Run %(run)s stops after its batch.") % values
    if running and run.kind == RunKind.PATCH:
        return (
            _("Run %(run)s is going on: %(ended)s of %(all)s patches ended, now %(migration)s.")
            % values
        )
    if running:
        return (
            _("Run %(run)s is going on: %(ended)s of %(all)s migrations ended, now %(migration)s.")
            % values
        )
    return _("Run %(run)s is going on.") % values


def word_of(run: Run) -> Any:
    return RunStatus(run.current_status).label


def failures(run: Run, database: str, after: int) -> list[RowError]:
    """The newest failures of the run after the message ``after``, oldest first."""
    rows = RowError.objects.using(database).filter(step__run=run, kind=MessageKind.FAILURE)
    newest = rows.filter(pk__gt=after).select_related("step").order_by("-pk")[:_FAILURES]
    return list(reversed(newest))


@dataclass(frozen=True, kw_only=True, slots=True)
class Watched:
    """A run with what the page shows of it while it goes on."""

    run: Run
    bars: list[Bar]
    failures: list[RowError]
    summary: str

    @property
    def last(self) -> int:
        return self.failures[-1].pk if self.failures else 0

    @property
    def can_be_stopped(self) -> bool:
        """Not twice, and not a rollback once it has begun: it is done as a whole."""
        is_at_work = self.run.status == RunStatus.RUNNING
        return not self.run.stop_requested and not (self.run.is_rollback and is_at_work)


def watched(run: Run, database: str) -> Watched:
    found = bars(run, database)
    new = failures(run, database, 0)
    return Watched(run=run, bars=found, failures=new, summary=summary(run, found))


def document(run: Run, database: str, after: int) -> dict[str, Any]:
    """What a page that watches the run asks for; ``after`` is the last failure that it has."""
    found = bars(run, database)
    new = failures(run, database, after)
    return {
        "run": run.pk,
        "status": run.current_status,
        "word": str(word_of(run)),
        "active": run.current_status in ACTIVE,
        "summary": summary(run, found),
        "last": new[-1].pk if new else after,
        "bars": [
            {
                "migration": bar.migration,
                "name": bar.name,
                "status": bar.status,
                "word": str(bar.word),
                "percent": bar.percent,
                "text": bar.text,
                "done": _number(bar.done),
            }
            for bar in found
        ],
        "failures": [
            {
                "id": each.pk,
                "where": where_of(each),
                "cause": shortened(each.cause),
            }
            for each in new
        ],
    }


def where_of(message: RowError) -> str:
    """The migration or the patch, the row and the column in one phrase."""
    label = message.step.migration
    return f"{label_of_step(label) or label}, {message.where}"


def _objects(done: int, total: int | None) -> str:
    if total is None:
        text = ngettext("%(objects)s object", "%(objects)s objects", done)
        return text % {"objects": _number(done)}
    values = {"objects": _number(done), "total": _number(total)}
    return _("%(objects)s of %(total)s objects") % values


def _rows(done: int, total: int | None) -> str:
    if total is None:
        return ngettext("%(rows)s row", "%(rows)s rows", done) % {"rows": _number(done)}
    return _("%(rows)s of %(total)s rows") % {"rows": _number(done), "total": _number(total)}


def _number(value: int) -> str:
    return number_format(value, force_grouping=True)
