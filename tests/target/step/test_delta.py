"""Reruns: what the ledger knows of a row decides whether anything is done about it."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from data_migration.ledger import Ledger
from data_migration.migration import Migration
from data_migration.models import RunStep
from data_migration.outcomes import LinkKind, Unsettled
from data_migration.plan.graph import build_plan
from data_migration.spec.columns import is_a
from data_migration.undo import Selection, roll_back
from tests.apps.shop.models import Brand, Country, Product, Supplier, Tag, Token
from tests.support import products
from tests.support.engine import (
    Rows,
    Statements,
    label_of,
    links_of,
    migrate,
    migrate_fine,
    state_of,
    statements,
    undone,
)
from tests.support.examples import examples
from tests.support.products import make_targets
from tests.support.writers import USUAL

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def targets() -> None:
    make_targets("acme", "best")


def updateable(writer: str, model: Any = Product, **attributes: Any) -> type[Migration]:
    return products.updateable(writer, model, **{"legacy_key": "nr"} | attributes)


def rows(count: int = 6) -> Rows:
    return [
        {"nr": n, "sku": f"s{n}", "name": "x", "price": "1.50", "brand": "acme", "tags": "a;b"}
        for n in range(1, count + 1)
    ]


def noting(called: list[Any], save: bool = False) -> Any:
    def hook_update_existing(self: Any, instance: Any, row: dict[str, Any]) -> None:
        called.append(row["nr"])
        if save:
            instance.name = row["name"]
            instance.save()

    return hook_update_existing


def lookups(ran: Statements) -> list[str]:
    """The statements that read links by their keys."""
    links = [sql for sql in ran.starting("SELECT") if "rowlink" in sql]
    return [sql for sql in links if "key_hash" in sql.partition("WHERE")[2]]


def loads(ran: Statements) -> list[str]:
    """The statements that read more of the objects than whether they are there."""
    return [sql for sql in ran.starting("SELECT", table=Product) if "sku" in sql]


class TestUnchanged:
    @pytest.mark.parametrize(("size", "batches"), [(2, 3), (4, 2), (6, 1), (100, 1)])
    def test_costs_two_lookups_per_batch_and_loads_no_object(
        self, writer: str, size: int, batches: int
    ) -> None:
        migration = updateable(writer)
        migrate_fine(migration, rows())
        with statements() as ran:
            result = migrate_fine(migration, rows(), batch_size=size)
        assert result.counts == {"unchanged": 6}
        assert len(lookups(ran)) == batches
        assert len(ran.starting("SELECT", table=Product)) == batches
        assert loads(ran) == []
        assert ran.writing("shop_", "data_migration_rowlink") == []

    def test_opens_no_transaction_for_a_batch(self, writer: str) -> None:
        migration = updateable(writer)
        migrate_fine(migration, rows())

        def saved(**options: Any) -> int:
            with statements() as ran:
                migrate_fine(migration, rows(), **options)
            return len(ran.starting("UPDATE", table=RunStep))

        assert saved(batch_size=1) == saved(batch_size=6)

    @pytest.mark.parametrize("changed", [{1}, {1, 4}, {1, 2, 3, 4, 5, 6}])
    def test_rows_beside_changed_ones_cost_nothing_more(
        self, writer: str, changed: set[int]
    ) -> None:
        migration = updateable(writer)
        migrate_fine(migration, rows())
        data = [row | {"name": "new"} if row["nr"] in changed else row for row in rows()]
        with statements() as ran:
            result = migrate_fine(migration, data)
        left = {"unchanged": 6 - len(changed)} if len(changed) < 6 else {}
        assert result.counts == {"updated": len(changed), **left}
        assert len(lookups(ran)) == 2

    def test_is_seen_beside_a_row_without_a_key(self, writer: str) -> None:
        migration = updateable(writer)
        migrate_fine(migration, rows())
        data = [*rows(), rows(1)[0] | {"nr": None, "sku": "none"}]
        again = migrate(migration, data)
        assert again.counts == {"unchanged": 6, "failed": 1}

    def test_keys_in_no_order_are_found_as_well(self, writer: str) -> None:
        migration = updateable(writer)
        migrate_fine(migration, rows(60))
        shuffled = sorted(rows(60), key=lambda row: row["nr"] * 37 % 60)
        shuffled[7] = shuffled[7] | {"name": "new"}
        again = migrate_fine(migration, shuffled, batch_size=4)
        assert again.counts == {"updated": 1, "unchanged": 59}

    def test_counts_are_saved_now_and_then(self, writer: str, settings: Any) -> None:
        migration = updateable(writer)
        migrate_fine(migration, rows())
        settings.DATA_MIGRATION_HEARTBEAT_INTERVAL = 0
        with statements() as ran:
            migrate_fine(migration, rows(), batch_size=1)
        assert len(ran.starting("UPDATE", table=RunStep)) >= 6

    def test_calls_no_hook_of_a_row(self, writer: str) -> None:
        called = []

        def hook(self: Any, *arguments: Any) -> None:
            called.append(arguments)

        names = ("hook_before_transformation", "hook_before_save", "hook_after_save")
        migration = updateable(writer, **dict.fromkeys(names, hook))
        migrate_fine(migration, rows())
        assert len(called) == 18
        migrate_fine(migration, rows())
        assert len(called) == 18

    def test_row_that_was_skipped_is_skipped_again_without_its_hook(self, writer: str) -> None:
        called = []

        def hook_before_save(self: Any, instance: Any, row: dict[str, Any]) -> bool:
            called.append(row["nr"])
            return row["name"] != "skip"

        migration = updateable(writer, hook_before_save=hook_before_save)
        first = rows(3)
        first[1]["name"] = "skip"
        assert migrate_fine(migration, first).counts == {"created": 2, "skipped": 1}
        assert links_of(migration)["2"][2:] == (
            *(None, links_of(migration)["2"].checksum, b""),
            *(links_of(migration)["2"].run, LinkKind.SKIPPED, Unsettled.NOTHING),
        )
        called.clear()
        assert migrate_fine(migration, first).counts == {"unchanged": 2, "skipped": 1}
        assert called == []
        first[1]["name"] = "no more"
        assert migrate_fine(migration, first).counts == {"unchanged": 2, "created": 1}
        assert links_of(migration)["2"].kind == LinkKind.CREATED

    def test_row_with_a_warning_is_tried_again(self, writer: str) -> None:
        described = {
            "nr": is_a(exclude=True),
            "brand": is_a(Brand, "code", fk=True, skip_missing=True),
            "tags": is_a(Tag, "name", m2m=True, skip_missing=True),
        }
        migration = updateable(writer, column_description=described)
        data = rows(3)
        data[0]["brand"] = "later"
        data[1]["tags"] = "a;later"
        assert migrate(migration, data).counts == {"created": 3, "warnings": 2}
        again = migrate(migration, data)
        assert again.counts == {"unchanged": 3, "warnings": 2}
        Brand.objects.create(code="later")
        Tag.objects.create(name="later")
        assert migrate(migration, data).counts == {"updated": 2, "unchanged": 1}
        assert Product.objects.get(sku="s1").brand == Brand.objects.get(code="later")
        assert Product.objects.get(sku="s2").tags.count() == 2
        with statements() as ran:
            assert migrate_fine(migration, data).counts == {"unchanged": 3}
        assert loads(ran) == []


class TestChanged:
    def test_only_columns_that_differ_are_written(self, writer: str) -> None:
        migration = updateable(writer)
        migrate_fine(migration, rows())
        data = rows()
        data[2]["name"] = "new"
        with statements() as ran:
            result = migrate_fine(migration, data)
        assert result.counts == {"updated": 1, "unchanged": 5}
        (sql,) = ran.writing("shop_")
        assert ("name" in sql, "price" in sql, "brand" in sql) == (True, False, False)
        with statements() as ran:
            assert migrate_fine(migration, data).counts == {"unchanged": 6}
        assert loads(ran) == []

    def test_row_whose_object_is_the_same_all_the_same_is_not_written(self, writer: str) -> None:
        migration = updateable(writer)
        migrate_fine(migration, rows())
        data = rows()
        data[2]["price"] = "1.500"
        data[3]["tags"] = "b ; a"
        with statements() as ran:
            assert migrate_fine(migration, data).counts == {"unchanged": 6}
        assert ran.writing("shop_") == []
        with statements() as ran:  # their new checksums are remembered
            assert migrate_fine(migration, data).counts == {"unchanged": 6}
        assert loads(ran) == []

    def test_new_rows_become_objects(self, writer: str) -> None:
        migration = updateable(writer)
        migrate_fine(migration, rows(4))
        assert migrate_fine(migration, rows()).counts == {"created": 2, "unchanged": 4}
        assert Product.objects.count() == 6

    def test_objects_are_found_by_the_ledger_alone(self, writer: str) -> None:
        migration = updateable(writer)
        migrate_fine(migration, rows(2))
        data = [row | {"sku": f"t{row['nr']}"} for row in rows(2)]
        assert migrate_fine(migration, data).counts == {"updated": 2}
        assert set(Product.objects.values_list("sku", flat=True)) == {"t1", "t2"}

    def test_sets_of_joins_are_compared(self, writer: str) -> None:
        migration = updateable(writer)
        migrate_fine(migration, rows())
        data = rows()
        for row, tags in zip(data, ["b;a", "a", "a;b;c", "c", None, "a;b"], strict=True):
            row["tags"] = tags
        result = migrate_fine(migration, data)
        assert result.counts == {"updated": 4, "unchanged": 2}
        found = {
            p.sku: "".join(sorted(t.name for t in p.tags.all())) for p in Product.objects.all()
        }
        assert found == {"s1": "ab", "s2": "a", "s3": "abc", "s4": "c", "s5": "", "s6": "ab"}

    def test_hand_made_joins_of_other_relations_stay(self, writer: str) -> None:
        migration = updateable(writer)
        migrate_fine(migration, rows(1))
        product = Product.objects.get()
        product.suppliers.add(Supplier.objects.create(name="by hand"))
        migrate_fine(migration, [rows(1)[0] | {"tags": "c"}])
        assert product.suppliers.count() == 1

    def test_without_updates_it_is_passed_over(self, writer: str) -> None:
        migration = updateable(writer, allow_updates=False)
        migrate_fine(migration, rows())
        data = [row | {"name": "new"} for row in rows()]
        with statements() as ran:
            assert migrate_fine(migration, data).counts == {"passed": 6}
        assert ran.writing("shop_") == []
        assert migrate_fine(migration, data, update=True).counts == {"updated": 6}

    def test_composite_keys_of_text(self, writer: str) -> None:
        described = {"land": is_a(exclude=True), "number": is_a(exclude=True)}
        migration = updateable(writer, legacy_key=("land", "number"), column_description=described)
        data: Rows = [
            {"land": "DE", "number": number, "sku": f"s{n}", "name": "x"}
            for n, number in enumerate(["01", "1", 1, "é"])
        ]
        assert migrate_fine(migration, data).counts == {"created": 4}
        assert set(links_of(migration)) == {
            *('["DE", "01"]', '["DE", "1"]', '["DE", 1]', '["DE", "é"]')
        }
        data[1]["name"] = "new"
        assert migrate_fine(migration, data).counts == {"updated": 1, "unchanged": 3}
        assert Product.objects.get(name="new").sku == "s1"


class TestHookUpdateExisting:
    def test_is_called_for_every_object(self, writer: str) -> None:
        called: list[int] = []
        migration = updateable(writer, hook_update_existing=noting(called))
        migrate_fine(migration, rows())
        assert called == []
        assert migrate_fine(migration, rows()).counts == {"unchanged": 6}
        assert called == [1, 2, 3, 4, 5, 6]

    def test_is_called_for_changed_rows_where_changes_are_tracked(self, writer: str) -> None:
        called: list[int] = []
        migration = updateable(
            writer, hook_update_existing=noting(called, save=True), track_changes=True
        )
        migrate_fine(migration, rows())
        data = rows()
        data[3]["name"] = "new"
        with statements() as ran:
            assert migrate_fine(migration, data).counts == {"updated": 1, "unchanged": 5}
        assert called == [4]
        assert len(ran.writing("shop_product")) == 1
        assert migrate_fine(migration, data).counts == {"unchanged": 6}
        assert called == [4]

    def test_is_called_for_every_object_with_full(self, writer: str) -> None:
        called: list[int] = []
        migration = updateable(writer, hook_update_existing=noting(called), track_changes=True)
        migrate_fine(migration, rows(3))
        migrate_fine(migration, rows(3), full=True)
        assert called == [1, 2, 3]

    def test_is_called_for_an_object_that_no_link_leads_to(self, writer: str) -> None:
        called: list[int] = []
        Product.objects.create(sku="s2", name="old")
        migration = updateable(
            writer, search_attr="sku", hook_update_existing=noting(called, save=True)
        )
        assert migrate_fine(migration, rows(3)).counts == {"created": 2, "updated": 1}
        assert called == [2]

    def test_is_not_told_of_repeated_keys(self, writer: str) -> None:
        called: list[int] = []
        migration = updateable(writer, hook_update_existing=noting(called, save=True))
        data = [rows(1)[0], rows(1)[0] | {"name": "y"}]
        assert migrate_fine(migration, data).counts == {"created": 1, "updated": 1}
        assert called == [1]


class TestFull:
    def test_compares_unchanged_rows_with_their_objects(self, writer: str) -> None:
        migration = updateable(writer, on_conflict="overwrite")
        migrate_fine(migration, rows())
        Product.objects.filter(sku="s2").update(name="mine")
        assert migrate_fine(migration, rows()).counts == {"unchanged": 6}
        assert migrate(migration, rows(), full=True).counts == {
            **{"updated": 1, "unchanged": 5, "warnings": 1}
        }
        assert not Product.objects.filter(name="mine").exists()

    def test_is_an_update(self, writer: str) -> None:
        migration = updateable(writer, allow_updates=False)
        migrate_fine(migration, rows(2))
        data = [row | {"name": "new"} for row in rows(2)]
        assert migrate_fine(migration, data, full=True).counts == {"updated": 2}

    def test_writes_nothing_where_nothing_differs(self, writer: str) -> None:
        migration = updateable(writer)
        migrate_fine(migration, rows())
        with statements() as ran:
            assert migrate_fine(migration, rows(), full=True).counts == {"unchanged": 6}
        assert ran.writing("shop_", "data_migration_rowlink") == []


class TestAdopted:
    def test_an_object_that_is_found_is_taken_over(self, writer: str) -> None:
        there = Product.objects.create(sku="s2", name="old", email="kept@example.org")
        migration = updateable(writer, search_attr="sku")
        assert migrate_fine(migration, rows(3)).counts == {"created": 2, "updated": 1}
        link = links_of(migration)["2"]
        assert (link.kind, link.object_pk) == (LinkKind.ADOPTED, str(there.pk))
        there.refresh_from_db()
        assert (there.name, there.email) == ("x", "kept@example.org")
        assert migrate_fine(migration, rows(3)).counts == {"unchanged": 3}

    def test_an_object_that_is_as_the_row_is_unchanged(self, writer: str) -> None:
        Product.objects.create(
            sku="s1", name="x", price="1.5", brand=Brand.objects.get(code="acme")
        )
        Product.objects.get().tags.set(Tag.objects.filter(name__in="ab"))
        migration = updateable(writer, search_attr="sku")
        with statements() as ran:
            assert migrate_fine(migration, rows(1)).counts == {"unchanged": 1}
        assert ran.writing("shop_") == []
        assert links_of(migration)["1"].kind == LinkKind.ADOPTED

    def test_what_a_person_changes_in_it_afterwards_is_a_conflict(self, writer: str) -> None:
        Product.objects.create(sku="s1", name="old")
        migration = updateable(writer, search_attr="sku")
        migrate_fine(migration, rows(1))
        Product.objects.update(name="mine")
        result = migrate(migration, [rows(1)[0] | {"name": "new"}])
        assert result.counts == {"unchanged": 1, "warnings": 1}
        assert Product.objects.get().name == "mine"

    def test_two_rows_for_one_object_both_lead_to_it(self, writer: str) -> None:
        migration = updateable(writer, search_attr="sku")
        data = [rows(1)[0], rows(1)[0] | {"nr": 2, "name": "y"}]
        assert migrate_fine(migration, data).counts == {"created": 1, "updated": 1}
        links = links_of(migration)
        assert links["1"].object_pk == links["2"].object_pk
        assert [links[key].kind for key in "12"] == [LinkKind.CREATED, LinkKind.ADOPTED]


class TestDeletedByAPerson:
    def rerun(self, writer: str, *, changed: bool, **attributes: Any) -> Any:
        """One of three objects is deleted; its row has changed since, or has not."""
        migration = updateable(writer, **attributes)
        migrate_fine(migration, rows(3))
        self.pk = Product.objects.get(sku="s2").pk
        Product.objects.get(sku="s2").delete()
        self.migration, self.data = migration, rows(3)
        if changed:
            self.data[1]["name"] = "new"
        return migrate(migration, self.data)

    def what(self) -> str:
        return f"the object {self.pk} of this row was deleted since it was written"

    @pytest.mark.parametrize("changed", [True, False])
    @pytest.mark.parametrize(
        "attributes",
        [{}, {"on_conflict": "overwrite"}, {"deleted": "create", "on_conflict": "report"}],
        ids=["default", "overwrite", "create"],
    )
    def test_is_made_again(self, writer: str, changed: bool, attributes: Any) -> None:
        result = self.rerun(writer, changed=changed, **attributes)
        assert result.counts == {"unchanged": 2, "created": 1, "warnings": 1}
        assert result.said == [("conflict", "2", f"{self.what()}; it is made again")]
        product = Product.objects.get(sku="s2")
        assert (product.name, product.tags.count()) == ("new" if changed else "x", 2)
        assert links_of(self.migration)["2"].object_pk == str(product.pk)
        assert migrate_fine(self.migration, self.data).counts == {"unchanged": 3}

    def test_stays_deleted_where_the_spec_says_so(self, writer: str) -> None:
        result = self.rerun(writer, changed=True, deleted="keep")
        assert result.counts == {"unchanged": 2, "skipped": 1, "warnings": 1}
        assert result.said == [("conflict", "2", f"{self.what()}; it stays deleted")]
        assert not Product.objects.filter(sku="s2").exists()

    def test_is_skipped_without_a_word_while_its_row_stays_the_same(self, writer: str) -> None:
        result = self.rerun(writer, changed=False, deleted="keep")
        for _ in "ab":
            assert (result.counts, result.said) == ({"unchanged": 2, "skipped": 1}, [])
            result = migrate(self.migration, self.data)
        assert not Product.objects.filter(sku="s2").exists()

    @pytest.mark.parametrize("changed", [True, False])
    @pytest.mark.parametrize(
        "attributes", [{"on_conflict": "report"}, {"deleted": "report"}], ids=["implied", "said"]
    )
    def test_fails_where_it_is_to_be_reported(
        self, writer: str, changed: bool, attributes: Any
    ) -> None:
        result = self.rerun(writer, changed=changed, **attributes)
        assert result.counts == {"unchanged": 2, "failed": 1}
        assert result.said == [
            (
                "failure",
                "2",
                f'{self.what()}. Decide with deleted = "create" or "keep", or mend one side'
                " and run the same command again",
            )
        ]
        assert not Product.objects.filter(sku="s2").exists()

    @pytest.mark.parametrize("options", [{"update": True}, {"full": True}])
    def test_is_made_again_by_an_update_on_request(
        self, writer: str, options: dict[str, bool]
    ) -> None:
        migration = updateable(writer, allow_updates=False)
        migrate_fine(migration, rows(3))
        Product.objects.get(sku="s2").delete()
        assert migrate_fine(migration, rows(3)).counts == {"passed": 3}
        assert migrate(migration, rows(3), **options).counts["created"] == 1

    def test_is_made_again_where_its_key_is_repeated_or_a_hook_updates(self, writer: str) -> None:
        called: list[int] = []
        for attributes in ({}, {"hook_update_existing": noting(called)}):
            migration = updateable(writer, **attributes)
            Product.objects.all().delete()
            data = [*rows(2), rows(1)[0]]
            migrate(migration, data)
            Product.objects.get(sku="s2").delete()
            assert migrate(migration, data).counts["created"] == 1
            assert Product.objects.filter(sku="s2").exists()
            back(migration)

    def test_is_taken_away_again_by_a_rollback_of_that_run(self, writer: str) -> None:
        result = self.rerun(writer, changed=False)
        back(self.migration, run=result.run.pk)
        assert set(Product.objects.values_list("sku", flat=True)) == {"s1", "s3"}
        assert migrate_fine(self.migration, self.data).counts == {"unchanged": 2, "created": 1}

    @pytest.mark.parametrize("keys", [range(1, 7), range(1, 60_000, 10_000)])
    def test_whatever_its_primary_key_is(self, writer: str, keys: Any) -> None:
        """Next to each other, or far apart with others between."""
        Product.objects.bulk_create(Product(id=key, sku=f"other {key}") for key in range(100, 200))
        migration = updateable(writer, legacy_key="id", column_description={})
        data = [{"id": key, "sku": f"s{key}", "name": "x"} for key in keys]
        migrate_fine(migration, data)
        Product.objects.get(pk=keys[1]).delete()
        assert migrate(migration, data).counts == {"unchanged": 5, "created": 1, "warnings": 1}
        assert Product.objects.filter(pk__in=keys).count() == 6

    @pytest.mark.parametrize("model", [Token, Country])
    def test_nor_of_what_type(self, writer: str, model: Any) -> None:
        migration = updateable(writer, model, column_description={}, legacy_key="name")
        data = [{"name": f"n{n}", **_key_of(model, n)} for n in range(3)]
        migrate_fine(migration, data)
        model.objects.get(name="n1").delete()
        assert migrate(migration, data).counts["created"] == 1
        assert migrate_fine(migration, data).counts == {"unchanged": 3}


def _key_of(model: Any, number: int) -> dict[str, Any]:
    return {"code": "ABC"[number]} if model is Country else {"id": str(uuid.UUID(int=number))}


def back(migration: type[Migration], run: int | None = None) -> None:
    label = label_of(migration)
    roll_back(
        Selection(labels=(label,), run=run), build_plan({label: migration}), Ledger("default")
    )


class TestChangedSpec:
    def test_lets_every_row_be_compared_again(self, writer: str) -> None:
        migration = updateable(writer)
        migrate_fine(migration, rows())

        def hook_before_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
            instance.name = instance.name.upper()

        changed = updateable(writer, hook_before_save=hook_before_save)
        assert migrate_fine(changed, rows()).counts == {"updated": 6}
        assert set(Product.objects.values_list("name", flat=True)) == {"X"}
        assert migrate_fine(changed, rows()).counts == {"unchanged": 6}

    def test_is_remembered_when_it_was_applied(self, writer: str) -> None:
        migrate_fine(updateable(writer, allow_updates=False), rows())
        applied = state_of(updateable(writer)).fingerprint
        described = {**updateable(writer).column_description, "brand": is_a(exclude=True)}
        changed = updateable(writer, allow_updates=False, column_description=described)
        migrate_fine(changed, rows())  # passes every row over
        assert state_of(changed).fingerprint == applied
        migrate_fine(changed, rows(), update=True)
        assert state_of(changed).fingerprint != applied

    def test_of_a_column_more_lets_every_row_be_compared_again(self, writer: str) -> None:
        migration = updateable(writer)
        migrate_fine(migration, rows(2))
        data = [row | {"email": "a@example.org"} for row in rows(2)]
        assert migrate_fine(migration, data).counts == {"updated": 2}


class TestRowsThatCannotBeIdentified:
    def test_without_a_key_they_fail_and_the_others_do_not(self, writer: str) -> None:
        data = rows(3)
        data[1]["nr"] = None
        result = migrate(updateable(writer), data)
        assert result.counts == {"created": 2, "failed": 1}
        assert result.said == [
            (
                "failure",
                "",
                "the legacy key (nr) is NULL, so the row could not be found again. Leave such rows"
                " out of the query, or name other columns in legacy_key",
            )
        ]

    def test_with_half_a_key_they_fail_too(self, writer: str) -> None:
        data = rows(2)
        data[1]["sku"] = None
        result = migrate(updateable(writer, legacy_key=("nr", "sku")), data)
        assert result.counts == {"created": 1, "failed": 1}
        assert "(nr, sku) is NULL" in result.causes[0]

    def test_of_a_type_that_is_no_key_they_fail(self, writer: str) -> None:
        data = rows(2)
        data[1]["nr"] = {1, 2}
        result = migrate(updateable(writer), data)
        assert result.counts == {"created": 1, "failed": 1}
        assert result.causes[0].startswith("the legacy key is unusable: ")


# ---------------------------------------------------------------- random tables, random edits


NAMES = ("name", "email", "brand")
_VALUES: dict[str, Any] = {
    "name": st.sampled_from(["x", "y", "z"]),
    "email": st.sampled_from(["", "e", "f"]),
    "brand": st.sampled_from([None, "acme", "best"]),
    "tags": st.sets(st.sampled_from("abc")).map(sorted).map(";".join),
}
_KEYS = st.sampled_from([1, 2, 3, "1", "01", "é"])
_TABLE = st.dictionaries(_KEYS, st.fixed_dictionaries(_VALUES), max_size=6)
#: What a person does between two runs: (key, attribute, value).
_EDIT = st.sampled_from([*_VALUES]).flatmap(
    lambda name: st.tuples(_KEYS, st.just(name), _VALUES[name])
)
_ROUND = st.tuples(_TABLE, st.lists(_EDIT, max_size=3))
Table = dict[Any, dict[str, Any]]


class Model:
    """What the target should hold: a fresh import of the rows plus the edits that were kept."""

    def __init__(self) -> None:
        self.stored: Table = {}
        self.written: Table = {}
        self.seen: Table = {}

    def edit(self, key: Any, name: str, value: Any) -> None:
        if key in self.stored:
            self.stored[key][name] = value

    def rerun(self, table: Table) -> dict[str, int]:
        """Take over the table as a migration with on_conflict = "keep"; the counts."""
        counts = dict.fromkeys(("created", "updated", "unchanged", "warnings"), 0)
        for key, row in table.items():
            counts[self._take(key, row, counts)] += 1
        return {name: count for name, count in counts.items() if count}

    def _take(self, key: Any, row: dict[str, Any], counts: dict[str, int]) -> str:
        if key not in self.stored:
            self.stored[key], self.written[key], self.seen[key] = dict(row), dict(row), dict(row)
            return "created"
        if self.seen[key] == row:
            return "unchanged"
        self.seen[key] = dict(row)
        stored, written = self.stored[key], self.written[key]
        differing = {name for name in row if stored[name] != row[name]}
        kept = {name for name in differing if stored[name] != written[name]}
        counts["warnings"] += len(kept)
        stored |= {name: row[name] for name in differing - kept}
        written |= {name: row[name] for name in row.keys() - kept}
        return "updated" if differing - kept else "unchanged"


def _as_rows(table: Table) -> Rows:
    return [{"nr": key, "sku": f"{key!r}"} | row for key, row in table.items()]


def _stored(migration: type[Migration]) -> Table:
    keys = {f"{key!r}": key for key in (1, 2, 3, "1", "01", "é")}
    return {
        keys[product.sku]: {
            "name": product.name,
            "email": product.email,
            "brand": product.brand and product.brand.code,
            "tags": ";".join(sorted(tag.name for tag in product.tags.all())),
        }
        for product in Product.objects.all()
    }


def _edit(key: Any, name: str, value: Any) -> None:
    for product in Product.objects.filter(sku=f"{key!r}"):
        if name == "tags":
            product.tags.set(Tag.objects.filter(name__in=value.split(";")))
        else:
            setattr(product, name, Brand.objects.get(code=value) if value in _BRANDS else value)
            product.save()


_BRANDS = ("acme", "best")


@pytest.mark.slow
@pytest.mark.parametrize("writer_name", USUAL)
@hypothesis_settings(max_examples=examples(40))
@given(rounds=st.lists(_ROUND, min_size=1, max_size=4), batch_size=st.integers(1, 4))
def test_rerun_after_rerun_is_a_fresh_import_with_the_edits_that_were_kept(
    writer_name: str, rounds: list[tuple[Table, Any]], batch_size: int
) -> None:
    migration = updateable(writer_name)
    names = ["nr", "sku", *_VALUES]
    model = Model()
    with undone():
        for table, edits in rounds:
            expected = model.rerun(table)
            result = migrate(migration, _as_rows(table), batch_size=batch_size, columns=names)
            assert result.error is None, result.error
            assert result.counts == expected
            assert _stored(migration) == model.stored
            with statements() as ran:
                again = migrate(migration, _as_rows(table), batch_size=batch_size, columns=names)
            assert again.counts == ({"unchanged": len(table)} if table else {})
            assert ran.writing("shop_", "data_migration_rowlink") == []
            for edit in edits:
                _edit(*edit)
                model.edit(*edit)
            assert _stored(migration) == model.stored


@pytest.mark.slow
@pytest.mark.parametrize("writer_name", USUAL)
@hypothesis_settings(max_examples=examples(15))
@given(tables=st.lists(_TABLE, min_size=2, max_size=4), batch_size=st.integers(1, 4))
def test_with_overwrite_the_target_is_that_of_a_fresh_import(
    writer_name: str, tables: list[Table], batch_size: int
) -> None:
    migration = updateable(writer_name, on_conflict="overwrite")
    names = ["nr", "sku", *_VALUES]
    everything: Table = {}
    with undone():
        for table in tables:
            everything |= table
            Product.objects.update(name="mine")
            result = migrate(
                migration, _as_rows(table), batch_size=batch_size, columns=names, full=True
            )
            assert result.error is None, result.error
            found = _stored(migration)
            assert {key: found[key] for key in table} == table
            assert found.keys() == everything.keys()


def test_a_key_that_is_a_number_today_and_text_tomorrow_is_another_key(writer: str) -> None:
    migration = updateable(writer, Country, column_description={"nr": is_a(exclude=True)})
    migrate_fine(migration, [{"nr": 7, "code": "A", "name": "x"}])
    result = migrate(migration, [{"nr": "7", "code": "A", "name": "y"}])
    assert (result.counts, result.told) == ({"failed": 1}, [('"7"', "code", "'A'")])
