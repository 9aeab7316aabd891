"""A rollback leaves what was there before, refuses what is not its own, and says why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from django.db import connection
from django.db.models.signals import post_delete
from django.dispatch import Signal
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from data_migration import Migration, is_a, signals
from data_migration.exceptions import LedgerError, SpecError
from data_migration.ledger import Ledger, LinkBook
from data_migration.ledger.images import Images
from data_migration.models import (
    BeforeImage,
    DeferredRelation,
    MigrationState,
    RowError,
    RowLink,
    Run,
    RunLock,
    RunStep,
)
from data_migration.outcomes import Mode, RunKind, RunStatus
from data_migration.plan.graph import Plan, build_plan
from data_migration.undo import Rollback, RollbackPlan, Selection, plan_rollback, roll_back
from data_migration.undo.m2m_targets import all_targets
from tests.apps.shop.models import (
    Brand,
    Category,
    Detail,
    Log,
    Product,
    Restaurant,
    Review,
    Supplier,
    Supply,
    Tag,
)
from tests.support.engine import migrate, migrate_fine, statements, undone
from tests.support.examples import examples

pytestmark = pytest.mark.django_db


class BrandMigration(Migration):
    model = Brand
    allow_updates = True
    search_attr = "code"


class TagMigration(Migration):
    model = Tag
    allow_updates = True


class ProductMigration(Migration):
    model = Product
    allow_updates = True
    search_attr = "sku"
    column_description = {
        "brand": is_a(Brand, search_attr="code", fk=True),
        "tags": is_a(Tag, search_attr="id", m2m=True, delimiter=","),
    }


class SalePriceMigration(Migration):
    """A second migration into the same objects."""

    model = Product
    allow_updates = True
    search_attr = "sku"


class CategoryMigration(Migration):
    model = Category
    allow_updates = True
    search_attr = "name"
    column_description = {
        "parent": is_a(Category, search_attr="name", fk=True),
        "related": is_a(Category, search_attr="name", m2m=True, delimiter=",", skip_missing=True),
    }


class RestaurantMigration(Migration):
    model = Restaurant


class SupplierMigration(Migration):
    model = Supplier
    allow_updates = True


class SuppliedMigration(Migration):
    """Writes a many-to-many whose join model is the project's own."""

    model = Product
    allow_updates = True
    search_attr = "sku"
    column_description = {"suppliers": is_a(Supplier, search_attr="id", m2m=True, delimiter=",")}


class LogMigration(Migration):
    """Without a key."""

    model = Log


MIGRATIONS: list[type[Migration]] = [
    BrandMigration,
    TagMigration,
    ProductMigration,
    SalePriceMigration,
    CategoryMigration,
    RestaurantMigration,
    SupplierMigration,
    SuppliedMigration,
    LogMigration,
]
BRANDS = [{"code": "a", "name": "A"}, {"code": "b", "name": "B"}]
TAGS = [{"id": 1, "name": "one"}, {"id": 2, "name": "two"}]
PRODUCTS = [
    {"sku": "x", "name": "X", "brand": "a", "tags": "1,2"},
    {"sku": "y", "name": "Y", "brand": "b", "tags": "2"},
]


def plan() -> Plan:
    # The queries are made for each run; here only the classes count.
    return build_plan({f"shop.{each.__name__}": each for each in MIGRATIONS})


def planned(*labels: str, **selection: Any) -> RollbackPlan:
    return plan_rollback(Selection(labels=labels, **selection), plan(), Ledger("default"))


def back(*labels: str, force: bool = False, **selection: Any) -> Rollback:
    chosen = Selection(labels=labels, **selection)
    return roll_back(chosen, plan(), Ledger("default"), force=force)


def refused(*labels: str, force: bool = False, **selection: Any) -> str:
    """The text of the refusal; nothing is changed by it."""
    before = (target(), links(), list(BeforeImage.objects.values()))
    with pytest.raises(LedgerError) as caught:
        back(*labels, force=force, **selection)
    assert (target(), links(), list(BeforeImage.objects.values())) == before
    return str(caught.value)


def counts(done: Rollback) -> dict[str, tuple[int, ...]]:
    return {
        undo.label.removeprefix("shop.").removesuffix("Migration"): tuple(undo.counts.values())
        for undo in done.plan.undos
    }


