"""Rollbacks of patches: what they changed comes back, unless somebody would lose by it."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F

from data_migration import Migration
from data_migration.exceptions import LedgerError, SpecError
from data_migration.launch import handover, jobs
from data_migration.launch.handover import start_rollback
from data_migration.ledger import IMPORTS, PATCHES, Ledger, lock_holder
from data_migration.ledger.patches import PatchBook
from data_migration.models import BeforeImage, MigrationState, PatchRecord, RowLink, Run, RunStep
from data_migration.outcomes import OnError, PatchState, RunKind, RunStatus
from data_migration.patches import Patch
from data_migration.patches.faking import fake
from data_migration.patches.rollback import lane_of, plan_rollback, roll_back
from data_migration.plan.graph import Plan
from data_migration.undo import Rollback, Selection, models_of
from tests.apps.shop.models import Brand, Country, Detail, Product, Restaurant, Tag
from tests.support.engine import label_of, migrate_fine
from tests.support.specs import NewApp
from tests.target.patches.attempts import attempt, define, open_failures, record_of

pytestmark = pytest.mark.django_db(transaction=True)


class Shout(Patch):
    """Batches, one column of one model."""

    writes = (Tag,)
    batch_size = 2

    def queryset(self) -> Any:
        return Tag.objects.all()

    def process(self, item: Any) -> None:
        if item.name == "bad":
            raise ValueError("no")
        item.name = f"{item.name}!"


class Whole(Patch):
    """Creates, changes and deletes objects of two models."""

    writes = (Brand, "shop.Product")

    def execute(self) -> None:
        Brand.objects.filter(code="gone").delete()
        Brand.objects.filter(code="old").update(name="new")
        made = Brand.objects.create(code="made", name="made")
        Product.objects.update(brand=made)


class Unkept(Shout):
    writes = ()


SHOUT, WHOLE = "patch:shop.shout", "patch:shop.whole"


def tags(*names: str) -> None:
    for name in names:
        Tag.objects.create(name=name)


def named() -> list[str]:
    return list(Tag.objects.order_by("pk").values_list("name", flat=True))


def undo(*labels: str, force: bool = False, **selection: Any) -> Rollback:
    chosen = Selection(labels=labels, **selection)
    return roll_back(chosen, {}, Ledger("default", PATCHES), force=force)


def refused(*labels: str, **selection: Any) -> str:
    with pytest.raises((LedgerError, SpecError)) as error:
        undo(*labels, **selection)
    return str(error.value)


def leftovers() -> dict[str, int]:
    return {
        model.__name__: count
        for model in (PatchRecord, RowLink, BeforeImage)
        if (count := model.objects.count())
    }


def test_what_a_patch_changed_comes_back_and_it_is_pending_again() -> None:
    tags("a", "b", "c")
    attempt(Shout)
    assert named() == ["a!", "b!", "c!"]

    done = undo(SHOUT)

    assert named() == ["a", "b", "c"]
    assert (record_of(Shout), leftovers()) == (None, {})
    assert not MigrationState.objects.filter(label__contains="/").exists()
    assert (done.run.kind, done.run.lane, done.run.status) == (
        RunKind.ROLLBACK,
        PATCHES,
        RunStatus.DONE,
    )
    (step,) = RunStep.objects.filter(run=done.run)
    assert (step.migration, step.status, step.updated) == (SHOUT, RunStatus.PENDING, 3)
    assert lock_holder("default", PATCHES) is None
    attempt(Shout)
    assert named() == ["a!", "b!", "c!"]


def test_created_changed_and_deleted_objects_of_several_models_come_back() -> None:
    gone = Brand.objects.create(code="gone", name="gone", number=5)
    Brand.objects.create(code="old", name="old")
    product = Product.objects.create(sku="1", name="P")
    attempt(Whole)
    assert set(Brand.objects.values_list("name", flat=True)) == {"new", "made"}

    done = undo(WHOLE)

    assert {each.code: (each.pk, each.name, each.number) for each in Brand.objects.all()} == {
        "gone": (gone.pk, "gone", 5),
        "old": (Brand.objects.get(code="old").pk, "old", None),
    }
    product.refresh_from_db()
    assert product.brand is None
    assert {undo.label: undo.counts for undo in done.plan.undos} == {
        f"{WHOLE}/shop.Brand": {"deleted": 1, "restored": 2, "forgotten": 0},
        f"{WHOLE}/shop.Product": {"deleted": 0, "restored": 1, "forgotten": 0},
    }
    assert leftovers() == {}


def test_what_a_person_edited_since_is_refused_and_all_of_it_stays() -> None:
    tags("a", "b")
    attempt(Shout)
    edited = Tag.objects.get(name="b!")
    edited.name = "mine"
    edited.save()

    assert refused(SHOUT) == (
        "Nothing was rolled back: 1 reason speaks against it.\n"
        f"  {SHOUT}, key {edited.pk}: shop.Tag {edited.pk}: changed since: name.\n"
        "Undo it nevertheless with --force."
    )
    assert named() == ["a!", "mine"]
    assert record_of(Shout) is not None

    undo(SHOUT, force=True)
    assert named() == ["a", "b"]


def test_an_edit_of_what_the_patch_did_not_write_stands_against_nothing() -> None:
    Product.objects.create(sku="1", name="P")
    attempt(Whole)
    Product.objects.update(name="a person's")

    undo(WHOLE)

    assert Product.objects.get().name == "a person's"


def test_what_something_refers_to_is_not_deleted() -> None:
    class Makes(Patch):
        writes = (Product,)

        def execute(self) -> None:
            Product.objects.create(sku="1", name="P")

    attempt(Makes)
    detail = Detail.objects.create(product=Product.objects.get(), text="a person's")

    assert f"shop.Detail {detail.pk} refers to it (product)" in refused("patch:shop.makes")
    detail.delete()
    undo("patch:shop.makes")
    assert not Product.objects.exists()


def test_what_an_import_took_over_is_not_deleted() -> None:
    class TagMigration(Migration):
        model = Tag
        legacy_key = "name"
        search_attr = "name"
        allow_updates = True

    class Makes(Patch):
        writes = (Tag,)

        def execute(self) -> None:
            Tag.objects.create(name="made")

    attempt(Makes)
    migrate_fine(TagMigration, [{"name": "made"}])
    chosen = Selection(labels=("patch:shop.makes",))

    plan = plan_rollback(chosen, {label_of(TagMigration): Tag}, database="default")

    assert f'{label_of(TagMigration)} has it for its key "made"' in plan.refusals.text()


def test_several_runs_of_a_patch_are_undone_as_a_whole() -> None:
    tags("a", "b", "c", "d")
    first = attempt(Shout, limit=2)
    second = attempt(Shout)
    assert (first.state, second.state) == (PatchState.PARTIAL, PatchState.DONE)

    for number in (first.run.pk, second.run.pk):
        assert refused(run=number) == (
            f"Run {number} is not the only one that worked on shop.shout, and what it did is not"
            " undone by itself: the others' part would be done twice. Roll the patch back as a"
            f" whole: manage.py rollback_legacy {SHOUT}"
        )
    assert named() == ["a!", "b!", "c!", "d!"]
    undo(SHOUT)
    assert named() == ["a", "b", "c", "d"]


def test_one_that_got_half_way_is_undone_half_way() -> None:
    tags("a", "b", "c", "d")
    attempt(Shout, limit=2)

    undo(SHOUT)

    assert named() == ["a", "b", "c", "d"]
    assert record_of(Shout) is None


def test_failures_of_what_was_undone_wait_no_more() -> None:
    tags("a", "bad")
    attempt(Shout, on_error=OnError.CONTINUE)
    assert len(open_failures()) == 1

    undo(SHOUT)

    assert (open_failures(), named()) == ([], ["a", "bad"])


def test_a_run_is_undone_by_its_number() -> None:
    tags("a")
    first = attempt(Shout)
    again = attempt(Shout, again=True)
    assert named() == ["a!!"]
    assert f"run {again.run.pk} wrote it later" in refused(run=first.run.pk)

    undo(run=again.run.pk)

    assert named() == ["a!"]
    record = record_of(Shout)
    assert record is not None
    assert (record.repeat, record.run_id) == (0, first.run.pk)
    undo(run=first.run.pk)
    assert (named(), leftovers()) == (["a"], {})


def test_one_patch_of_a_run_is_undone_by_its_name_and_the_run() -> None:
    tags("a")
    done = attempt(Shout)

    undo(SHOUT, run=done.run.pk)

    assert named() == ["a"]


def test_one_that_found_nothing_to_change_is_pending_again() -> None:
    attempt(Shout)

    done = undo(SHOUT)

    assert [undo.counts for undo in done.plan.undos] == [
        {"deleted": 0, "restored": 0, "forgotten": 0}
    ]
    assert (record_of(Shout), leftovers()) == (None, {})


def test_one_is_found_by_its_new_name_where_it_ran_under_a_former_one(new_app: NewApp) -> None:
    tags("a")
    attempt(Shout)
    new_app("shop2", patches=_RENAMED)

    done = undo("patch:shop2.louder")

    assert ([undo.label for undo in done.plan.undos], named()) == ([SHOUT], ["a"])


_RENAMED = """
from data_migration.patches import patch

