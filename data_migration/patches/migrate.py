"""Patches around Django's ``migrate``: by one command for both, or from ``migrate`` itself."""

from __future__ import annotations

import atexit
import inspect
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from django.apps import apps as installed
from django.apps.registry import Apps
from django.core import mail
from django.core.management import CommandError, call_command
from django.core.management.commands.migrate import Command as DjangosMigrate
from django.db import Error, connections, transaction
from django.db.migrations import Migration, SeparateDatabaseAndState
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.db.models.signals import post_migrate, pre_migrate

from ..conf import settings
from ..exceptions import DataMigrationError, LedgerError, RunRefused, SpecError
from ..ledger import Ledger
from ..ledger.patches import PatchBook
from ..outcomes import Mode, PatchState, RunKind
from ..progress import Progress
from ..utils.wording import error_text, number_of
from . import fresh
from .definition import Definition
from .digest import digest_of
from .discovery import Patches, discover, find
from .operations import PatchOperation, RequirePatch, RunPatch
from .options import BEFORE, PatchOptions
from .records import SETTLED, standings
from .runner import PatchRun, run_patches
from .schema import Schema
from .stages import Stages, stages

Value = TypeVar("Value")

#: The lane of who migrates the schema with patches around: one at a time.
MIGRATE = "schema migrations"
#: Seconds between two looks at whether the others are done.
_PAUSE = 0.5
#: The databases that are being migrated by us, so that Django's signals are not for us.
_ours: set[str] = set()


@dataclass(frozen=True, slots=True)
class Listeners:
    """``tell`` receives sentences, ``told`` each run of patches that came to its end.

    ``told`` raises :exc:`CommandError` where that was no good end.
    """

    tell: Callable[[str], None]
    told: Callable[[PatchRun], None]
    progress: Progress = field(default_factory=Progress)


def migrate_with_patches(options: PatchOptions, listeners: Listeners, **of_migrate: Any) -> None:
    """Do all that is due: patches, Django's ``migrate`` in as few stages as needed, patches.

    ``of_migrate`` are options of Django's ``migrate``. In a rehearsal nothing is migrated: those
    patches are rehearsed that would run first, of the others it is said when they would. Raises
    :exc:`CommandError`, :exc:`SpecError` and :exc:`LedgerError`.
    """
    around = _Around(discover(), options, listeners)
    if options.mode == Mode.REHEARSAL:
        around.rehearse()
        return
    database = options.database
    if not _is_ready(database):
        _migrate(database, "data_migration", **of_migrate)
    with turn(database, listeners.tell), _by_us(database):
        fresh.remember(database, fresh.installed_by(_plan(database)))
        try:
            around.before_and_between(lambda *names: _migrate(database, *names, **of_migrate))
            around.after()
        finally:
            fresh.remember(database, frozenset())
    if around.failures:
        raise CommandError(
            "\n".join(map(str, around.failures)), returncode=around.failures[0].returncode
        )