def target() -> dict[str, list[Any]]:
    """Every row of every table that the migrations may touch."""
    objects: list[Any] = [Brand, Tag, Product, Category, Restaurant, Review, Detail, Log]
    rows = {each._meta.db_table: list(each.objects.order_by("pk").values()) for each in objects}
    for joins in (Product.tags.through, Category.related.through):
        names = [field.attname for field in joins._meta.concrete_fields if field.name != "id"]
        # The key of a join row is a matter of the sequence.
        rows[joins._meta.db_table] = sorted(joins.objects.values_list(*names))
    return rows


def links() -> list[dict[str, Any]]:
    return list(RowLink.objects.order_by("migration", "key_hash").values())


def import_all(products: Sequence[Any] = PRODUCTS) -> int:
    migrate_fine(BrandMigration, BRANDS)
    migrate_fine(TagMigration, TAGS)
    return migrate_fine(ProductMigration, products).run.pk


def check_constraints() -> None:
    if connection.vendor != "mysql":
        connection.check_constraints()


# --------------------------------------------------------------------- what comes back


def test_an_import_leaves_nothing_behind() -> None:
    kept = Brand.objects.create(code="z", name="Kept")
    before = target()
    import_all()

    done = back()

    assert target() == before
    assert Brand.objects.get() == kept
    assert counts(done) == {"Product": (2, 0, 0), "Tag": (2, 0, 0), "Brand": (2, 0, 0)}
    assert not RowLink.objects.exists()
    assert not BeforeImage.objects.exists()
    check_constraints()


def test_after_it_the_import_gives_the_same_again() -> None:
    import_all()
    first = [(each.sku, each.name, each.tags.count()) for each in Product.objects.order_by("sku")]
    back()

    assert migrate_fine(BrandMigration, BRANDS).counts == {"created": 2}
    assert migrate_fine(TagMigration, TAGS).counts == {"created": 2}
    assert migrate_fine(ProductMigration, PRODUCTS).counts == {"created": 2}
    again = [(each.sku, each.name, each.tags.count()) for each in Product.objects.order_by("sku")]
    assert again == first


def test_an_adopted_object_gets_its_former_values_and_stays() -> None:
    tag = Tag.objects.create(pk=1, name="mine")
    product = Product.objects.create(sku="x", name="mine", price=7)
    product.tags.add(tag)
    before = target()
    import_all()
    migrate_fine(ProductMigration, [{**PRODUCTS[0], "name": "again", "tags": ""}, PRODUCTS[1]])

    done = back()

    assert target() == before
    assert counts(done) == {"Product": (1, 1, 0), "Tag": (1, 1, 0), "Brand": (2, 0, 0)}


def test_what_people_did_to_other_fields_of_an_adopted_object_stays() -> None:
    Product.objects.create(sku="x", name="mine")
    migrate_fine(ProductMigration, [{"sku": "x", "name": "X"}])
    Product.objects.update(price=9)

    back()

    assert Product.objects.values_list("name", "price").get() == ("mine", 9)


def test_many_objects_get_back_what_they_were_in_few_statements() -> None:
    rows = [{"sku": f"s{n}", "name": "old", "price": 1} for n in range(60)]
    migrate_fine(ProductMigration, rows)
    before = target()
    run = migrate_fine(ProductMigration, [row | {"name": "new"} for row in rows]).run.pk
    with statements() as seen:
        back(run=run)
    assert target() == before
    assert len(seen.starting("UPDATE", table=Product)) == 1


def test_what_is_unique_goes_back_the_way_it_came() -> None:
    first = [{"code": "a", "name": "A", "number": 1}, {"code": "b", "name": "B", "number": 2}]
    migrate_fine(BrandMigration, first)
    before = target()
    passed_on = [first[0] | {"number": 3}, first[1] | {"number": 1}]
    run = migrate_fine(BrandMigration, passed_on, batch_size=1).run.pk
    back(run=run)
    assert target() == before


def test_a_run_of_updates_is_undone_with_its_links() -> None:
    import_all()
    before, links_before = target(), links()
    changed = [
        {"sku": "x", "name": "XX", "brand": "b", "tags": ""},
        {"sku": "y", "name": "Y", "brand": "b", "tags": "2"},
        {"sku": "z", "name": "Z", "brand": "a", "tags": "1"},
    ]
    run = migrate_fine(ProductMigration, changed).run.pk
    assert target() != before

    done = back(run=run)

    assert counts(done) == {"Product": (1, 1, 0)}
    assert target() == before
    assert links() == links_before
    assert [step.status for step in done.steps] == [RunStatus.PARTIAL]
    assert migrate_fine(ProductMigration, changed).counts == {
        "created": 1,
        "updated": 1,
        "unchanged": 1,
    }


