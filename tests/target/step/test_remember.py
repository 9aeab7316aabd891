"""What a row leaves in the ledger: its link, and what its object was before."""

from __future__ import annotations

from typing import Any

import pytest

from data_migration.fields.digests import FieldDigests
from data_migration.migration import Migration
from data_migration.models import BeforeImage, DeferredRelation
from data_migration.outcomes import LinkKind, Mode, OnError, Unsettled
from data_migration.spec.columns import is_a
from tests.apps.shop.models import Brand, Category, Product, Tag, Token
from tests.support.engine import (
    Rows,
    book_of,
    links_of,
    migrate,
    migrate_fine,
    state_of,
    statements,
)
from tests.support.products import make_targets, updateable

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def targets() -> None:
    make_targets("acme")


def products(writer: str, **attributes: Any) -> type[Migration]:
    keyed = {"legacy_key": "nr"} | attributes
    return updateable(writer, name="ProductMigration", skip_missing=True, **keyed)


def row(nr: Any = 1, **more: Any) -> dict[str, Any]:
    return {"nr": nr, "sku": f"s{nr}", "name": "x", "brand": "acme", "tags": "a;b"} | more


def images() -> list[tuple[str, Any, Any, bool]]:
    return [
        (image.object_pk, image.values, image.m2m, image.link is None)
        for image in BeforeImage.objects.all()
    ]


class TestLinks:
    def test_lead_from_the_key_to_the_object(self, writer: str) -> None:
        migration = products(writer)
        result = migrate_fine(migration, [row(7), row("07")])
        links = links_of(migration)
        assert {key: link.object_pk for key, link in links.items()} == {
            "7": str(Product.objects.get(sku="s7").pk),
            '"07"': str(Product.objects.get(sku="s07").pk),
        }
        assert {(link.kind, link.run, link.unsettled) for link in links.values()} == {
            (LinkKind.CREATED, result.run.pk, Unsettled.NOTHING)
        }
        assert links["7"].checksum != links['"07"'].checksum

    def test_remember_what_was_written_in_each_field(self, writer: str) -> None:
        migration = products(writer)
        migrate_fine(migration, [row()])
        product = Product.objects.get()
        written = book_of(migration).written(links_of(migration)["1"])
        digests = FieldDigests(Product, ("tags",), database="default")
        assert written == {
            **{name: digests.of(name, product) for name in digests.names if name != "tags"},
            **digests.of_m2m({"tags": product.tags.values_list("pk", flat=True)}),
        }
        assert len(written) == 7

    def test_lead_to_keys_of_every_type(self, writer: str) -> None:
        described = {"nr": is_a(exclude=True)}
        migration = products(writer, model=Token, column_description=described)
        migrate_fine(migration, [{"nr": 1, "name": "x"}])
        assert links_of(migration)["1"].object_pk == str(Token.objects.get().pk)
        assert migrate_fine(migration, [{"nr": 1, "name": "y"}]).counts == {"updated": 1}

    def test_of_skipped_rows_lead_nowhere(self, writer: str) -> None:
        migration = products(writer, hook_before_save=lambda self, instance, row: False)
        migrate_fine(migration, [row()])
        link = links_of(migration)["1"]
        assert (link.kind, link.object_pk, link.written) == (LinkKind.SKIPPED, None, b"")

    def test_of_failed_rows_are_not_written(self, writer: str) -> None:
        migration = products(writer)
        migrate(migration, [row(1), row(2, name=None), row(3)])
        assert set(links_of(migration)) == {"1", "3"}

    def test_say_that_a_row_had_a_warning(self, writer: str) -> None:
        migration = products(writer)
        migrate(migration, [row(brand="nix")])
        assert links_of(migration)["1"].unsettled == Unsettled.WARNED

    def test_say_that_many_to_manys_are_still_to_come(self, writer: str) -> None:
        described = {"followers": is_a(Category, "name", m2m=True)}
        attributes = {"model": Category, "legacy_key": "name", "column_description": described}
        migration = products(writer, **attributes, batch_size=1)
        rows: Rows = [{"name": "a", "followers": "b"}, {"name": "b", "followers": None}]
        migrate(migration, rows, should_stop=lambda: True)
        assert links_of(migration)['"a"'].unsettled == Unsettled.RELATIONS
        migrate_fine(migration, rows)
        assert links_of(migration)['"a"'].unsettled == Unsettled.NOTHING

    def test_are_gone_with_an_object_that_had_to_go(self, writer: str) -> None:
        described = {"followers": is_a(Category, "name", m2m=True)}
        attributes = {"model": Category, "legacy_key": "name", "column_description": described}
        migration = products(writer, **attributes, batch_size=1)
        rows: Rows = [{"name": "a", "followers": "nix"}, {"name": "b", "followers": None}]
        migrate(migration, rows)
        assert set(links_of(migration)) == {'"b"'}

    def test_stay_those_of_the_run_that_wrote_last(self, writer: str) -> None:
        migration = products(writer)
        first = migrate_fine(migration, [row(1), row(2)]).run.pk
        second = migrate_fine(migration, [row(1), row(2, name="new")]).run.pk
        migrate_fine(migration, [row(1), row(2, name="new")])
        links = links_of(migration)
        assert (links["1"].run, links["2"].run) == (first, second)

    def test_of_a_row_that_changed_without_effect_get_its_checksum_alone(
        self, writer: str
    ) -> None:
        migration = products(writer)
        migrate_fine(migration, [row(price="1.5")])
        former = links_of(migration)["1"]
        migrate_fine(migration, [row(price="1.50")])
        link = links_of(migration)["1"]
        assert link.checksum != former.checksum
        assert link._replace(checksum=former.checksum) == former

    def test_do_not_take_a_persons_edit_for_their_own(self, writer: str) -> None:
        migration = products(writer)
        migrate_fine(migration, [row()])
        book = book_of(migration)
        former = book.written(links_of(migration)["1"])
        Product.objects.update(name="mine")
        migrate(migration, [row(name="new", price="9")])
        written = book.written(links_of(migration)["1"])
        assert {name for name in written if written[name] != former[name]} == {"price"}

    def test_are_read_although_the_model_has_other_fields_now(self, writer: str) -> None:
        """A many-to-many column more is a layout more: what is known of the others stays."""
        migration = products(writer)
        data = row()
        del data["tags"]
        migrate_fine(migration, [data])
        Product.objects.update(name="mine")
        result = migrate(migration, [row(name="new")])
        assert result.counts == {"updated": 1, "warnings": 1}
        assert Product.objects.get().name == "mine"
        assert len(state_of(migration).layouts) == 2

    @pytest.mark.parametrize("mode", [Mode.REHEARSAL, Mode.ATOMIC])
    def test_are_rolled_back_with_their_objects(self, writer: str, mode: Mode) -> None:
        migration = products(writer)
        bad = row(3, name=None)
        migrate(migration, [row(1), row(2), bad], mode=mode, on_error=OnError.STOP, batch_size=1)
        assert links_of(migration) == {}
        assert not Product.objects.exists()

    def test_of_a_batch_cost_one_statement(self, writer: str) -> None:
        migration = products(writer)
        with statements() as ran:
            migrate_fine(migration, [row(n) for n in range(50)], batch_size=25)
        links = [sql for sql in ran if "rowlink" in sql and sql.startswith(("INSERT", "COPY"))]
        # The save writer remembers the rows of a batch together as well.
        assert len(links) in (0, 2)  # COPY goes past Django's cursor


