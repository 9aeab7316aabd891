"""Runs and their steps: started, counted, finished."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache, partial
from pkgutil import iter_modules
from typing import Any, NamedTuple

from django.db import connections, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet
from django.utils import timezone

from .. import migrations
from ..exceptions import LedgerError, RunRefused
from ..models import MigrationState, RowError, RowLink, Run, RunStep
from ..outcomes import MessageKind, Mode, RunKind, RunStatus
from ..utils.sessions import writing
from .deferrals import open_relations
from .lanes import IMPORTS, of_lane
from .lock import Lock
from .messages import Message, Messages, messages_of, open_failures
from .patterns import FOLLOWS, UNREAD
from .queue import claim_run, this_process
from .run_words import describe_run
from .steps import FINISHED, StepLedger

#: In the options of a run: the models that it fills.
_FILLS = "fills"


@cache
def schema_migrations() -> tuple[str, ...]:
    """The names of the app's schema migrations, all of which a ledger needs."""
    return tuple(module.name for module in iter_modules(migrations.__path__))


class NewStep(NamedTuple):
    """A step of a run that begins; a skipped one is recorded and not run."""

    label: str
    is_skipped: bool = False


class Ledger(StepLedger):
    """Remembers runs in ``database`` with their steps, and tells what it remembers.

    ``lane`` is that of the runs it records: one at a time. What it tells is of all of them.
    Raises :exc:`LedgerError` where its tables are missing, or are those of an older version.
    """

    def __init__(self, database: str, lane: str = IMPORTS) -> None:
        self.lock = Lock(database, lane)
        super().__init__(database, guard=self.lock, store=partial(RunStep.save, using=database))
        self._require_tables()

    def _require_tables(self) -> None:
        connection = connections[self.database]
        option = "" if self.database == "default" else f" --database {self.database}"
        command = f"manage.py migrate data_migration{option}"
        tables = connection.introspection.table_names()
        if (table := RowLink._meta.db_table) not in tables:
            raise LedgerError(
                f"Database {self.database!r} has no table {table}. Create it with: {command}"
            )
        # A project may make its tables without schema migrations, as many do in tests.
        if MigrationRecorder.Migration._meta.db_table not in tables:
            return
        done = MigrationRecorder(connection).migration_qs.filter(app="data_migration")
        applied = set(done.values_list("name", flat=True))
        if applied and (absent := sorted(set(schema_migrations()) - applied)):
            raise LedgerError(
                f"The ledger in database {self.database!r} is of an older version: its schema"
                f" lacks {', '.join(absent)}. Bring it up to date with: {command}"
            )

    def states(self) -> dict[str, RunStep]:
        """The last committed step of each migration, by label."""
        undone = Q(run__kind=RunKind.ROLLBACK)
        told = ~Q(status__in=(RunStatus.PENDING, RunStatus.SKIPPED)) | undone
        steps = RunStep.objects.using(self.database)
        committed = steps.filter(told).exclude(run__mode=Mode.REHEARSAL).order_by()
        last = dict(committed.values_list("migration").annotate(last=Max("run")))
        # A run has many steps, of which another run may have repeated some.
        found = steps.filter(run__in=set(last.values())).select_related("run")
        return {step.migration: step for step in found if last.get(step.migration) == step.run_id}

    def finished(self) -> set[str]:
        """The labels of the migrations that need not run again.

        Their queries were read to the end and no row that could be tried again has failed. A
        failed row without a key cannot be tried again.
        """
        waiting = open_failures(self.database).filter(
            migration=OuterRef("pk"), key_hash__isnull=False
        )
        states = MigrationState.objects.using(self.database).filter(is_read=True)
        return set(states.filter(~Exists(waiting)).values_list("label", flat=True))

    def applied_fingerprints(self) -> dict[str, str]:
        """The digest of each spec as it was last applied, by label of its migration."""
        states = MigrationState.objects.using(self.database).exclude(fingerprint="")
        return dict(states.values_list("label", "fingerprint"))

    def runs(self, labels: Iterable[str] = ()) -> QuerySet[Run]:
        """The runs of these migrations (every run without one), newest first."""
        runs = Run.objects.using(self.database).prefetch_related("steps")
        if labels := list(labels):
            runs = runs.filter(steps__migration__in=labels).distinct()
        return runs

    def messages(
        self, labels: Iterable[str], *, kind: str = "", key: str = ""
    ) -> QuerySet[RowError]:
        """The messages of the last run of each of these migrations, rehearsals included."""
        return messages_of(labels, database=self.database, kind=kind, key=key)

    def failed(self) -> set[str]:
        """The labels of the migrations with failed rows that can be tried again."""
        return set(self.failed_columns())

    def failed_columns(self) -> dict[str, set[str]]:
        """The same by label, each with the columns that are to blame."""
        rows = open_failures(self.database).filter(key_hash__isnull=False)
        found: dict[str, set[str]] = {}
        for label, column in rows.values_list("migration__label", "column").distinct().order_by():
            found.setdefault(label, set()).add(column)
        return found

    def keyless(self) -> set[str]:
        """The migrations that were read to their end, the last time without a legacy key."""
        steps = RunStep.objects.using(self.database).filter(status__in=FINISHED)
        written = steps.exclude(run__mode__in=(Mode.REHEARSAL, Mode.ROLLBACK)).order_by("run_id")
        has_key = dict(written.values_list("migration", "has_key"))
        states = MigrationState.objects.using(self.database).filter(is_read=True)
        read = states.values_list("label", flat=True)
        return {label for label in read if has_key.get(label) is False}

    def unfinished(self) -> dict[str, RunStep]:
        """The migrations whose last run ended early, by label, with the step of that run."""
        ended_early = (RunStatus.FAILED, RunStatus.INTERRUPTED)
        found = self.states().items()
        return {label: step for label, step in found if step.current_status in ended_early}

    def open_relations(self) -> dict[str, dict[str, int]]:
        """How many relations are open of each migration, by its label and by column."""
        return open_relations(self.database)

    def consequences(self, run: Run) -> dict[str, dict[str, int]]:
        """Of the failures of a run, by label, those that are mended together with their targets.

        How many there are by what their patterns begin with, ``FOLLOWS`` or ``UNREAD``.
        """
        rows = RowError.objects.using(self.database).filter(
            step__run=run, kind=MessageKind.FAILURE
        )
        found: dict[str, dict[str, int]] = {}
        for start in (FOLLOWS, UNREAD):
            those = (
                rows.filter(pattern__startswith=start).order_by().values_list("step__migration")
            )
            for label, number in those.annotate(rows=Count("pk")):
                found.setdefault(label, {})[start] = number
        return found

    def start_run(
        self,
        steps: Iterable[NewStep],
        *,
        kind: RunKind,
        mode: Mode,
        options: dict[str, Any],
        queued: Run | None = None,
        fills: Sequence[str] = (),
    ) -> Run:
        """Record a run with its steps, none of them started; skipped ones are marked.

        ``queued`` is the run that was recorded when it was asked for; it has kind, mode
        and options already. ``fills`` are the labels of the models that it fills, which no run of
        another lane may fill meanwhile. Raises :exc:`RunRefused` while another run is going on,
        and when another process has claimed ``queued``.
        """
        assert queued is None or queued.lane == self.lock.lane, "a ledger of the run's lane"
        steps = list(steps)
        self.lock.refuse_second()
        with (
            self.lock.refused_by_other_lanes(),
            writing(self.database),
            transaction.atomic(using=self.database),
        ):
            self._refuse_beside(fills)
            if fills:
                options = {**options, _FILLS: list(fills)}
            if queued is not None:
                run = claim_run(queued, database=self.database)
                if fills:
                    run.options = {**run.options, _FILLS: list(fills)}
                    run.save(using=self.database, update_fields=["options"])
            else:
                run = Run.objects.using(self.database).create(
                    status=RunStatus.RUNNING,
                    kind=kind,
                    lane=self.lock.lane,
                    mode=mode,
                    options=options,
                    **this_process(),
                )
            self.lock.acquire(run)
            RunStep.objects.using(self.database).bulk_create(
                RunStep(
                    run=run,
                    position=position,
                    migration=step.label,
                    status=RunStatus.SKIPPED if step.is_skipped else RunStatus.PENDING,
                )
                for position, step in enumerate(steps, start=1)
            )
            # Now, since a rehearsal's messages refer to them after everything was rolled back.
            MigrationState.objects.using(self.database).bulk_create(
                (MigrationState(label=step.label) for step in steps), ignore_conflicts=True
            )
        try:
            # One that began in the same moment: the other does not see this one either.
            self._refuse_beside(fills, before=run.pk)
        except RunRefused as error:
            self.finish_run(run, RunStatus.FAILED, str(error))
            raise
        return run

    def _refuse_beside(self, fills: Sequence[str], *, before: int | None = None) -> None:
        """Raise :exc:`RunRefused` where a run of another lane fills one of these models.

        With ``before`` only one with a lower number.
        """
        if not fills:
            return
        others = Run.objects.using(self.database).filter(status=RunStatus.RUNNING)
        if before is not None:
            others = others.filter(pk__lt=before)
        for other in others.exclude(lane=self.lock.lane):
            shared = sorted(set(fills).intersection(other.options.get(_FILLS) or ()))
            if shared and other.is_alive:
                raise RunRefused(
                    f"Another run{of_lane(other.lane) or ' of imports'} fills {', '.join(shared)}"
                    f" as well. {describe_run(other)} Try again when it has ended."
                )

    def add_step(
        self, run: Run, label: str, *, position: int, status: RunStatus, counts: dict[str, int]
    ) -> RunStep:
        """Record a step that is done already; it took as long as its run until now."""
        now = timezone.now()
        return RunStep.objects.using(self.database).create(
            run=run,
            position=position,
            migration=label,
            status=status,
            started_at=run.started_at,
            finished_at=now,
            seconds=(now - (run.started_at or now)).total_seconds(),
            **counts,
        )

    def start_step(self, step: RunStep) -> MigrationState:
        """Begin a step; returns what is remembered of its migration."""
        step.status = RunStatus.RUNNING
        step.started_at = timezone.now()
        state = MigrationState.objects.using(self.database).get(label=step.migration)
        self.open_messages(step, state)
        if not step.run.is_dry:
            step.save(using=self.database)
        return state

    def warn_afterwards(self, label: str, messages: Sequence[Message]) -> None:
        """Keep warnings with the last committed step of a migration; dropped if it has none."""
        step = self.states().get(label) if messages else None
        if step is None:
            return
        state = MigrationState.objects.using(self.database).get(label=label)
        kept = Messages(step, state, database=self.database)
        for message in messages:
            kept.note(message)
        step.warnings += len(messages)
        step.save(using=self.database, update_fields=["warnings"])
        kept.save()

    def finish_run(self, run: Run, status: RunStatus, error: str = "") -> None:
        run.status, run.error, run.finished_at = status, error, timezone.now()
        with transaction.atomic(using=self.database):
            run.save(using=self.database, update_fields=["status", "error", "finished_at"])
            self.lock.release()

    def forget_run(self, run: Run) -> None:
        """End a run that did nothing but hold the lock, and leave nothing of it."""
        with transaction.atomic(using=self.database):
            self.lock.release()
            run.delete(using=self.database)