def test_a_run_is_undone_of_the_migrations_that_are_named() -> None:
    Brand.objects.create(code="a", name="old")
    run = migrate_fine(BrandMigration, BRANDS).run.pk

    assert back("shop.TagMigration", run=run).plan.undos == []
    assert counts(back("shop.BrandMigration", run=run)) == {"Brand": (1, 1, 0)}


def test_what_only_the_run_made_refer_to_its_objects_does_not_go_with_them() -> None:
    import_all()
    migrate_fine(BrandMigration, [*BRANDS, {"code": "c", "name": "C"}])
    migrate_fine(ProductMigration, [{**PRODUCTS[0], "brand": "c"}, PRODUCTS[1]])
    last = Run.objects.order_by("-pk").values_list("pk", flat=True)[:2]

    # As if both migrations had been steps of one run.
    RowLink.objects.filter(run=last[1]).update(run=last[0])
    back(run=last[0])

    assert Product.objects.get(sku="x").brand.code == "a"  # type: ignore[union-attr]
    assert not Brand.objects.filter(code="c").exists()


def supplies() -> list[tuple[str, str, str]]:
    return sorted(Supply.objects.values_list("product__sku", "supplier__name", "kind"))


def import_supplies() -> None:
    migrate_fine(SupplierMigration, [{"id": 1, "name": "one"}])
    migrate_fine(SuppliedMigration, [{"sku": "x", "name": "X", "suppliers": "1"}])


def test_rows_of_a_join_model_go_with_the_objects_at_both_ends() -> None:
    import_supplies()

    done = back("shop.SupplierMigration", "shop.SuppliedMigration")

    assert counts(done) == {"Supplied": (1, 0, 0), "Supplier": (1, 0, 0)}
    assert supplies() == []


def test_rows_of_a_join_model_that_a_run_added_go_with_its_objects() -> None:
    import_supplies()
    before = supplies()
    migrate_fine(SupplierMigration, [{"id": 1, "name": "one"}, {"id": 2, "name": "two"}])
    migrate_fine(SuppliedMigration, [{"sku": "x", "name": "X", "suppliers": "1,2"}])
    last = Run.objects.order_by("-pk").values_list("pk", flat=True)[:2]
    # As if both migrations had been steps of one run.
    RowLink.objects.filter(run=last[1]).update(run=last[0])

    back(run=last[0])

    assert supplies() == before
    assert list(Supplier.objects.values_list("name", flat=True)) == ["one"]


def test_a_row_of_a_join_model_that_stays_is_refused() -> None:
    import_supplies()

    supply = Supply.objects.get()
    assert f"shop.Supply {supply.pk} refers to it (supplier)" in refused("shop.SupplierMigration")


def test_a_row_that_takes_over_a_unique_value_gives_it_back() -> None:
    migrate_fine(TagMigration, TAGS)
    rows = [{"id": 1, "code": "a", "name": "A"}]

    class ByNumber(Migration):
        model = Brand
        allow_updates = True
        legacy_key = "id"

    MIGRATIONS.append(ByNumber)
    try:
        migrate_fine(ByNumber, rows)
        run = migrate_fine(
            ByNumber, [{"id": 1, "code": "b", "name": "A"}, {"id": 2, "code": "a", "name": "N"}]
        ).run.pk
        back(run=run)
    finally:
        MIGRATIONS.remove(ByNumber)

    assert list(Brand.objects.values_list("pk", "code")) == [(1, "a")]


def test_deleted_objects_come_back_with_key_and_links() -> None:
    import_all()
    Detail.objects.create(product=Product.objects.get(sku="y"))
    Detail.objects.all().delete()
    before, links_before = target(), links()
    run = delete_as_a_run_does("shop.ProductMigration", Product.objects.get(sku="x"))
    assert target() != before

    done = back(run=run)

    assert counts(done) == {"Product": (0, 1, 0)}
    assert target() == before
    assert links() == links_before
    check_constraints()


