"""No patch runs twice, whatever breaks off: each object is processed exactly once.

Runs end anywhere: in a patch, before and after a commit, when the lock is lost. In between the
patch is renamed, its code is edited, another host tries. A revision runs it again, once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import F
from hypothesis import given, settings
from hypothesis import strategies as st

from data_migration.exceptions import RunRefused
from data_migration.ledger import Ledger, NewStep
from data_migration.ledger.lanes import PATCHES
from data_migration.ledger.steps import StepLedger
from data_migration.models import (
    MigrationState,
    PatchRecord,
    RowError,
    Run,
    RunLock,
    RunStep,
    StepRange,
)
from data_migration.outcomes import Mode, OnError, PatchState, RunKind, RunStatus
from data_migration.patches import Patch
from data_migration.patches.definition import Definition
from data_migration.patches.discovery import Patches
from data_migration.patches.options import PatchOptions
from data_migration.patches.runner import PatchRun, run_patches
from tests.apps.shop.models import Custom

pytestmark = pytest.mark.django_db(transaction=True)

OBJECTS = 14


class Died(BaseException):
    """Stands for the end of the process at one point."""


class Count(Patch):
    batch_size = 3
    #: At which object to die, and which fails.
    dies_at = 0
    fails_at = 0

    def queryset(self) -> Any:
        return Custom.objects.all()

    def process(self, item: Custom) -> None:
        if item.pk == self.dies_at:
            raise Died
        if item.pk == self.fails_at:
            raise ValueError("not this one")
        item.width += 1


class CountBatches(Count):
    process = Patch.process

    def process_batch(self, queryset: Any) -> None:
        keys = set(queryset.values_list("pk", flat=True))
        queryset.update(width=F("width") + 1)
        if self.dies_at in keys:
            raise Died
        if self.fails_at in keys:
            raise ValueError("not this one")


class CountWhole(Count):
    queryset = Patch.queryset

    def execute(self) -> None:
        Custom.objects.update(width=F("width") + 1)
        if self.dies_at:
            raise Died
        if self.fails_at:
            raise ValueError("not this one")


@dataclass(frozen=True)
class Step:
    """One try: what ends it, and what changed of the patch before it."""

    dies_at: int = 0
    fails_at: int = 0
    #: Die before or after that many commits.
    before_commit: int = 0
    after_commit: int = 0
    limit: int | None = None
    on_error: OnError = OnError.STOP
    renamed: bool = False
    another_host: bool = False


STEPS = st.builds(
    Step,
    dies_at=st.sampled_from([0, 0, 1, 5, 9, OBJECTS]),
    fails_at=st.sampled_from([0, 0, 2, 8]),
    before_commit=st.sampled_from([0, 0, 1, 2, 3, 4]),
    after_commit=st.sampled_from([0, 0, 1, 2, 3, 4]),
    limit=st.sampled_from([None, None, 1, 4]),
    on_error=st.sampled_from(OnError),
    renamed=st.booleans(),
    another_host=st.booleans(),
)


def define(patch: type[Patch], *, renames: int, revision: int) -> Definition:
    """The patch under its new name; it replaces the one under which it ran last."""
    last = PatchRecord.objects.order_by("-pk").first()
    name = f"count_{renames}"
    return Definition(
        app_label="shop",
        name=name,
        revision=str(revision),
        title="",
        patch=patch,
        folder=Path(__file__).parent,
        place="a test",
        replaces=(last.label,) if last is not None and last.name != name else (),
    )


@contextmanager
def dying(step: Step) -> Iterator[None]:
    """The process dies right before, or right after, one of its commits."""
    committing = StepLedger.committing
    commits = [0]

    @contextmanager
    def deadly(self: StepLedger, of: RunStep) -> Iterator[None]:
        commits[0] += 1
        with committing(self, of):
            yield
            if commits[0] == step.before_commit:
                raise Died
        if commits[0] == step.after_commit:
            raise Died

    with pytest.MonkeyPatch.context() as patching:
        patching.setattr(StepLedger, "committing", deadly)
        yield


def attempt(definition: Definition, step: Step) -> PatchRun:
    options = PatchOptions(mode=Mode.COMMIT, limit=step.limit, on_error=step.on_error)
    with dying(step):
        return run_patches(Patches((definition,)), options)


def refused_beside_another_host(definition: Definition) -> None:
    """While a run of another host is at work nothing is run here."""
    ledger = Ledger("default", lane=PATCHES)
    run = ledger.start_run([NewStep("x")], kind=RunKind.PATCH, mode=Mode.COMMIT, options={})
    before = widths()
    Run.objects.filter(pk=run.pk).update(host="another")
    with suppress(RunRefused):
        # It says so at once where it sees that nothing is due.
        assert run_patches(Patches((definition,)), PatchOptions(mode=Mode.COMMIT)).run is None
    assert widths() == before
    ledger.finish_run(run, RunStatus.DONE)


def widths() -> list[int]:
    return list(Custom.objects.order_by("pk").values_list("width", flat=True))


def clear() -> None:
    RunLock.objects.update(run=None)
    for model in (PatchRecord, StepRange, RowError, RunStep, Run, MigrationState, Custom):
        model._base_manager.all().delete()


@pytest.mark.parametrize("kind", [Count, CountBatches, CountWhole])
@settings(max_examples=12)
@given(tries=st.lists(STEPS, max_size=6), revised=st.booleans())
def test_each_object_is_processed_once_whatever_breaks_off(
    kind: type[Count], tries: list[Step], revised: bool
) -> None:
    clear()
    Custom.objects.bulk_create(Custom(pk=n) for n in range(1, OBJECTS + 1))
    renames = 0
    for step in tries:
        renames += step.renamed
        # Each with other code, as when somebody mends it: it goes on where it was all the same.
        ends = {"dies_at": step.dies_at, "fails_at": step.fails_at}
        edited = type(f"Edited{renames}", (kind,), {**ends, "__module__": __name__})
        definition = define(edited, renames=renames, revision=1)
        if step.another_host:
            refused_beside_another_host(definition)
        attempt(definition, step)
        assert set(widths()) <= {0, 1}
    sound = define(kind, renames=renames, revision=1)
    done = attempt(sound, Step())
    assert done.error is None
    assert widths() == [1] * OBJECTS
    assert attempt(sound, Step()).run is None  # nothing is due any more
    assert attempt(define(kind, renames=renames + 1, revision=1), Step()).run is None
    assert not RowError.objects.filter(is_open=True).exists()
    if revised:
        attempt(replace(sound, revision="2"), Step(after_commit=2))
        attempt(replace(sound, revision="2"), Step())
        assert widths() == [2] * OBJECTS


def test_a_callback_that_raises_leaves_a_patch_done_that_was_committed() -> None:
    class Calling(CountWhole):
        def execute(self) -> None:
            super().execute()
            transaction.on_commit(lambda: 1 / 0)

    Custom.objects.create(pk=1)
    definition = define(Calling, renames=0, revision=1)
    done = attempt(definition, Step())
    assert isinstance(done.error, ZeroDivisionError)
    assert done.states == {"shop.count_0": PatchState.DONE}
    assert attempt(definition, Step()).run is None
    assert widths() == [1]


def test_a_patch_that_fails_with_every_migrate_keeps_its_one_record() -> None:
    class Always(CountWhole):
        always = True

    Custom.objects.create(pk=1)
    sound = define(Always, renames=0, revision=1)
    broken = define(type("Always", (Always,), {"fails_at": 1}), renames=0, revision=1)
    options = PatchOptions(mode=Mode.COMMIT, with_always=True)
    states = []
    for definition in (sound, broken, broken, sound):
        run_patches(Patches((definition,)), options)
        states.append(PatchRecord.objects.get().state)
    assert states == ["done", "failed", "failed", "done"]
    assert widths() == [2]


@pytest.mark.skipif(connection.vendor == "sqlite", reason="one writer at a time")
def test_a_run_that_lost_its_lock_leaves_the_record_to_the_other() -> None:
    class Robbed(Count):
        def process(self, item: Custom) -> None:
            super().process(item)
            if item.pk == 4:
                other = Ledger("default", lane=PATCHES)
                Run.objects.update(host="elsewhere", heartbeat="2020-01-01T00:00:00Z")
                other.lock.acquire(
                    Run.objects.create(
                        status="running",
                        mode="commit",
                        lane=PATCHES,
                        heartbeat="2020-01-01T00:00Z",
                    )
                )

    Custom.objects.bulk_create(Custom(pk=n) for n in range(1, OBJECTS + 1))
    done = attempt(define(Robbed, renames=0, revision=1), Step())
    record = PatchRecord.objects.get()
    assert done.error is not None
    assert record.reason == ""