class _Around:
    """The patches around one ``migrate``."""

    def __init__(self, patches: Patches, options: PatchOptions, listeners: Listeners) -> None:
        self._patches = patches
        self._options = replace(options, with_always=True)
        self._database = options.database
        self._listeners = listeners
        self.tell = listeners.tell
        self._tried: set[str] = set()
        #: Of patches that failed and were skipped.
        self.failures: list[CommandError] = []

    def rehearse(self) -> None:
        """Rehearse what would run first, and tell when the rest would."""
        tell, database = self.tell, self._database
        plan = _plan(database)
        fresh.remember(database, fresh.installed_by(plan))
        try:
            found = self.stages(plan)
        finally:
            fresh.remember(database, frozenset())
        self.refuse_late(found)
        self._run(found.at(0), _apps_now(database) if plan else installed)
        for number, migration in enumerate(plan, start=1):
            tell(f"migrate would apply {migration}.")
            for label in found.at(number):
                tell(f"{label} would run then; it cannot be rehearsed before.")
        for label, why in found.waiting.items():
            tell(f"{label} would not run. {why}")

    def before_and_between(self, migrate: Callable[..., None]) -> None:
        """Everything up to the end of Django's migrate."""
        while True:
            plan = _plan(self._database)
            found = self.stages(plan)
            self.refuse_late(found)
            first = self.early(found)
            if todo := [label for label in first if label not in self._tried]:
                self._run(todo, _apps_now(self._database) if plan else installed)
                continue
            if urgent := [label for label in first if label in found.urgent]:
                raise CommandError(
                    f"{', '.join(urgent)} {'has' if len(urgent) == 1 else 'have'} to run before"
                    f" {plan[0]}, so nothing more was migrated."
                )
            if found.next_stop == len(plan):
                migrate()
                return
            reached = plan[: found.next_stop]
            last = {each.app_label: each for each in reached}
            for each in reached:
                if last[each.app_label] is each and each in _plan(self._database):
                    migrate(each.app_label, each.name)

    def after(self) -> None:
        """What is left when the schema is migrated."""
        self._record_new()
        found = self.stages([])
        self._run([label for label in found.at(0) if label not in self._tried], installed)

    def early(self, found: Stages) -> list[str]:
        """What runs before the plan."""
        if found.length:
            return found.at(0)
        schema = Schema.of(self._database)
        return [each for each in found.at(0) if schema.phase(self._patches[each]) == BEFORE]

    def run_early(self, found: Stages) -> None:
        self._run(self.early(found), _apps_now(self._database) if found.length else installed)

    def stages(self, plan: Sequence[Migration], *, is_ready: bool = True) -> Stages:
        """Where what is due runs in a plan; without tables of ours everything is due."""
        schema = Schema.of(self._database)
        run_in, required_in = _operations(plan)
        return stages(
            [each for each in self._due(is_ready=is_ready) if not schema.too_late(each)],
            schema,
            [(each.app_label, each.name) for each in plan],
            run_in=run_in,
            required_in=required_in,
        )

    def refuse_late(self, found: Stages) -> None:
        """Raise :exc:`CommandError` where the plan would go past a patch."""
        if found.late:
            listed = "\n".join(f"  {label}: {why}" for label, why in found.late.items())
            raise CommandError(f"migrate would go past patches. Nothing was migrated.\n{listed}")

    def _due(self, *, is_ready: bool) -> Iterator[Definition]:
        new = fresh.installing(self._database)
        schema = Schema.unasked(self._patches)
        settled = set()
        blocked = set()
        if is_ready:
            for each in standings(self._patches, database=self._database, schema=schema):
                if each.is_settled:
                    settled.add(each.label)
                elif each.state == PatchState.BLOCKED:
                    blocked.add(each.label)
        for definition in self._patches:
            is_new = definition.app_label in new and fresh.is_for_old_data(definition)
            if definition.patch.always:
                if definition.label not in self._tried:
                    yield definition
            elif not is_new and definition.label not in settled | blocked:
                yield definition

    def _run(self, labels: Iterable[str], apps: Apps) -> None:
        """Run these patches, when others are done; raises what ``told`` raises.

        Where the schema is behind the code, the models of today have columns that are not there,
        and lack such as a patch is there to read: ``apps`` are the models as the tables are.
        """
        if not (labels := tuple(labels)):
            return
        self._tried.update(labels)
        asked = replace(self._options, labels=labels)
        progress = self._listeners.progress
        done = _when_free(
            lambda: run_patches(self._patches, asked, progress=progress, apps=apps), self.tell
        )
        try:
            self._listeners.told(done)
        except CommandError as error:
            if not asked.skip_failing or self._is_critical(done):
                raise
            self.failures.append(error)

    def _is_critical(self, done: PatchRun) -> bool:
        return any(
            state not in SETTLED and self._patches[label].patch.critical
            for label, state in done.states.items()
        )

    def _record_new(self) -> None:
        """Record as not needed what has no old data to mend, since its app is new."""
        record_new(self._patches, self._database)
        fresh.remember(self._database, frozenset())


def record_new(patches: Patches, database: str) -> None:
    """Record patches as not needed of apps that the migrate that is over has installed."""
    if not fresh.installing(database):
        return
    schema, asked = Schema.of(database), Schema.unasked(patches)
    with transaction.atomic(using=database):
        for each in standings(patches, database=database, schema=asked):
            definition = each.definition
            if each.record is not None or schema.too_early(definition):
                continue  # of a part of the schema only: there may be objects when the rest comes
            if fresh.is_fresh(definition, installed, database):
                PatchBook(database).not_needed(
                    *definition.identity,
                    digest=digest_of(definition),
                    reason=f"{definition.app_label} was installed here, and had no objects yet.",
                )