def test_what_a_run_deleted_because_its_row_was_gone_comes_back() -> None:
    class Removing(ProductMigration):
        removed = "delete"
        removed_limit = 100

    Removing.__name__ = "ProductMigration"
    import_all()
    before, links_before = target(), links()
    run = migrate_fine(Removing, [{**PRODUCTS[1], "name": "new"}]).run.pk
    assert Product.objects.values_list("name").get() == ("new",)

    assert counts(back(run=run)) == {"Product": (0, 2, 0)}

    assert target() == before
    assert links() == links_before


def test_both_tables_of_an_inherited_object_come_back() -> None:
    migrate_fine(RestaurantMigration, [{"id": 4, "name": "Inn", "stars": 2}])
    before = target()
    inn = Restaurant.objects.get()
    run = delete_as_a_run_does("shop.RestaurantMigration", inn)

    back(run=run)

    assert target() == before
    assert Restaurant.objects.get().name == "Inn"


def test_objects_that_refer_to_each_other_come_back() -> None:
    migrate_fine(
        CategoryMigration,
        [
            {"name": "root", "parent": None, "related": ""},
            {"name": "leaf", "parent": "root", "related": "root"},
        ],
    )
    root, leaf = Category.objects.get(name="root"), Category.objects.get(name="leaf")
    before, links_before = target(), links()
    run = delete_as_a_run_does("shop.CategoryMigration", root, leaf)
    assert not Category.objects.exists()

    assert counts(back(run=run)) == {"Category": (0, 2, 0)}

    assert target() == before
    assert links() == links_before
    check_constraints()


def test_of_a_whole_migration_only_what_it_found_comes_back() -> None:
    Tag.objects.create(pk=1, name="mine")
    before = target()
    migrate_fine(TagMigration, TAGS)
    delete_as_a_run_does("shop.TagMigration", *Tag.objects.order_by("pk"))

    assert counts(back()) == {"Tag": (0, 1, 0)}
    assert target() == before


def delete_as_a_run_does(label: str, *objects: Any) -> int:
    """Delete objects as ``removed = "delete"`` does; returns the run."""
    state = MigrationState.objects.get(label=label)
    run = Ledger("default").start_run((), kind=RunKind.IMPORT, mode=Mode.COMMIT, options={})
    book = LinkBook(state, database="default")
    pairs = [(next(book.all(object_pk=str(each.pk))), each) for each in objects]
    images = Images(state, database="default", run=run.pk)
    images.keep_deleted(pairs, all_targets(objects, database="default"))
    book.forget([link.key_hash for link, _ in pairs])
    for each in objects:
        each.delete()
    Ledger("default").finish_run(run, RunStatus.DONE)
    return run.pk


def test_a_tree_and_its_joins_go() -> None:
    rows = [
        {"name": "leaf", "parent": "branch", "related": "root"},
        {"name": "branch", "parent": "root", "related": ""},
        {"name": "root", "parent": None, "related": "leaf"},
    ]
    migrate_fine(CategoryMigration, rows)

    assert counts(back()) == {"Category": (3, 0, 0)}
    assert not Category.objects.exists()


def test_objects_are_deleted_by_django_so_that_receivers_hear_of_it() -> None:
    import_all()
    heard = []

    def hear(instance: Any, **kwargs: Any) -> None:
        heard.append(instance.sku)

    post_delete.connect(hear, sender=Product)
    try:
        back("shop.ProductMigration")
    finally:
        post_delete.disconnect(hear, sender=Product)

    assert sorted(heard) == ["x", "y"]


def test_two_migrations_into_one_object_go_back_together() -> None:
    Product.objects.create(sku="old", name="Old", price=1)
    before = target()
    rows = [{"sku": "x", "name": "X"}, {"sku": "old", "name": "New"}]
    migrate_fine(ProductMigration, rows)
    migrate_fine(SalePriceMigration, [{"sku": "x", "price": 5}, {"sku": "old", "price": 6}])

    assert counts(back()) == {"SalePrice": (0, 2, 0), "Product": (1, 1, 0)}
    assert target() == before


def test_two_migrations_that_wrote_the_same_field_in_any_order() -> None:
    Product.objects.create(sku="old", name="Old", price=1)
    before = target()
    migrate_fine(SalePriceMigration, [{"sku": "old", "price": 6, "name": "By price"}])
    migrate_fine(ProductMigration, [{"sku": "old", "price": 7, "name": "By product"}])

    back()

    assert target() == before