class TestBeforeImages:
    def test_hold_the_former_values_of_what_was_changed(self, writer: str) -> None:
        migration = products(writer)
        migrate_fine(migration, [row(1), row(2)])
        assert images() == []
        former = links_of(migration)["1"]
        migrate_fine(migration, [row(1, name="new", brand=None, tags="c"), row(2)])
        ((pk, values, m2m, is_new),) = images()
        brand = Brand.objects.get()
        assert pk == former.object_pk
        assert values == {"name": "x", "brand": str(brand.pk)}
        tags = {str(tag.pk) for tag in Tag.objects.filter(name__in="ab")}
        assert {name: {*targets} for name, targets in m2m.items()} == {"tags": tags}
        assert not is_new

    def test_of_an_object_that_is_taken_over_have_no_former_link(self, writer: str) -> None:
        there = Product.objects.create(sku="s1", name="old")
        migrate_fine(products(writer, search_attr="sku"), [row()])
        ((pk, values, m2m, is_new),) = images()
        assert (pk, values["name"], m2m, is_new) == (str(there.pk), "old", {"tags": []}, True)
        assert links_of(products(writer))["1"].kind == LinkKind.ADOPTED

    def test_are_kept_for_a_hook_that_updates(self, writer: str) -> None:
        def hook_update_existing(self: Any, instance: Any, row: dict[str, Any]) -> None:
            instance.name = row["name"]
            instance.save()

        migration = products(writer, hook_update_existing=hook_update_existing)
        migrate_fine(migration, [row(1), row(2)])
        migrate_fine(migration, [row(1, name="new"), row(2)])
        assert [values for _, values, _, _ in images()] == [{"name": "x"}]

    def test_are_not_kept_where_nothing_was_written(self, writer: str) -> None:
        migration = products(writer)
        migrate_fine(migration, [row(1), row(2)])
        Product.objects.update(name="mine")
        migrate(migration, [row(1, name="new"), row(2, name=None)])
        assert images() == []


def test_a_relation_that_is_found_later_is_noted_with_its_row(writer: str) -> None:
    described = {
        "nr": is_a(exclude=True),
        "parent": is_a(Category, "name", fk=True, deferred=True),
    }
    migration = products(writer, model=Category, column_description=described)
    data: Rows = [{"nr": n, "name": name, "parent": "later"} for n, name in ((4, "a"), (5, "b"))]
    migrate(migration, data, should_stop=lambda: True, batch_size=1)
    (note,) = DeferredRelation.objects.all()
    assert (note.column, note.key, note.row_number) == ("parent", "4", 1)
    assert note.object_pk == str(Category.objects.get().pk)
