"""Old runs go with their messages; what it takes to go on or to roll back stays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from data_migration import Migration
from data_migration.exceptions import LedgerError
from data_migration.ledger import PATCHES, Ledger
from data_migration.ledger.claims import keep_ranges
from data_migration.ledger.patches import PatchBook
from data_migration.ledger.pruning import Pruned, prune
from data_migration.models import BeforeImage, RowError, Run, RunLock, RunStep, StepRange
from data_migration.outcomes import Mode, OnConflict, PatchState, RunStatus
from data_migration.patches import Patch
from data_migration.patches.rollback import roll_back as roll_back_patches
from data_migration.plan.graph import build_plan
from data_migration.undo import Selection, roll_back
from tests.apps.shop.models import Brand
from tests.support.engine import label_of, links_of, migrate, migrate_fine, open_failures_of
from tests.target.patches.attempts import attempt

pytestmark = pytest.mark.django_db

ACME, BOLT = {"code": "acme", "name": "Acme"}, {"code": "bolt", "name": "Bolt"}
NEW_ACME = {"code": "acme", "name": "Acme & Sons"}


class BrandMigration(Migration):
    model = Brand
    allow_updates = True
    search_attr = "code"


def age(*runs: Run, days: int = 100) -> None:
    """Let these runs (all without one) have ended that long ago."""
    chosen = Run.objects.filter(pk__in=[run.pk for run in runs]) if runs else Run.objects.all()
    chosen.update(finished_at=timezone.now() - timedelta(days=days))


def pruned(days: int = 90) -> Pruned:
    return prune(timezone.now() - timedelta(days=days), database="default")


def run_of(rows: Sequence[Any], **options: Any) -> Run:
    return migrate(BrandMigration, rows, **options).run


def kept_runs() -> list[int]:
    return sorted(Run.objects.values_list("pk", flat=True))


def roll_back_all(run: int | None = None) -> None:
    plan = build_plan({label_of(BrandMigration): BrandMigration})
    roll_back(Selection(run=run), plan, Ledger("default"))


def state() -> RunStep:
    return Ledger("default").states()[label_of(BrandMigration)]


def names() -> dict[str, str]:
    return dict(Brand.objects.values_list("code", "name"))


def test_the_runs_before_the_last_one_go_with_their_steps_and_messages() -> None:
    rehearsal = run_of([ACME, {"code": "bolt", "name": None}], mode=Mode.REHEARSAL)
    first, last = run_of([ACME]), run_of([ACME])
    age(rehearsal, first, last)

    assert pruned() == Pruned(runs=2, messages=1, images=0)
    assert kept_runs() == [last.pk]
    assert (RunStep.objects.count(), RowError.objects.count()) == (1, 0)


def test_what_ended_since_is_kept() -> None:
    first, _ = run_of([ACME]), run_of([ACME])
    age(first, days=89)

    assert pruned() == Pruned(runs=0, messages=0, images=0)
    assert len(kept_runs()) == 2


def test_links_stay_so_that_a_rerun_writes_nothing() -> None:
    run_of([ACME, BOLT])
    run_of([ACME, BOLT])
    age()
    links = links_of(BrandMigration)
    pruned()

    assert links_of(BrandMigration) == links
    assert migrate_fine(BrandMigration, [ACME, BOLT]).counts == {"unchanged": 2}


def test_a_run_with_failures_that_are_still_open_stays() -> None:
    failed = run_of([ACME, {"code": "bolt", "name": None}])
    run_of([ACME], limit=1)
    age()

    assert pruned() == Pruned(runs=0, messages=0, images=0)
    assert open_failures_of(BrandMigration) == ['"bolt"']
    assert failed.pk in kept_runs()


def test_once_its_failures_are_mended_it_goes() -> None:
    failed = run_of([ACME, {"code": "bolt", "name": None}])
    migrate_fine(BrandMigration, [ACME, BOLT])
    age()

    assert pruned() == Pruned(runs=1, messages=1, images=0)
    assert failed.pk not in kept_runs()


def test_the_state_of_a_migration_is_the_same_afterwards() -> None:
    run_of([ACME])
    age(run_of([ACME, BOLT]))
    before = state()
    pruned()

    assert (state().pk, state().status) == (before.pk, RunStatus.DONE)


def test_a_run_that_was_rolled_back_as_a_whole_does_not_tell_the_state() -> None:
    committed, atomic = run_of([ACME]), run_of([ACME])
    RunStep.objects.filter(run=atomic).update(status=RunStatus.PENDING)  # another step failed
    age()
    pruned()

    assert kept_runs() == [committed.pk]
    assert (state().run_id, state().status) == (committed.pk, RunStatus.DONE)


def test_after_a_rollback_the_migration_stays_pending() -> None:
    run_of([ACME])
    roll_back_all()
    age()
    pruned()

    assert state().status == RunStatus.PENDING
    assert [run.mode for run in Run.objects.all()] == [Mode.ROLLBACK]


def test_a_run_that_is_going_on_stays() -> None:
    run = run_of([ACME])
    run_of([ACME])
    Run.objects.filter(pk=run.pk).update(status=RunStatus.RUNNING)
    age()

    assert pruned().runs == 0


def test_the_lock_outlives_the_run_that_had_it() -> None:
    first = run_of([ACME])
    run_of([ACME])
    age()
    RunLock.objects.update(run=first)
    pruned()

    assert RunLock.objects.get().run_id is None
    migrate_fine(BrandMigration, [ACME])


class TestImages:
    def test_those_of_objects_that_the_migration_made_go(self) -> None:
        run_of([ACME])
        run_of([NEW_ACME])
        run_of([NEW_ACME])
        age()

        assert BeforeImage.objects.count() == 1
        assert pruned().images == 1

    def test_those_of_runs_that_stay_stay(self) -> None:
        run_of([ACME])
        age(run_of([NEW_ACME]))

        assert pruned().images == 0
        assert BeforeImage.objects.count() == 1

    def test_an_object_that_was_there_before_gets_its_values_back(self) -> None:
        Brand.objects.create(**ACME)
        run_of([NEW_ACME, BOLT])
        run_of([{"code": "acme", "name": "Acme Group"}, BOLT])
        run_of([{"code": "acme", "name": "Acme Group"}, BOLT])
        age()
        assert pruned() == Pruned(runs=2, messages=0, images=0)

        roll_back_all()

        assert names() == {"acme": "Acme"}

    def test_one_that_was_deleted_because_its_row_is_gone_comes_back(self) -> None:
        Brand.objects.create(**ACME)
        remover = {"removed": "delete", "removed_limit": 100}
        run_of([NEW_ACME, BOLT])
        _set(remover, lambda: run_of([BOLT]))
        run_of([BOLT])
        age()
        assert names() == {"bolt": "Bolt"}
        assert pruned() == Pruned(runs=2, messages=0, images=0)

        roll_back_all()

        assert names() == {"acme": "Acme"}

    def test_one_that_somebody_deleted_is_made_again_and_goes_as_a_whole(self) -> None:
        run_of([ACME])
        run_of([NEW_ACME])
        Brand.objects.all().delete()
        _set({"on_conflict": OnConflict.OVERWRITE}, lambda: run_of([ACME]))
        run_of([ACME])
        age()
        pruned()

        roll_back_all()

        assert names() == {}


def _set(attributes: dict[str, Any], do: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in attributes.items():
            patch.setattr(BrandMigration, name, value, raising=False)
        do()


def test_a_pruned_run_cannot_be_rolled_back_by_its_number() -> None:
    first = run_of([ACME])
    run_of([ACME, BOLT])
    age()
    pruned()

    with pytest.raises(LedgerError, match=f"There is no run {first.pk}"):
        roll_back_all(run=first.pk)


def test_runs_with_ranges_in_which_a_patch_goes_on_stay_until_it_is_done() -> None:
    book = PatchBook("default")
    record = book.begin("shop", "count", "1", digest="", run=None)
    steps = []
    for _ in range(2):
        steps += migrate(BrandMigration, [ACME]).run.steps.all()
    keep_ranges(
        [StepRange(step=steps[0], number=1, status="pending", fingerprint=record.mark)],
        database="default",
    )
    age()
    pruned()
    assert kept_runs() == [step.run_id for step in steps]
    book.finish(record, PatchState.DONE)
    pruned()
    assert kept_runs() == [steps[1].run_id]


def test_runs_whose_part_in_a_patch_can_be_rolled_back_stay_until_it_is() -> None:
    class Shout(Patch):
        writes = (Brand,)

        def queryset(self) -> Any:
            return Brand.objects.all()

        def process(self, item: Any) -> None:
            item.name += "!"

    Brand.objects.create(**ACME)
    Brand.objects.create(**BOLT)
    first, last = attempt(Shout, limit=1).run, attempt(Shout).run
    unkept = attempt(type("Unkept", (Shout,), {"writes": ()})).run
    attempt(type("Unkept", (Shout,), {"writes": ()}), again=True)
    age()
    pruned()
    assert {first.pk, last.pk} <= {*kept_runs()}
    assert unkept.pk not in kept_runs()

    label = "patch:shop.shout"
    with pytest.raises(LedgerError, match="is not the only one that worked on"):
        roll_back_patches(Selection(run=last.pk), {}, Ledger("default", PATCHES))
    roll_back_patches(Selection(labels=(label,)), {}, Ledger("default", PATCHES), force=True)
    age()
    pruned()
    assert first.pk not in kept_runs()