@patch(replaces=["shop.shout"])
def louder(ctx):
    pass
"""


def test_join_rows_children_and_texts_as_keys_come_back() -> None:
    through = Product.tags.through

    class Many(Patch):
        writes = (through, Restaurant, Country)

        def execute(self) -> None:
            through.objects.all().delete()
            Restaurant.objects.update(name="new", stars=5)
            Country.objects.filter(code="DE").delete()
            Country.objects.create(code="FR", name="France")

    product = Product.objects.create(sku="1", name="P")
    product.tags.add(Tag.objects.create(name="a"), Tag.objects.create(name="b"))
    Restaurant.objects.create(name="old", stars=1)
    Country.objects.create(code="DE", name="Germany")
    attempt(Many)
    assert (product.tags.count(), Restaurant.objects.get().name) == (0, "new")

    undo("patch:shop.many")

    assert {each.name for each in product.tags.all()} == {"a", "b"}
    assert [(each.name, each.stars) for each in Restaurant.objects.all()] == [("old", 1)]
    assert [(each.code, each.name) for each in Country.objects.all()] == [("DE", "Germany")]
    assert leftovers() == {}


def test_two_patches_that_changed_the_same_are_undone_together_or_the_newest_first() -> None:
    class Again(Shout):
        def process(self, item: Any) -> None:
            item.name = f"{item.name}?"

    tags("a")
    attempt(Shout)
    attempt(Again)
    assert named() == ["a!?"]

    assert "changed since: name" in refused(SHOUT)
    undo(SHOUT, "patch:shop.again")
    assert (named(), leftovers()) == (["a"], {})


def test_what_is_added_up_is_undone_once() -> None:
    class Count(Patch):
        writes = (Brand,)

        def queryset(self) -> Any:
            return Brand.objects.all()

        def process_batch(self, queryset: Any) -> None:
            queryset.update(number=F("number") + 1)

    Brand.objects.create(code="A", name="A", number=1)
    attempt(Count)
    undo("patch:shop.count")
    assert Brand.objects.get().number == 1


def test_one_without_writes_is_refused_with_what_to_do() -> None:
    tags("a")
    attempt(Unkept)

    assert refused("patch:shop.unkept") == (
        "shop.unkept cannot be rolled back: it ran without writes, so nothing was kept of what it"
        " changed. Put right by another patch what it did, or restore a backup; with writes ="
        " [...], the models that it changes, its next run can be rolled back."
    )


def test_what_did_not_run_is_refused() -> None:
    assert refused(SHOUT) == (
        "shop.shout has not run in database 'default', at least under this name, so there is"
        " nothing to roll back. See: manage.py show_patches"
    )
    PatchBook("default").fake(
        "shop", "shout", "1", digest="", by="alice", reason="It was done by hand."
    )
    assert refused(SHOUT) == (
        "shop.shout did nothing that could be rolled back, it is faked: It was done by hand."
    )


def test_what_was_done_before_somebody_said_that_it_is_done_comes_back() -> None:
    tags("a", "bad", "c")
    attempt(Shout, on_error=OnError.CONTINUE)
    assert (named(), len(open_failures())) == (["a!", "bad", "c!"], 1)
    fake([define(Shout)], by="alice", reason="That one is fine.", database="default")
    assert open_failures() == []

    undo(SHOUT)

    assert (named(), record_of(Shout)) == (["a", "bad", "c"], None)


def test_a_renamed_one_whose_change_was_accepted_stays_done_and_comes_back() -> None:
    class Louder(Shout):
        pass

    tags("a")
    attempt(Shout)
    renamed = define(Louder, replaces=("shop.shout",))
    fake([renamed], by="alice", reason="It does the same.", database="default")
    record = record_of(Louder)
    assert record is not None
    assert (record.state, record.processed, record_of(Shout)) == (PatchState.DONE, 1, None)

    undo("patch:shop.louder")

    assert (named(), leftovers()) == (["a"], {})


def test_a_model_that_is_gone_is_named() -> None:
    tags("a")
    attempt(Shout)
    MigrationState.objects.filter(label=f"{SHOUT}/shop.Tag").update(label=f"{SHOUT}/shop.Label")

    assert refused(SHOUT) == (
        "shop.shout changed objects of shop.Label, and there is no such model any more. Put it"
        " back to roll the patch back."
    )


def test_runs_of_other_kinds_and_keys_are_refused() -> None:
    tags("a")
    done = attempt(Shout)
    rehearsed = attempt(Shout, mode="rehearsal")
    undone = undo(SHOUT)

    assert f"Run {rehearsed.run.pk} was a rehearsal" in refused(run=rehearsed.run.pk)
    assert refused(run=undone.run.pk) == (
        f"Run {undone.run.pk} is a rollback itself. What it undid comes back with: manage.py"
        " run_patches --commit"
    )
    assert refused(SHOUT, keys="1") == (
        "--keys is for migrations. A patch is rolled back as a whole, or what its last run did"
        " with --run."
    )
    assert undo(run=done.run.pk).plan.undos == []


def test_patches_and_migrations_are_not_mixed() -> None:
    with pytest.raises(SpecError) as error:
        lane_of(Selection(labels=(SHOUT, "shop.TagMigration")), "default")

    assert str(error.value) == (
        "Patches and migrations are not rolled back together: name the ones or the others."
    )
    assert lane_of(Selection(labels=("shop",)), "default") == IMPORTS
    assert lane_of(Selection(), "default") == IMPORTS
    assert lane_of(Selection(labels=(SHOUT,)), "default") == PATCHES
    assert lane_of(Selection(run=attempt(Shout).run.pk), "default") == PATCHES


def test_a_rollback_of_all_migrations_leaves_patches_as_they_are() -> None:
    tags("a")
    attempt(Shout)

    done = jobs.undo(Selection(), Plan(()), "default")

    assert (done.plan.undos, done.plan.notes, named()) == ([], [], ["a!"])


def test_one_that_was_asked_for_is_queued_in_the_lane_of_patches(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tags("a")
    attempt(Shout)
    settings.DATA_MIGRATION_BACKGROUND = "process"
    monkeypatch.setattr(handover, "enqueue", lambda *_: None)
    queued = start_rollback(Selection(labels=(SHOUT,)), database="default", alone=True)
    assert (queued.lane, queued.kind) == (PATCHES, RunKind.ROLLBACK)

    done = jobs.execute(queued.pk, "default")

    assert isinstance(done, Rollback)
    assert (done.run, named()) == (Run.objects.get(pk=queued.pk), ["a"])


def test_the_whole_plan_goes_with_it() -> None:
    tags("a")
    attempt(Shout)
    whole = jobs.whole_plan("default")

    plan = jobs.plan_undo(Selection(labels=(SHOUT,)), whole, "default")

    assert (plan.noun, [undo.label for undo in plan.undos]) == ("patch", [SHOUT])
    assert models_of(whole).keys() == {step.label for step in whole}


# ------------------------------------------------------------------ from the terminal


def test_the_command_shows_what_would_be_undone_and_undoes_it() -> None:
    tags("a", "b")
    attempt(Shout)

    planned = call("rollback_legacy", SHOUT, "--plan")
    assert timeless(planned) == [
        "Patch             deleted  restored  forgotten",
        "patch:shop.shout        0         2          0",
        "Total                   0         2          0",
    ]
    assert named() == ["a!", "b!"]

    done = call("rollback_legacy", SHOUT, "--no-input")

    assert done.splitlines()[-1].endswith("rolled back 1 patch, pending again.")
    assert named() == ["a", "b"]


def test_the_commands_on_migrations_say_which_one_is_for_patches() -> None:
    with pytest.raises(CommandError) as told:
        call_command("show_legacy", SHOUT, "--messages")
    assert str(told.value) == (
        "shop.shout is no migration but a patch. Say: manage.py show_patches shop.shout"
    )
    with pytest.raises(CommandError, match=r"Say: manage.py run_patches shop\.shout"):
        call_command("migrate_legacy", SHOUT)


def test_runs_of_patches_are_shown_with_patches() -> None:
    tags("a")
    attempt(Shout)
    undo(SHOUT)

    assert call("show_legacy", "--runs") == "There was no run yet.\n"
    assert "commit" in call("show_patches", "--runs")
    assert call("show_legacy", "--messages") == "No messages.\n"


def call(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def timeless(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines() if not set(line) <= {"-", " "}]