def test_a_relation_that_one_of_two_migrations_puts_back_refers_to_nothing_that_goes() -> None:
    class AnnouncementMigration(SalePriceMigration):
        """Undone after the products, and without a word of their brands."""

    Product.objects.create(sku="x", name="Old")
    before = target()
    MIGRATIONS.append(AnnouncementMigration)
    try:
        import_all()
        migrate_fine(AnnouncementMigration, [{"sku": "x", "price": 5}])
        done = back()
    finally:
        MIGRATIONS.remove(AnnouncementMigration)

    assert done.plan.undos[0].label == "shop.ProductMigration"
    assert target() == before


# ------------------------------------------------------------------------------- keys


def test_chosen_keys_alone_are_undone() -> None:
    import_all()

    done = back("shop.ProductMigration", keys="x")

    assert counts(done) == {"Product": (1, 0, 0)}
    assert Product.objects.get().sku == "y"
    assert done.steps[0].status == RunStatus.PARTIAL
    assert migrate_fine(ProductMigration, PRODUCTS).counts == {"created": 1, "unchanged": 1}


def test_a_number_finds_text_when_no_number_is_there() -> None:
    migrate_fine(ProductMigration, [{"sku": "42", "name": "text"}, {"sku": "01581", "name": "z"}])

    back("shop.ProductMigration", keys='42,"01581"')

    assert not Product.objects.exists()


def test_an_unknown_key_stops_it() -> None:
    import_all()

    assert refused("shop.ProductMigration", keys="x,nowhere").startswith(
        "shop.ProductMigration has no link for the key nowhere. "
    )


@pytest.mark.parametrize("labels", [(), ("shop",)])
def test_keys_need_exactly_one_migration(labels: tuple[str, ...]) -> None:
    import_all()

    with pytest.raises(SpecError, match="exactly one migration"):
        back(*labels, keys="1")


# --------------------------------------------------------------------------- refusals


def test_an_object_that_a_person_changed_stops_it() -> None:
    import_all()
    product = Product.objects.get(sku="x")
    Product.objects.filter(sku="x").update(name="edited", price=3)

    assert refused() == (
        "Nothing was rolled back: 1 reason speaks against it.\n"
        f'  shop.ProductMigration, key "x": shop.Product {product.pk}: changed since:'
        " name, price.\n"
        "Undo it nevertheless with --force."
    )


def test_join_rows_that_a_person_changed_stop_it() -> None:
    import_all()
    Product.objects.get(sku="x").tags.set([1])

    assert "changed since: tags." in refused()


def test_force_undoes_what_people_changed() -> None:
    Product.objects.create(sku="y", name="mine")
    import_all()
    Product.objects.update(name="edited")

    back(force=True)

    assert Product.objects.get().name == "mine"


def test_what_refers_to_it_from_outside_stops_it() -> None:
    import_all()
    product = Product.objects.get(sku="x")
    review = Review.objects.create(product=product)

    assert (
        f'shop.ProductMigration, key "x": shop.Product {product.pk}: shop.Review {review.pk}'
        " refers to it (product)."
    ) in refused()


def test_a_migration_is_refused_as_long_as_another_one_needs_it() -> None:
    import_all()

    text = refused("shop.BrandMigration")

    assert text.startswith("Nothing was rolled back: 2 reasons speak against it.\n")
    assert 'shop.BrandMigration, key "a": shop.Brand ' in text


def test_with_force_the_relation_decides_what_becomes_of_it() -> None:
    import_all()
    Review.objects.create(product=Product.objects.get(sku="x"))

    back(force=True)

    assert not Review.objects.exists()


def test_many_refusals_are_counted_and_twenty_are_shown() -> None:
    migrate_fine(TagMigration, [{"id": n, "name": "n"} for n in range(1, 26)])
    Tag.objects.update(name="edited")

    lines = refused().splitlines()

    assert lines[0] == "Nothing was rolled back: 25 reasons speak against it."
    assert len(lines) == 23
    assert lines[-2:] == ["  ... and 5 more.", "Undo it nevertheless with --force."]


def test_a_run_is_not_undone_before_a_later_one_that_wrote_the_same() -> None:
    first = migrate_fine(TagMigration, TAGS).run.pk
    second = migrate_fine(TagMigration, [{"id": 1, "name": "new"}, TAGS[1]]).run.pk

    text = refused(run=first, force=True)

    why = f"run {second} wrote it later; roll back run {second} first."
    assert text.splitlines()[1:] == [f"  shop.TagMigration, key 1: shop.Tag 1: {why}"]
    back(run=second)
    assert counts(back(run=first)) == {"Tag": (2, 0, 0)}