# ---------------------------------------------------------------------- from manage.py migrate


@dataclass
class _Passes:
    """The ``manage.py migrate`` that is going on with the setting, by database."""

    open: dict[str, tuple[_Around, ExitStack]] = field(default_factory=dict)

    def end(self, database: str) -> None:
        if database in self.open:
            self.open.pop(database)[1].close()

    def end_all(self) -> None:
        """At the end of a process that failed; the lock of a dead one is free as well."""
        for database in list(self.open):
            with suppress(Error):
                self.end(database)


_passes = _Passes()


def connect_signals() -> None:
    """Listen to Django's migrate; whether anything is to be done is asked each time."""
    pre_migrate.connect(_before, sender=installed.get_app_config("data_migration"))
    post_migrate.connect(_after)
    atexit.register(_passes.end_all)


def _before(using: str, plan: Any = None, **signal: Any) -> None:
    """Once per migrate, since it has one sender."""
    if plan is None or using in _ours:
        return
    _passes.end(using)  # of one that failed
    migrations = [migration for migration, backwards in plan if not backwards]
    fresh.remember(using, fresh.installed_by(migrations))
    if not _is_asked_for(plan):
        return
    with _as_command_errors():
        patches = discover()
        if not len(patches):
            return
        around = _Around(
            patches, PatchOptions(mode=Mode.COMMIT, database=using), _telling(**signal)
        )
        if not _is_ready(using):
            _refuse_to_go_past(around.stages(migrations, is_ready=False), plan, is_ready=False)
            return
        with ExitStack() as stack:
            stack.enter_context(turn(using, around.tell))
            _leave_out_applied(plan, using)
            migrations = [migration for migration, _ in plan]
            found = around.stages(migrations)
            around.refuse_late(found)
            _refuse_to_go_past(found, plan, is_ready=True)
            around.run_early(found)
            _passes.open[using] = (around, stack.pop_all())


def _after(sender: Any, using: str, plan: Any = None, **signal: Any) -> None:
    """Once per migrate: when all others have heard that it is over."""
    if plan is None or using in _ours or sender is not _last_sender():
        return
    try:
        is_first = using not in _passes.open and _is_asked_for(plan)
        is_new = bool(fresh.installing(using)) and not hasattr(mail, "outbox") and not _is_fake()
        if not (is_first or is_new or using in _passes.open) or not _is_ready(using):
            return
        with _as_command_errors():
            if using in _passes.open:
                _passes.open[using][0].after()
            elif is_first:  # our tables were not there before
                options = PatchOptions(mode=Mode.COMMIT, database=using)
                around = _Around(discover(), options, _telling(**signal))
                with turn(using, around.tell):
                    around.after()
            else:
                record_new(find().patches, using)
    finally:
        fresh.remember(using, frozenset())
        _passes.end(using)


def _is_asked_for(plan: Sequence[tuple[Migration, bool]]) -> bool:
    return (
        settings.patches_on_migrate
        and not any(backwards for _, backwards in plan)
        and not hasattr(mail, "outbox")  # Django's own sign of a test run
        and not _is_fake()
    )


def _is_fake() -> bool:
    """Whether ``migrate --fake`` is going on: Django's signals do not tell."""
    frame = inspect.currentframe()
    while frame is not None:
        if isinstance(frame.f_locals.get("self"), DjangosMigrate):
            options = frame.f_locals.get("options")
            if isinstance(options, dict) and options.get("fake"):
                return True
        frame = frame.f_back
    return False


def _last_sender() -> Any:
    """The app that Django tells last of its migrate."""
    return [each for each in installed.get_app_configs() if each.models_module is not None][-1]


def _leave_out_applied(plan: list[Any], database: str) -> None:
    """What another host has applied while it was waited for is not applied again."""
    applied = MigrationRecorder(connections[database]).applied_migrations()
    left = [each for each in plan if (each[0].app_label, each[0].name) not in applied]
    if left and len(left) < len(plan):
        raise CommandError(
            "Another process has migrated meanwhile, and not all of it. Nothing was migrated by"
            " this one: run the same command again."
        )
    if not left:
        plan.clear()


