"""Objects of rows that are gone: deleted with care, reported, or left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connection
from django.db.models import Model
from django.db.models.signals import pre_delete

from data_migration import Migration, is_a
from data_migration.exceptions import LedgerError, SpecError
from data_migration.ledger import Ledger, LinkBook, NewStep
from data_migration.models import (
    BeforeImage,
    DeferredRelation,
    MigrationState,
    RowLink,
    Run,
    RunStep,
)
from data_migration.options import RunOptions
from data_migration.outcomes import Mode, Removed, RunKind, RunStatus
from data_migration.plan.graph import Plan, build_plan
from data_migration.rows.keys import identify
from data_migration.undo import Selection, roll_back
from data_migration.undo.removal import Removal
from tests.apps.shop.models import Brand, Category, Detail, Place, Product, Restaurant, Review, Tag
from tests.support.engine import label_of, links_of, migrate, migrate_fine

pytestmark = pytest.mark.django_db


class BrandMigration(Migration):
    model = Brand
    legacy_key = "code"
    removed_limit = 100


class TagMigration(Migration):
    model = Tag
    legacy_key = "id"
    removed_limit = 100


class ProductMigration(Migration):
    model = Product
    legacy_key = "sku"
    removed_limit = 100
    column_description = {
        "brand": is_a(Brand, search_attr="code", fk=True),
        "tags": is_a(Tag, search_attr="id", m2m=True, delimiter=","),
    }


class PriceMigration(Migration):
    """A second migration into the products."""

    model = Product
    legacy_key = "sku"
    allow_updates = True
    search_attr = "sku"
    removed_limit = 100


class CategoryMigration(Migration):
    model = Category
    legacy_key = "name"
    removed_limit = 100
    column_description = {"parent": is_a(Category, search_attr="name", fk=True)}


EVERY = (BrandMigration, TagMigration, ProductMigration, PriceMigration, CategoryMigration)

BRANDS = [{"code": code, "name": code.title()} for code in ("acme", "bolt", "cord")]
TAGS = [{"id": 1, "name": "new"}, {"id": 2, "name": "old"}]
PRODUCTS = [
    {"sku": "A1", "name": "anvil", "brand": "acme", "tags": "1,2"},
    {"sku": "B1", "name": "bolt", "brand": "bolt", "tags": "1"},
    {"sku": "B2", "name": "nut", "brand": "bolt", "tags": ""},
]


@pytest.fixture
def shop() -> None:
    migrate_fine(BrandMigration, BRANDS)
    migrate_fine(TagMigration, TAGS)
    migrate_fine(ProductMigration, PRODUCTS)


@dataclass
class Done:
    """What was settled: by label the objects deleted and what was told."""

    removed: dict[str, int]
    told: dict[str, list[tuple[str, str, str]]]
    warned: list[str]
    run: int


def begin(ledger: Ledger, plan: Plan, asked: RunOptions) -> Run:
    steps = [NewStep(step.label) for step in plan]
    return ledger.start_run(steps, kind=RunKind.IMPORT, mode=asked.mode, options=asked.recorded())


def settle(
    *passes: tuple[type[Migration], Sequence[Any]],
    removed: str = Removed.DELETE,
    mode: Mode = Mode.COMMIT,
    incremental: bool = False,
    **options: Any,
) -> Done:
    """Read these keys with each migration and settle what is gone."""
    ledger, warned = Ledger("default"), list[str]()
    classes = {label_of(cls): _with(cls, removed) for cls in EVERY}
    plan = Plan(tuple(build_plan(classes).select([label_of(cls) for cls, _ in passes])))
    asked = RunOptions(mode=mode, warn=warned.append, **options)
    run = begin(ledger, plan, asked)
    steps = {step.migration: step for step in run.steps.select_related("run")}
    with _finished(ledger, run), closing(Removal(build_plan(classes), ledger, asked)) as removal:
        for cls, keys in passes:
            step = steps[label_of(cls)]
            book = LinkBook(ledger.start_step(step), database="default")
            spec = classes[label_of(cls)]()
            seen = removal.watch(step, spec, book, is_incremental=incremental)
            if seen is not None:
                seen.add(identify(key)[0] for key in keys)
                removal.read_to_end(step)
        removal.settle()
    if mode != Mode.COMMIT:
        for step in steps.values():
            ledger.save_step(step)
    saved = RunStep.objects.filter(run=run)
    return Done(
        {step.migration.partition(".")[2]: step.removed for step in saved},
        {s.migration.partition(".")[2]: _told(s) for s in saved if s.messages.exists()},
        warned,
        run.pk,
    )


@contextmanager
def _finished(ledger: Ledger, run: Run) -> Iterator[None]:
    try:
        yield
    finally:
        ledger.finish_run(run, RunStatus.DONE)


def _with(cls: type[Migration], removed: str) -> type[Migration]:
    return type(cls.__name__, (cls,), {"removed": removed, "query": "SELECT 1"})


def _told(step: RunStep) -> list[tuple[str, str, str]]:
    assert step.warnings == step.messages.count()
    return [(each.kind, each.key, each.cause) for each in step.messages.order_by("key")]


def gone(model: type[Model], pk: Any, end: str) -> str:
    return f"the row of {model._meta.label} {pk} is gone from the legacy database; it stays{end}"


def products() -> list[str]:
    return sorted(Product.objects.values_list("sku", flat=True))


# ------------------------------------------------------------------ deleted


def test_objects_whose_rows_are_gone_are_deleted_and_forgotten(shop: None) -> None:
    kept = Product.objects.get(sku="B1")
    done = settle((ProductMigration, ["B1"]))
    assert done.removed == {"ProductMigration": 2}
    assert done.told == {}
    assert products() == ["B1"]
    assert list(kept.tags.values_list("pk", flat=True)) == [1]
    assert list(links_of(ProductMigration)) == ['"B1"']


def test_nothing_is_done_where_every_row_is_there(shop: None) -> None:
    done = settle(
        (ProductMigration, ["A1", "B1", "B2"]), (BrandMigration, ["acme", "bolt", "cord"])
    )
    assert done.removed == {"ProductMigration": 0, "BrandMigration": 0}
    assert BeforeImage.objects.count() == 0


def test_dependants_go_first_whatever_the_order_of_the_steps(shop: None) -> None:
    done = settle((BrandMigration, ["cord"]), (ProductMigration, []))
    assert done.removed == {"BrandMigration": 2, "ProductMigration": 3}
    assert products() == []
    assert Brand.objects.get().code == "cord"


def test_a_tree_goes_from_its_leaves() -> None:
    rows = [{"name": "root", "parent": None}, {"name": "leaf", "parent": "root"}]
    migrate_fine(CategoryMigration, rows)
    assert settle((CategoryMigration, [])).removed == {"CategoryMigration": 2}
    assert not Category.objects.exists()


def test_a_rehearsal_counts_and_the_transaction_is_left_to_the_run(shop: None) -> None:
    done = settle((ProductMigration, ["B1"]), mode=Mode.REHEARSAL)
    assert done.removed == {"ProductMigration": 2}
    assert products() == ["B1"]


def test_what_comes_back_may_refer_to_what_comes_back_by_another_key() -> None:
    migrate_fine(BrandMigration, BRANDS)
    migrate_fine(ProductMigration, [{"sku": "A1", "name": "anvil", "maker": "acme"}])
    done = settle((ProductMigration, []), (BrandMigration, ["bolt", "cord"]))
    ledger, plan = Ledger("default"), build_plan({label_of(cls): cls for cls in EVERY})
    assert done.removed == {"ProductMigration": 1, "BrandMigration": 1}
    roll_back(Selection(run=done.run), plan, ledger)
    assert Product.objects.get(sku="A1").maker_id == "acme"
    assert Brand.objects.filter(code="acme").exists()


def test_a_run_that_deleted_can_be_rolled_back(shop: None) -> None:
    before = sorted(Product.objects.values_list("pk", "sku", "name", "brand__code", "tags"))
    links = links_of(ProductMigration)
    done = settle((BrandMigration, ["cord"]), (ProductMigration, []))
    ledger = Ledger("default")
    plan = build_plan({label_of(cls): _with(cls, "keep") for cls in EVERY})
    roll_back(Selection(run=done.run), plan, ledger)
    after = sorted(Product.objects.values_list("pk", "sku", "name", "brand__code", "tags"))
    assert after == before
    assert links_of(ProductMigration) == links


def test_signals_are_sent(shop: None) -> None:
    sent: list[str] = []

    def receive(instance: Product, **kwargs: Any) -> None:
        sent.append(instance.sku)

    pre_delete.connect(receive, sender=Product)
    try:
        settle((ProductMigration, ["B1"]))
    finally:
        pre_delete.disconnect(receive, sender=Product)
    assert sorted(sent) == ["A1", "B2"]


def test_an_object_that_is_gone_as_well_is_forgotten_without_a_count(shop: None) -> None:
    Product.objects.get(sku="A1").delete()
    done = settle((ProductMigration, ["B1", "B2"]))
    assert done.removed == {"ProductMigration": 0}
    assert (
        list(links_of(ProductMigration)) == ['"B1"', '"B2"']
        or len(links_of(ProductMigration)) == 2
    )


def test_a_row_that_was_skipped_is_no_business_of_ours(shop: None) -> None:
    class Skipping(ProductMigration):
        @classmethod
        def hook_before_save(cls, instance: Any, row: dict[str, Any]) -> bool:
            return False

    migrate_fine(type("ProductMigration", (Skipping,), {}), [{"sku": "Z9", "name": "none"}])
    done = settle((ProductMigration, ["A1", "B1", "B2"]), removed=Removed.REPORT)
    assert done.told == {}
    assert '"Z9"' in links_of(ProductMigration)


def test_open_relations_of_deleted_objects_are_forgotten(shop: None) -> None:
    state = MigrationState.objects.get(label="shop.ProductMigration")
    for sku in ("A1", "B1"):
        DeferredRelation.objects.create(
            migration=state,
            column="brand",
            object_pk=str(Product.objects.get(sku=sku).pk),
            value='"x"',
            key_hash=identify(sku)[0],
            row_number=1,
        )
    settle((ProductMigration, ["B1"]))
    assert [each.key_hash.hex for each in DeferredRelation.objects.all()] == [identify("B1")[0]]


def test_many_rows_are_deleted_in_a_bounded_number_of_statements(
    django_assert_max_num_queries: Any,
) -> None:
    rows = [{"code": f"c{n}", "name": "x"} for n in range(1500)]
    migrate_fine(BrandMigration, rows)
    with django_assert_max_num_queries(150):
        done = settle((BrandMigration, [f"c{n}" for n in range(100)]))
    assert done.removed == {"BrandMigration": 1400}
    assert Brand.objects.count() == 100
    assert RowLink.objects.count() == 100
    assert BeforeImage.objects.filter(is_deleted=True).count() == 1400


def test_every_link_is_looked_at_whatever_the_order_of_the_hashes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("data_migration.ledger.links._PAGE", 7)
    codes = [f"c{n}" for n in range(100)]
    migrate_fine(BrandMigration, [{"code": code, "name": "x"} for code in codes])
    assert settle((BrandMigration, codes[:30])).removed == {"BrandMigration": 70}
    assert sorted(links_of(BrandMigration)) == sorted(f'"{code}"' for code in codes[:30])


# ------------------------------------------------------------------ kept and told


def test_what_a_person_refers_to_stays(shop: None) -> None:
    bought = Product.objects.get(sku="A1")
    review = Review.objects.create(product=bought)
    done = settle((ProductMigration, ["B1"]))
    why = gone(Product, bought.pk, f": shop.Review {review.pk} refers to it (product)")
    assert done.told == {"ProductMigration": [("removed", '"A1"', why)]}
    assert done.removed == {"ProductMigration": 1}
    assert products() == ["A1", "B1"]
    assert sorted(links_of(ProductMigration)) == ['"A1"', '"B1"']
    assert bought.tags.count() == 2


def test_what_stays_keeps_what_it_refers_to(shop: None) -> None:
    bought = Product.objects.get(sku="B1")
    Detail.objects.create(product=bought)
    done = settle((BrandMigration, []), (ProductMigration, []))
    assert done.removed == {"BrandMigration": 2, "ProductMigration": 2}
    assert products() == ["B1"]
    why = gone(Brand, bought.brand_id, f": shop.Product {bought.pk} refers to it (brand)")
    assert done.told["BrandMigration"] == [("removed", '"bolt"', why)]


def test_what_other_rows_still_refer_to_stays(shop: None) -> None:
    done = settle((BrandMigration, ["acme"]))
    assert done.removed == {"BrandMigration": 1}
    assert sorted(Brand.objects.values_list("code", flat=True)) == ["acme", "bolt"]
    done = settle((TagMigration, [2]))
    tag, (kind, key, cause) = Tag.objects.get(pk=1), *done.told["TagMigration"]
    assert (kind, key) == ("removed", "1")
    assert cause.startswith(gone(Tag, tag.pk, ": shop.Product "))


def test_a_parent_that_a_child_in_another_table_needs_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class PlaceMigration(Migration):
        model = Place
        legacy_key = "id"
        removed_limit = 100

    migrate_fine(PlaceMigration, [{"id": 1, "name": "here"}, {"id": 2, "name": "there"}])
    restaurant = Restaurant(place_ptr_id=1, name="here", stars=3)
    restaurant.save()
    monkeypatch.setitem(globals(), "EVERY", (PlaceMigration,))
    assert settle((PlaceMigration, [])).removed == {"PlaceMigration": 1}
    assert Place.objects.get().pk == 1


def test_what_a_person_changed_stays_unless_the_legacy_data_win(
    shop: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited = Product.objects.get(sku="B2")
    Product.objects.filter(sku="B2").update(name="hexagon nut")
    edited.tags.add(2)
    done = settle((ProductMigration, []))
    end = ": somebody changed it since it was written (name, tags)"
    assert done.told == {"ProductMigration": [("removed", '"B2"', gone(Product, edited.pk, end))]}
    assert products() == ["B2"]
    monkeypatch.setattr(ProductMigration, "on_conflict", "overwrite")
    assert settle((ProductMigration, [])).removed == {"ProductMigration": 1}
    assert products() == []


PRICES = [{"sku": "A1", "price": 5, "name": "anvil"}, {"sku": "B1", "price": 7, "name": "bolt"}]


def test_what_a_row_of_another_migration_has_stays(shop: None) -> None:
    migrate_fine(PriceMigration, PRICES)
    a1 = Product.objects.get(sku="A1")
    done = settle((ProductMigration, ["B1"]))
    why = gone(Product, a1.pk, ': shop.PriceMigration has it for its row "A1"')
    assert done.told == {"ProductMigration": [("removed", '"A1"', why)]}
    assert products() == ["A1", "B1"]
    done = settle((ProductMigration, ["B1"]), (PriceMigration, ["A1", "B1"]))
    assert done.told == {"ProductMigration": [("removed", '"A1"', why)]}


def test_what_is_gone_from_every_migration_goes_although_they_wrote_it_in_turn(
    shop: None,
) -> None:
    migrate_fine(PriceMigration, PRICES)
    done = settle((ProductMigration, ["B1", "B2"]), (PriceMigration, ["B1"]))
    assert done.told == {}
    assert done.removed == {"ProductMigration": 1, "PriceMigration": 1}
    assert products() == ["B1", "B2"]


def test_an_edit_is_seen_although_several_migrations_wrote_the_object(shop: None) -> None:
    migrate_fine(PriceMigration, PRICES)
    Product.objects.filter(sku="A1").update(price=6)
    done = settle((ProductMigration, ["B1", "B2"]), (PriceMigration, ["B1"]))
    assert done.removed == {"ProductMigration": 0, "PriceMigration": 0}
    assert products() == ["A1", "B1", "B2"]
    assert done.told["PriceMigration"][0][2].endswith("(price)")


def test_an_edited_relation_keeps_an_object_that_another_migration_would_let_go(
    shop: None,
) -> None:
    migrate_fine(PriceMigration, PRICES)  # it writes no tags, so it knows of no edit
    a1 = Product.objects.get(sku="A1")
    a1.tags.remove(2)
    done = settle((ProductMigration, ["B1", "B2"]), (PriceMigration, ["B1"]))
    assert done.removed == {"ProductMigration": 0, "PriceMigration": 0}
    assert products() == ["A1", "B1", "B2"]
    why = gone(Product, a1.pk, ": somebody changed it since it was written (tags)")
    assert done.told == {
        "ProductMigration": [("removed", '"A1"', why)],
        "PriceMigration": [("removed", '"A1"', why)],
    }


# ------------------------------------------------------------------ reported


def test_a_report_tells_every_object_and_changes_nothing(shop: None) -> None:
    pk = Product.objects.get(sku="A1").pk
    for _ in range(2):  # until somebody does something about it
        done = settle((ProductMigration, ["B1", "B2"]), removed=Removed.REPORT)
        why = gone(Product, pk, ', since removed = "report"')
        assert done.told == {"ProductMigration": [("removed", '"A1"', why)]}
        assert done.removed == {"ProductMigration": 0}
    assert products() == ["A1", "B1", "B2"]
    Product.objects.filter(sku="A1").delete()
    assert settle((ProductMigration, ["B1", "B2"]), removed=Removed.REPORT).told == {}


def test_keep_watches_nothing(shop: None) -> None:
    assert settle((ProductMigration, []), removed=Removed.KEEP).told == {}
    assert products() == ["A1", "B1", "B2"]


# ------------------------------------------------------------------ refused


def test_nothing_is_deleted_above_the_limit_of_any_migration(
    shop: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ProductMigration, "removed_limit", 40)
    monkeypatch.setattr(BrandMigration, "removed_limit", 10)
    with pytest.raises(LedgerError) as caught:
        settle((TagMigration, [1]), (ProductMigration, ["A1"]), (BrandMigration, ["acme", "bolt"]))
    assert str(caught.value) == (
        "shop.ProductMigration: 2 of 3 rows (66.7 %) are gone from the legacy database, more than"
        " removed_limit = 40 allows.\n"
        "shop.BrandMigration: 1 of 3 rows (33.3 %) are gone from the legacy database, more than"
        " removed_limit = 10 allows.\n"
        "Nothing was deleted. Check that the queries still return every row; if they do, delete"
        " the objects with --force-removal."
    )
    assert products() == ["A1", "B1", "B2"]
    assert (Tag.objects.count(), Brand.objects.count()) == (2, 3)
    monkeypatch.setattr(ProductMigration, "removed_limit", 67)
    assert settle((ProductMigration, ["A1"])).removed == {"ProductMigration": 2}
    done = settle((BrandMigration, ["acme", "bolt"]), force_removal=True)
    assert done.removed == {"BrandMigration": 1}


@pytest.mark.parametrize(
    ("options", "why", "how"),
    [
        ({"limit": 2}, "--limit 2 reads only a part of it", "without --limit"),
        (
            {"incremental": True},
            "a read from the high-water mark on brings only a part of it",
            "with --full",
        ),
    ],
)
def test_a_part_of_the_query_does_not_tell_what_is_gone(
    shop: None, options: dict[str, Any], why: str, how: str
) -> None:
    with pytest.raises(SpecError) as caught:
        settle((ProductMigration, []), **options)
    assert str(caught.value) == (
        'shop.ProductMigration: removed = "delete" compares the ledger with the whole query, and'
        f' {why}. Run it {how}, or set removed = "report".'
    )
    done = settle((ProductMigration, []), removed=Removed.REPORT, **options)
    assert done.told == {}
    assert done.warned == [
        'shop.ProductMigration: removed = "report" compares the ledger with the whole query, and'
        f" {why}. Rows that are gone were not looked for; run it {how}."
    ]
    assert products() == ["A1", "B1", "B2"]


def test_a_first_import_may_be_limited() -> None:
    assert settle((ProductMigration, []), limit=1).removed == {"ProductMigration": 0}


def test_failed_rows_are_read_again_without_looking_for_what_is_gone(shop: None) -> None:
    assert settle((ProductMigration, []), retry_failed=True).removed == {"ProductMigration": 0}
    assert products() == ["A1", "B1", "B2"]


def test_a_query_that_was_not_read_to_its_end_tells_nothing(shop: None) -> None:
    ledger, classes = Ledger("default"), {label_of(cls): _with(cls, "delete") for cls in EVERY}
    plan, options = build_plan(classes), RunOptions(mode=Mode.COMMIT)
    run = begin(ledger, plan, options)
    step = run.steps.get(migration="shop.ProductMigration")
    with _finished(ledger, run), closing(Removal(plan, ledger, options)) as removal:
        book = LinkBook(ledger.start_step(step), database="default")
        assert removal.watch(step, classes[step.migration](), book, is_incremental=False)
        removal.settle()
    assert products() == ["A1", "B1", "B2"]


def test_a_database_that_refuses_deletes_nothing_and_counts_nothing(shop: None) -> None:
    def refuse(instance: Product, **kwargs: Any) -> None:
        from django.db.models import ProtectedError

        raise ProtectedError("the shelf is locked", {instance})

    pre_delete.connect(refuse, sender=Product)
    try:
        with pytest.raises(LedgerError, match=r"Nothing was deleted: .*the shelf is locked"):
            settle((ProductMigration, []))
    finally:
        pre_delete.disconnect(refuse, sender=Product)
    assert products() == ["A1", "B1", "B2"]
    assert BeforeImage.objects.count() == 0
    step = RunStep.objects.filter(migration="shop.ProductMigration").latest("pk")
    assert step.removed == 0
    if connection.vendor != "mysql":
        connection.check_constraints()


# ------------------------------------------------------------------ within a run


def test_a_run_settles_at_its_end(shop: None) -> None:
    deleting = type("ProductMigration", (ProductMigration,), _RERUN)
    result = migrate_fine(deleting, PRODUCTS[1:])
    assert result.counts == {"unchanged": 2, "removed": 1}
    assert products() == ["B1", "B2"]
    assert migrate_fine(deleting, PRODUCTS[1:]).counts == {"unchanged": 2}
    result = migrate_fine(deleting, PRODUCTS)  # it came back
    assert result.counts == {"created": 1, "unchanged": 2}


def test_a_rehearsal_of_it_leaves_everything(shop: None) -> None:
    deleting = type("ProductMigration", (ProductMigration,), _RERUN)
    result = migrate(deleting, PRODUCTS[1:], mode=Mode.REHEARSAL)
    assert result.counts == {"unchanged": 2, "removed": 1}
    assert products() == ["A1", "B1", "B2"]


def test_a_run_above_the_limit_fails_and_keeps_its_updates(shop: None) -> None:
    deleting = type("ProductMigration", (ProductMigration,), {**_RERUN, "removed_limit": 10})
    result = migrate(deleting, [{**PRODUCTS[1], "name": "screw"}, PRODUCTS[2]])
    assert isinstance(result.error, LedgerError)
    assert products() == ["A1", "B1", "B2"]
    assert Product.objects.get(sku="B1").name == "screw"
    assert result.run.status == "failed"
    told = Ledger("default").states()["shop.ProductMigration"]
    assert (told.status, told.error) == ("failed", str(result.error))
    assert (told.updated, told.unchanged, told.removed) == (1, 1, 0)
    assert migrate(deleting, PRODUCTS[1:], force_removal=True).step.removed == 1


def test_above_the_limit_nothing_of_a_run_in_one_transaction_is_counted(shop: None) -> None:
    deleting = type("ProductMigration", (ProductMigration,), {**_RERUN, "removed_limit": 10})
    rows = [{**PRODUCTS[1], "name": "screw"}, PRODUCTS[2]]
    result = migrate(deleting, rows, mode=Mode.ATOMIC, all_rows=False)
    assert result.run.status == "failed"
    told = Ledger("default").states()["shop.ProductMigration"]
    assert (told.status, told.error) == ("failed", str(result.error))
    assert (told.read, told.updated) == (0, 0)
    assert Product.objects.get(sku="B1").name == "bolt"


def test_what_stops_a_deletion_is_told_of_the_steps_that_had_something_to_delete(
    shop: None,
) -> None:
    def refuse(**kwargs: Any) -> None:
        raise KeyboardInterrupt if stopped else ValueError("not on a Sunday")

    deleting = type("ProductMigration", (ProductMigration,), _RERUN)
    pre_delete.connect(refuse, sender=Product)
    try:
        stopped = False
        failed = migrate(deleting, PRODUCTS[1:])
        stopped = True
        interrupted = migrate(deleting, PRODUCTS[1:])
    finally:
        pre_delete.disconnect(refuse, sender=Product)

    what = "What is gone from the legacy database was not deleted:"
    assert (failed.step.status, interrupted.step.status) == ("failed", "interrupted")
    assert failed.step.error == f"{what} not on a Sunday"
    assert interrupted.step.error == f"{what} stopped at once"
    assert [failed.run.status, interrupted.run.status] == ["failed", "interrupted"]
    assert products() == ["A1", "B1", "B2"]


_RERUN = {"removed": "delete", "allow_updates": True, "search_attr": "sku"}