def test_a_deletion_is_not_undone_when_the_row_came_again() -> None:
    migrate_fine(TagMigration, TAGS)
    run = delete_as_a_run_does("shop.TagMigration", Tag.objects.get(pk=1))
    again = migrate_fine(TagMigration, TAGS).run.pk

    assert f"run {again} wrote it later" in refused(run=run, force=True)


def test_another_object_with_the_old_key_stops_it() -> None:
    migrate_fine(TagMigration, TAGS)
    run = delete_as_a_run_does("shop.TagMigration", Tag.objects.get(pk=1))
    Tag.objects.create(pk=1, name="somebody else's")

    assert "another object has its primary key now" in refused(run=run, force=True)


def test_an_object_whose_former_target_is_gone_stops_it() -> None:
    old = Brand.objects.create(code="old", name="Old")
    product = Product.objects.create(sku="x", name="mine", brand=old)
    import_all()
    gone = old.pk
    old.delete()

    assert (
        f'shop.ProductMigration, key "x": shop.Product {product.pk}: its former brand is gone:'
        f" shop.Brand {gone}."
    ) in refused(force=True)


def test_an_object_that_cannot_come_back_without_its_target_stops_it() -> None:
    import_all()
    brand = Brand.objects.get(code="a").pk
    run = delete_as_a_run_does("shop.ProductMigration", Product.objects.get(sku="x"))
    Brand.objects.filter(code="a").delete()

    assert f"its former brand is gone: shop.Brand {brand}." in refused(run=run)


def test_an_object_that_another_migration_took_over_stops_it() -> None:
    migrate_fine(ProductMigration, [{"sku": "x", "name": "X"}])
    migrate_fine(SalePriceMigration, [{"sku": "x", "name": "X"}])

    assert 'shop.SalePriceMigration has it for its key "x".' in refused("shop.ProductMigration")
    assert counts(back("shop.SalePriceMigration")) == {"SalePrice": (0, 0, 1)}
    assert counts(back("shop.ProductMigration")) == {"Product": (1, 0, 0)}


def test_what_is_gone_already_is_no_problem() -> None:
    import_all()
    Product.objects.get(sku="x").delete()

    assert counts(back("shop.ProductMigration")) == {"Product": (1, 0, 1)}


def test_rows_that_were_skipped_are_forgotten() -> None:
    class Skipping(TagMigration):
        def hook_before_save(self, instance: Any, row: Any) -> bool:
            return row["id"] != 1

    Skipping.__name__ = "TagMigration"
    migrate_fine(Skipping, TAGS)

    assert counts(back()) == {"Tag": (1, 0, 1)}


def test_a_migration_without_a_key_is_refused_with_what_else_to_do() -> None:
    migrate_fine(LogMigration, [{"text": "t"}])

    text = refused("shop.LogMigration")

    assert text.splitlines()[1] == (
        "  shop.LogMigration: it has no legacy key, so the ledger does not know its objects."
        " Delete them by hand or restore a backup; with a legacy_key its next run can be rolled"
        " back."
    )


def test_with_force_a_migration_without_a_key_is_left_out() -> None:
    migrate_fine(LogMigration, [{"text": "t"}])
    migrate_fine(TagMigration, TAGS)

    assert counts(back(force=True)) == {"Tag": (2, 0, 0)}
    assert Log.objects.exists()


def test_a_protected_relation_is_not_overruled() -> None:
    from tests.apps.ledger.models import Customer, Order

    class CustomerMigration(Migration):
        model = Customer

    MIGRATIONS.append(CustomerMigration)
    try:
        migrate_fine(CustomerMigration, [{"id": 1, "name": "C"}])
        order = Order.objects.create(customer_id=1)
        text = refused("shop.CustomerMigration", force=True)
    finally:
        MIGRATIONS.remove(CustomerMigration)

    assert text.startswith(f"Nothing was rolled back: ledger.Order {order.pk} protect")
    assert Customer.objects.exists()


# ------------------------------------------------------------------------- the ledger


def test_it_is_recorded_as_a_run_of_its_own() -> None:
    import_all()

    done = back("shop.TagMigration", "shop.ProductMigration", force=True)

    run = Run.objects.get(pk=done.run.pk)
    assert (run.kind, run.mode) == (RunKind.ROLLBACK, Mode.ROLLBACK)
    assert (run.status, run.error) == (RunStatus.DONE, "")
    assert run.options == {
        "labels": ["shop.TagMigration", "shop.ProductMigration"],
        "run": None,
        "keys": None,
        "force": True,
    }
    steps = run.steps.values_list("position", "migration", "status", "removed", "updated")
    assert list(steps) == [
        (1, "shop.ProductMigration", "pending", 2, 0),
        (2, "shop.TagMigration", "pending", 2, 0),
    ]