def _refuse_to_go_past(found: Stages, plan: Sequence[Any], *, is_ready: bool) -> None:
    """Raise :exc:`CommandError` where one pass cannot do it, and no operation of it does."""
    _, required = _operations([migration for migration, _ in plan])
    finished = {
        operation.label
        for migration, _ in plan
        for operation in _of_patches(migration.operations)
        if isinstance(operation, RequirePatch) and operation.finish
    }
    past = [label for label in found.between if label not in finished & required.keys()]
    if not is_ready:
        past = [label for label in found.places if label in found.urgent - finished]
    if past or found.late:
        names = [plan[found.places[label] - 1][0] for label in past if found.places[label]]
        where = f" (after {', '.join(sorted({str(name) for name in names}))})" if names else ""
        listed = ", ".join([*past, *found.late])
        raise CommandError(
            f"migrate would go past patches that have to run before some of its schema migrations"
            f" are applied: {listed}{where}. Nothing was migrated. Run: manage.py run_patches"
            " --migrate --commit"
        )


def _telling(stdout: Any = None, verbosity: int = 1, **signal: Any) -> Listeners:
    def tell(text: str) -> None:
        if stdout is not None and verbosity > 0:
            stdout.write(text)
            stdout.flush()

    def told(done: PatchRun) -> None:
        for label, state in done.states.items():
            tell(f"  Patch {label}: {state.label}")
        if problems := done.problems():
            raise CommandError("\n".join(problems)) from done.error
        if done.failed:
            failed = number_of(done.failed, "object")
            raise CommandError(f"{failed} failed. See: manage.py show_patches --messages")

    return Listeners(tell, told)


@contextmanager
def _as_command_errors() -> Iterator[None]:
    """Django's migrate shows these without a traceback."""
    try:
        yield
    except DataMigrationError as error:
        code = 2 if isinstance(error, SpecError) else 1
        raise CommandError(error_text(error), returncode=code) from error


# ---------------------------------------------------------------------- Django's migrate


def _plan(database: str) -> list[Migration]:
    """What Django's migrate would apply now."""
    executor = MigrationExecutor(connections[database])
    executor.loader.check_consistent_history(connections[database])
    return [each for each, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())]


def _apps_now(database: str) -> Apps:
    """The models as the schema migrations that are applied have them."""
    loader = MigrationExecutor(connections[database]).loader
    applied = [node for node in loader.graph.nodes if node in loader.applied_migrations]
    return loader.project_state(applied).apps


def _migrate(database: str, *names: str, **options: Any) -> None:
    with _by_us(database):
        call_command("migrate", *names, database=database, interactive=False, **options)


@contextmanager
def _by_us(database: str) -> Iterator[None]:
    was = database in _ours
    _ours.add(database)
    try:
        yield
    finally:
        if not was:
            _ours.discard(database)


def _is_ready(database: str) -> bool:
    """Whether our tables are there, as of this version."""
    try:
        Ledger(database)
    except LedgerError:
        return False
    return True


def _of_patches(operations: Iterable[Any]) -> Iterator[PatchOperation]:
    for each in operations:
        if isinstance(each, PatchOperation):
            yield each
        elif isinstance(each, SeparateDatabaseAndState):
            yield from _of_patches(each.database_operations)


def _operations(plan: Sequence[Migration]) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """Which patches are run by a migration of the plan, and for which one waits: the first."""
    run_in: dict[str, int] = {}
    required_in: dict[str, int] = {}
    for index, migration in enumerate(plan):
        for each in _of_patches(migration.operations):
            (run_in if isinstance(each, RunPatch) else required_in).setdefault(each.label, index)
    return run_in, required_in


@contextmanager
def turn(database: str, tell: Callable[[str], None]) -> Iterator[None]:
    """The block is for one process at a time; another one waits, and says for whom.

    Its run is a lock and no history: it is gone when the block is over.
    """
    ledger = Ledger(database, lane=MIGRATE)
    run = _when_free(
        lambda: ledger.start_run([], kind=RunKind.PATCH, mode=Mode.COMMIT, options={}), tell
    )
    with ledger.lock.beating(run, dict):
        try:
            yield
        finally:
            ledger.forget_run(run)


def _when_free(start: Callable[[], Value], tell: Callable[[str], None]) -> Value:
    """What ``start`` returns, as soon as nobody else is at work."""
    is_told = False
    while True:
        try:
            return start()
        except RunRefused as refused:
            if not is_told:
                tell(f"Waiting. {refused}")
            is_told = True
            time.sleep(_PAUSE)