def test_what_is_rolled_back_is_pending() -> None:
    import_all()
    assert "shop.TagMigration" in Ledger("default").finished()

    back("shop.ProductMigration", "shop.TagMigration")

    ledger = Ledger("default")
    assert ledger.finished() == {"shop.BrandMigration"}
    assert ledger.states()["shop.TagMigration"].status == RunStatus.PENDING
    assert ledger.states()["shop.BrandMigration"].status == RunStatus.DONE
    state = MigrationState.objects.get(label="shop.TagMigration")
    assert (state.is_read, state.pass_run, state.high_water) == (False, None, None)


def test_a_refused_rollback_changes_no_state() -> None:
    import_all()
    Tag.objects.update(name="edited")

    refused()

    run = Run.objects.first()
    assert run is not None
    assert (run.mode, run.status) == (Mode.ROLLBACK, RunStatus.FAILED)
    assert run.error.startswith("Nothing was rolled back")
    assert {step.status for step in Ledger("default").states().values()} == {RunStatus.DONE}


def test_open_failures_and_deferred_relations_go_with_the_migration() -> None:
    migrate(TagMigration, [*TAGS, {"id": 3, "name": None}])
    state = MigrationState.objects.get(label="shop.TagMigration")
    DeferredRelation.objects.create(
        migration=state, column="c", object_pk="1", value="1", row_number=1
    )
    assert Ledger("default").failed() == {"shop.TagMigration"}

    back()

    assert Ledger("default").failed() == set()
    assert RowError.objects.count() == 1
    assert not DeferredRelation.objects.exists()


def test_open_failures_stay_when_only_a_key_goes() -> None:
    migrate(TagMigration, [*TAGS, {"id": 3, "name": None}])

    back("shop.TagMigration", keys="1")

    assert Ledger("default").failed() == {"shop.TagMigration"}


def test_an_interrupted_rollback_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    import_all()
    before = target(), links()

    def stop(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Ledger, "add_step", stop)
    with pytest.raises(KeyboardInterrupt):
        back()

    assert (target(), links()) == before
    assert Run.objects.values_list("status", flat=True)[0] == RunStatus.INTERRUPTED
    assert not RunStep.objects.filter(run__mode=Mode.ROLLBACK).exists()


def test_what_the_database_refuses_is_told_with_what_it_means() -> None:
    import_all()
    before = target(), links()

    def fail(**kwargs: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM no_such_table")

    post_delete.connect(fail, sender=Tag)
    try:
        with pytest.raises(LedgerError) as caught:
            back()
    finally:
        post_delete.disconnect(fail, sender=Tag)

    assert str(caught.value).startswith("Nothing was rolled back: the target database says: ")
    assert str(caught.value).endswith("When that is mended, the same command does it.")
    assert Run.objects.latest("pk").error == str(caught.value)
    assert (target(), links()) == before


def test_a_class_that_is_gone_from_the_specs_is_left_and_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import_all()
    monkeypatch.setattr(
        "tests.target.undo.test_rollback.MIGRATIONS", [BrandMigration, ProductMigration]
    )

    assert planned().notes == [
        "Left as it is, since the classes are in no spec any more: shop.TagMigration."
    ]
    assert "Put the class back into the spec" in refused("shop.TagMigration")


@pytest.mark.parametrize(
    ("kind", "mode", "said"),
    [
        (RunKind.IMPORT, Mode.REHEARSAL, "was a rehearsal"),
        (RunKind.ROLLBACK, Mode.ROLLBACK, "is a rollback itself"),
    ],
)
def test_only_a_run_that_wrote_can_be_undone(kind: RunKind, mode: Mode, said: str) -> None:
    run = Ledger("default").start_run((), kind=kind, mode=mode, options={})
    Ledger("default").finish_run(run, RunStatus.DONE)

    with pytest.raises(LedgerError, match=said):
        planned(run=run.pk)


def test_an_unknown_run() -> None:
    with pytest.raises(LedgerError, match=r"There is no run 4711\."):
        planned(run=4711)


def test_a_second_rollback_has_nothing_to_do() -> None:
    import_all()
    back()

    assert planned().undos == []


def test_a_plan_changes_nothing() -> None:
    import_all()
    before = target(), links(), Run.objects.count()

    assert [undo.label for undo in planned().undos] == [
        "shop.ProductMigration",
        "shop.TagMigration",
        "shop.BrandMigration",
    ]
    assert (target(), links(), Run.objects.count()) == before


# ---------------------------------------------------------------------------- signals


@pytest.fixture
def heard() -> Iterator[list[tuple[str, str, str]]]:
    """Signal, mode and status of what is sent while a test runs."""
    told: list[tuple[str, str, str]] = []
    connected = []
    for name in ("run_started", "step_started", "row_failed", "step_finished", "run_finished"):

        def receiver(run: Run, _name: str = name, **arguments: Any) -> None:
            stored = Run.objects.get(pk=run.pk)
            told.append((_name, stored.mode, stored.status))

        signal: Signal = getattr(signals, name)
        signal.connect(receiver, weak=False)
        connected.append((signal, receiver))
    yield told
    for signal, receiver in connected:
        signal.disconnect(receiver)


def test_its_begin_and_its_end_are_announced(heard: list[tuple[str, str, str]]) -> None:
    import_all()
    heard.clear()

    back()

    assert heard == [
        ("run_started", "rollback", "running"),
        ("run_finished", "rollback", "done"),
    ]


def test_a_refused_one_ends_too(heard: list[tuple[str, str, str]]) -> None:
    import_all()
    heard.clear()
    Tag.objects.update(name="edited")

    refused()

    assert heard == [
        ("run_started", "rollback", "running"),
        ("run_finished", "rollback", "failed"),
    ]


def test_a_receiver_that_raises_at_the_start_ends_it_and_nothing_is_undone() -> None:
    import_all()
    before = target(), links()

    def receiver(**arguments: Any) -> None:
        raise ValueError("chat is down")

    signals.run_started.connect(receiver)
    try:
        with pytest.raises(ValueError, match="chat is down"):
            back()
    finally:
        signals.run_started.disconnect(receiver)

    assert (target(), links()) == before
    assert Run.objects.values_list("status", flat=True)[0] == RunStatus.FAILED
    assert not RunLock.objects.exclude(run=None).exists()


# --------------------------------------------------------------------- for all imports

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
ROWS = st.dictionaries(
    st.sampled_from("abcdef"),
    st.fixed_dictionaries(
        {
            "name": NAMES,
            "price": st.decimals(0, 1000, places=2),
            "brand": st.sampled_from([None, "a", "b"]),
            "tags": st.sampled_from(["", "1", "2", "1,2"]),
        }
    ),
    max_size=6,
)


def as_rows(rows: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"sku": sku, **row} for sku, row in rows.items()]


def put(rows: dict[str, Any]) -> None:
    """Objects that are there before the first import."""
    for sku, row in rows.items():
        brand = Brand.objects.filter(code=row["brand"]).first()
        product = Product.objects.create(
            sku=sku, name=row["name"], price=row["price"], brand=brand
        )
        product.tags.set([int(tag) for tag in row["tags"].split(",") if tag])


@pytest.mark.slow
class EveryImport(TestCase):
    @settings(max_examples=examples(40))
    @given(there=ROWS, first=ROWS, second=ROWS, removed=st.sampled_from(["keep", "delete"]))
    def test_a_rollback_leaves_the_target_as_it_was(
        self,
        there: dict[str, Any],
        first: dict[str, Any],
        second: dict[str, Any],
        removed: str,
    ) -> None:
        columns = ["sku", "name", "price", "brand", "tags"]
        policy = {"removed": removed, "removed_limit": 100}
        migration = type("ProductMigration", (ProductMigration,), policy)
        with undone():
            migrate_fine(BrandMigration, BRANDS)
            migrate_fine(TagMigration, TAGS)
            put(there)
            before = target()
            migrate_fine(migration, as_rows(first), columns=columns, batch_size=2)
            between = target(), links()
            run = migrate_fine(migration, as_rows(second), columns=columns).run.pk

            back("shop.ProductMigration", run=run)
            assert (target(), links()) == between
            migrate_fine(migration, as_rows(second), columns=columns)
            back("shop.ProductMigration")
            assert target() == before
            assert not RowLink.objects.filter(migration__label="shop.ProductMigration").exists()
