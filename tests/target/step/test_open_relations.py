"""A target that has failed, or was not read yet, is not missing: its relation stays open."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from data_migration import is_a
from data_migration.models import DeferredRelation, RowError, RowLink, RunStep
from data_migration.outcomes import MessageKind
from tests.apps.ledger.data_migration_spec import NodeMigration as Nodes
from tests.apps.ledger.data_migration_spec import OrderMigration as Orders
from tests.apps.ledger.data_migration_spec import TermMigration as Terms
from tests.apps.ledger.fixtures import Keyed, keyed_fixture  # noqa: F401
from tests.apps.ledger.models import Node, Order, Staff, Store, Term
from tests.apps.library.fixtures import Library, library_fixture  # noqa: F401
from tests.apps.library.models import Book
from tests.apps.library.testing import give, migrate, show

pytestmark = pytest.mark.django_db
STORES, STAFF = "ledger.StoreMigration", "ledger.StaffMigration"
BOTH = (STORES, STAFF)


def stores() -> dict[str, str | None]:
    return dict(Staff.objects.order_by("name").values_list("name", "store__name"))


def warnings() -> list[tuple[str, str, str]]:
    rows = RowError.objects.filter(kind=MessageKind.WARNING)
    return list(rows.order_by("pk").values_list("key", "value", "cause"))


def failures(**conditions: Any) -> list[tuple[str, str]]:
    rows = RowError.objects.filter(kind=MessageKind.FAILURE, **conditions)
    return list(rows.order_by("pk").values_list("key", "cause"))


ALL = {"Ada": "North", "Bela": "South", "Carlo": "North", "Dora": None}


@pytest.fixture(name="shop")
def shop_fixture(keyed: Keyed) -> Keyed:
    """Staff whose store may be missing; nothing else is special about the two migrations."""
    keyed.set(
        "Store", column_description={"nr": is_a(exclude=True), "manager": is_a(exclude=True)}
    )
    keyed.set("Staff", column_description=_staff(Store, legacy=True))
    return keyed


def _staff(klass: Any, **options: Any) -> Any:
    store = is_a(klass, fk=True, **{"skip_missing": True, **options})
    return {"nr": is_a(exclude=True), "store": store}


class TestThreeWaysToMissATarget:
    """Each of them left NULL for ever, with a state of done."""

    def test_a_limit_leaves_it_open_and_the_next_run_fills_it(self, shop: Keyed) -> None:
        shop.change("UPDATE staff SET store = 103 WHERE nr = 9001")
        assert migrate(*BOTH, "--commit", "--limit", "1").code == 0
        assert stores() == {"Ada": None}
        assert DeferredRelation.objects.count() == 1
        result = migrate(*BOTH, "--commit")
        assert result.code == 0, result.everything
        assert stores() == {**ALL, "Ada": "Closed"}
        assert migrate(*BOTH, "--check").code == 0

    def test_a_failed_target_leaves_it_open_and_the_retry_fills_it(self, shop: Keyed) -> None:
        shop.change("UPDATE stores SET name = NULL WHERE nr = 102")
        migrate(*BOTH, "--commit", "--on-error", "continue")
        assert stores() == {**ALL, "Bela": None}
        shop.change("UPDATE stores SET name = 'South' WHERE nr = 102")
        result = migrate("--retry-failed", "--commit")
        assert result.code == 0, result.everything
        assert stores() == ALL
        assert migrate(*BOTH, "--check").code == 0

    def test_dependants_alone_leave_it_open_and_everything_fills_it(self, shop: Keyed) -> None:
        assert migrate(STAFF, "--commit").code == 0
        assert set(stores().values()) == {None}
        checked = migrate(STAFF, "--check")
        assert checked.code == 1
        assert "store" in checked.out
        assert migrate(*BOTH, "--commit").code == 0
        assert stores() == ALL
        assert migrate(*BOTH, "--check").code == 0


class TestOthersOfTheKind:
    @pytest.mark.parametrize("attr", ["pk", "id"])
    def test_by_an_attribute_that_is_the_key(self, shop: Keyed, attr: str) -> None:
        shop.set(
            "Store",
            query="SELECT nr AS id, name FROM stores",
            legacy_key=None,
            column_description={},
        )
        shop.set("Staff", column_description=_staff(Store, search_attr=attr))
        shop.change("UPDATE stores SET name = NULL WHERE nr = 102")
        migrate(*BOTH, "--commit", "--on-error", "continue")
        assert [(key, value) for key, value, _ in warnings()] == [("9002", "102")]
        assert "store 102 has failed: " in warnings()[0][2]
        shop.change("UPDATE stores SET name = 'South' WHERE nr = 102")
        assert migrate(*BOTH, "--commit").code == 0
        assert stores() == ALL

    def test_by_an_attribute_that_no_failure_names(self, shop: Keyed) -> None:
        shop.set(
            "Store",
            query="SELECT nr, name FROM stores ORDER BY nr",
            column_description={"nr": is_a(exclude=True)},
        )
        shop.set(
            "Staff",
            column_description=_staff(Store, search_attr="name"),
            query="SELECT staff.nr, staff.name, stores.name AS store FROM staff"
            " LEFT JOIN stores ON stores.nr = staff.store ORDER BY staff.nr",
        )
        refuse = {"now": True}

        def hook_before_save(self: Any, instance: Any, row: Any) -> None:
            if refuse["now"] and row["name"] == "South":
                raise ValueError("not today")

        shop.set("Store", hook_before_save=hook_before_save)
        migrate(*BOTH, "--commit", "--on-error", "continue")
        assert stores() == {**ALL, "Bela": None}
        assert DeferredRelation.objects.count() == 1
        refuse["now"] = False
        assert migrate("--retry-failed", "--commit").code == 0
        assert stores() == ALL

    def test_a_target_without_a_key_that_failed(self, shop: Keyed) -> None:
        shop.set(
            "Store",
            legacy_key=(),
            search_attr="name",
            query="SELECT name FROM stores ORDER BY nr",
            column_description={},
        )
        shop.set(
            "Staff",
            column_description=_staff(Store, search_attr="name"),
            query="SELECT nr, name, 'Lost' AS store FROM staff WHERE nr = 9001",
        )
        shop.change("INSERT INTO stores VALUES (104, NULL, NULL)")
        migrate(*BOTH, "--commit", "--on-error", "continue")
        shop.change("UPDATE stores SET name = 'Lost' WHERE nr = 104")
        assert migrate(STAFF, "--check").code == 1
        result = migrate(STORES, "--update", "--commit")
        assert result.code == 0, result.everything
        assert stores() == {"Ada": "Lost"}

    def test_many_to_many(self, library: Library) -> None:
        library.change("UPDATE genres SET name = NULL WHERE id = 2")
        migrate("library", "--commit", "--on-error", "continue")
        book = Book.objects.get(title="Book 1")
        assert [genre.pk for genre in book.genres.all()] == [1]
        library.change("UPDATE genres SET name = 'Genre 2' WHERE id = 2")
        assert migrate("library", "--retry-failed", "--commit").code == 0
        assert sorted(genre.pk for genre in book.genres.all()) == [1, 2]
        assert DeferredRelation.objects.count() == 0

    def test_a_migration_without_a_key(self, shop: Keyed) -> None:
        shop.set("Staff", legacy_key=())
        assert migrate(STAFF, "--commit").code == 0
        assert migrate(STAFF, "--check").code == 1
        assert migrate(STORES, "--commit").code == 0
        assert stores() == ALL

    def test_a_run_that_stopped_half_way(self, shop: Keyed) -> None:
        shop.change("UPDATE stores SET name = NULL WHERE nr = 102")
        assert migrate(*BOTH, "--commit", "--batch-size", "1").code == 1
        assert migrate(STAFF, "--commit").code == 0
        assert stores() == {**ALL, "Bela": None}
        shop.change("UPDATE stores SET name = 'South' WHERE nr = 102")
        assert migrate(*BOTH, "--commit").code == 0
        assert stores() == ALL

    def test_atomic(self, shop: Keyed) -> None:
        shop.change("UPDATE stores SET name = NULL WHERE nr = 102")
        migrate(*BOTH, "--commit", "--atomic", "--on-error", "continue")
        assert stores() == {**ALL, "Bela": None}
        assert len(warnings()) == 1
        shop.change("UPDATE stores SET name = 'South' WHERE nr = 102")
        assert migrate("--retry-failed", "--commit", "--atomic").code == 0
        assert stores() == ALL

    def test_a_rehearsal_tells_it(self, shop: Keyed) -> None:
        shop.change("UPDATE stores SET name = NULL WHERE nr = 102")
        migrate(*BOTH, "--on-error", "continue")
        ((key, value, cause),) = warnings()
        assert (key, value) == ("9002", "102")
        assert cause.startswith("store 102 has failed: ")
        assert DeferredRelation.objects.count() == 0

    def test_a_rolled_back_target_is_waited_for(self, shop: Keyed) -> None:
        shop.change("UPDATE stores SET name = NULL WHERE nr = 102")
        shop.change("DELETE FROM staff WHERE nr IN (9001, 9003)")
        migrate(*BOTH, "--commit", "--on-error", "continue")
        assert give("rollback_legacy", STORES, "--no-input").code == 0
        assert migrate(STAFF, "--check").code == 1
        shop.change("UPDATE stores SET name = 'South' WHERE nr = 102")
        assert migrate(STORES, "--commit").code == 0
        assert stores() == {"Bela": "South", "Dora": None}

    def test_the_run_that_filled_it_is_rolled_back(self, shop: Keyed) -> None:
        migrate(STAFF, "--commit")
        migrate(STORES, "--commit")
        filled = RunStep.objects.get(migration=STORES).run_id
        result = give("rollback_legacy", "--run", str(filled), "--no-input")
        assert result.code == 0, result.everything
        assert (Store.objects.count(), set(stores().values())) == (0, {None})
        assert migrate(STORES, "--commit").code == 0
        assert stores() == ALL

    def test_by_legacy_key_only_what_has_failed_is_waited_for(self, shop: Keyed) -> None:
        shop.change("UPDATE stores SET name = NULL WHERE nr = 102")
        shop.change("UPDATE staff SET store = 999 WHERE nr = 9001")
        migrate(*BOTH, "--commit", "--on-error", "continue")
        assert [(key, value) for key, value, _ in warnings()] == [("9001", "999"), ("9002", "102")]
        assert warnings()[0][2] == "the legacy key 999 matches no ledger.Store"
        assert [each.key for each in DeferredRelation.objects.all()] == ["9002"]

    def test_of_many_targets_those_that_are_missing_are_let_go(self, keyed: Keyed) -> None:
        described = Orders.column_description
        skipping = replace(described["tags"], skip_missing=True)
        keyed.set("Order", column_description={**described, "tags": skipping})
        keyed.change("UPDATE orders SET tags = '31,33,999' WHERE nr = 80001")
        migrate("ledger.CustomerMigration", "ledger.OrderMigration", "--commit")
        keyed.change("UPDATE tags SET name = NULL WHERE nr = 33")
        migrate("ledger.TagMigration", "--commit", "--on-error", "continue")
        (open_,) = DeferredRelation.objects.all()
        assert (open_.key, open_.value) == ("80001", '["33"]')
        keyed.change("UPDATE tags SET name = 'gift' WHERE nr = 33")
        assert migrate("--retry-failed", "--commit").code == 0
        tags = Order.objects.order_by("pk")[0].tags.order_by("name")
        assert [tag.name for tag in tags] == ["gift", "paid"]

    def test_a_plain_foreign_key_says_what_has_failed(self, library: Library) -> None:
        library.set("Book", column_description={"genres": is_a(exclude=True)})
        library.change("UPDATE authors SET name = NULL WHERE id = 2")
        migrate("library", "--commit", "--on-error", "continue")
        causes = [cause for _, cause in failures(migration__label="library.BookMigration")]
        assert len(causes) == 2
        assert {cause.partition(":")[0] for cause in causes} == {"author 2 has failed"}
        library.change("UPDATE authors SET name = 'Author 2' WHERE id = 2")
        result = migrate("library.AuthorMigration", "--retry-failed", "--commit")
        assert result.code == 0, result.everything
        assert Book.objects.count() == 6

    def test_a_skipped_target_is_waited_for_and_not_pending(self, shop: Keyed) -> None:
        shop.set("Store", skip=True)
        assert migrate(*BOTH, "--commit").code == 0
        assert len(warnings()) == 3
        assert migrate(*BOTH, "--check").code == 0
        shop.set("Store", skip=False)
        assert migrate(*BOTH, "--commit").code == 0
        assert stores() == ALL


class TestTrees:
    @pytest.fixture(autouse=True)
    def _missing_parents_are_skipped(self, keyed: Keyed) -> None:
        described = Nodes.column_description
        skipping = {**described, "parent": replace(described["parent"], skip_missing=True)}
        keyed.set("Node", column_description=skipping)

    def parents(self) -> dict[str, str | None]:
        return dict(Node.objects.order_by("pk").values_list("name", "parent__name"))

    def test_a_failed_parent(self, keyed: Keyed) -> None:
        keyed.change("UPDATE nodes SET name = NULL WHERE nr = 504")
        migrate("ledger.NodeMigration", "--commit", "--on-error", "continue")
        assert self.parents() == {"leaf": "branch", "twig": None, "branch": None, "stone": None}
        keyed.change("UPDATE nodes SET name = 'root' WHERE nr = 504")
        assert migrate("--retry-failed", "--commit").code == 0
        assert self.parents()["twig"] == self.parents()["branch"] == "root"

    def test_a_parent_that_a_limit_left_unread(self, keyed: Keyed) -> None:
        assert migrate("ledger.NodeMigration", "--commit", "--limit", "2").code == 0
        assert self.parents() == {"leaf": None, "twig": None}
        assert migrate("ledger.NodeMigration", "--commit").code == 0
        assert self.parents()["leaf"] == "branch"
        assert self.parents()["twig"] == "root"

    def test_a_parent_that_never_comes_is_a_warning_as_ever(self, keyed: Keyed) -> None:
        keyed.change("UPDATE nodes SET parent = 999 WHERE nr = 501")
        migrate("ledger.NodeMigration", "--commit")
        assert warnings() == [("501", "999", "the legacy key 999 matches no ledger.Node")]
        assert DeferredRelation.objects.count() == 0

    def test_many_parents_of_which_one_failed(self, keyed: Keyed) -> None:
        described = Terms.column_description
        skipping = {**described, "parents": replace(described["parents"], skip_missing=True)}
        keyed.set("Term", column_description=skipping)
        keyed.change("UPDATE terms SET name = NULL WHERE nr = 73")
        migrate("ledger.TermMigration", "--commit", "--on-error", "continue")
        spork = Term.objects.get(name="spork")
        assert [term.name for term in spork.parents.all()] == ["spoon"]
        keyed.change("UPDATE terms SET name = 'fork' WHERE nr = 73")
        assert migrate("--retry-failed", "--commit").code == 0
        assert sorted(term.name for term in spork.parents.all()) == ["fork", "spoon"]


class TestWhatIsTold:
    def test_what_is_really_missing_is_a_warning_and_closed(self, shop: Keyed) -> None:
        shop.change("UPDATE staff SET store = 999 WHERE nr = 9001")
        assert migrate(*BOTH, "--commit").code == 0
        assert warnings() == [("9001", "999", "the legacy key 999 matches no ledger.Store")]
        assert DeferredRelation.objects.count() == 0

    def test_each_open_relation_is_a_warning_of_its_row_once(self, shop: Keyed) -> None:
        result = migrate(STAFF, "--commit")
        step = RunStep.objects.get(migration=STAFF)
        assert (step.created, step.warnings) == (4, 3)
        assert warnings()[0] == (
            "9001",
            "101",
            "the legacy key 101 matches no ledger.Store: ledger.StoreMigration has not run yet",
        )
        sentence = f"{STAFF}: 3 relations wait for their targets (store: 3)."
        assert sentence in result.out
        migrate(STAFF, "--commit")
        assert len(warnings()) == 3

    def test_the_run_that_fills_them_says_so(self, shop: Keyed) -> None:
        migrate(STAFF, "--commit")
        filled = migrate(STORES, "--commit").out
        assert f"{STAFF}: 3 relations of earlier runs got their targets.\n" in filled
        assert "got" not in migrate(STORES, STAFF, "--commit").out

    def test_a_run_that_only_fills_does_something(self, shop: Keyed) -> None:
        migrate(*BOTH, "--commit")
        staff = Staff.objects.get(name="Ada")
        Staff.objects.filter(pk=staff.pk).update(store=None)
        link = RowLink.objects.get(migration__label=STAFF, key="9001")
        DeferredRelation.objects.create(  # as a run leaves it that is killed before its end
            migration_id=link.migration_id,
            column="store",
            object_pk=str(staff.pk),
            value="101",
            key_hash=link.key_hash,
            key=link.key,
            row_number=1,
        )
        result = migrate(*BOTH, "--commit")
        assert f"{STAFF}: 1 relation of earlier runs got its target.\n" in result.out
        assert result.out.endswith(": committed.\n")
        assert stores() == ALL

    def test_the_state_tells_it(self, shop: Keyed) -> None:
        migrate(STAFF, "--commit")
        told = show().out
        assert f"{STAFF}: 3 relations wait for their targets (store: 3)." in told
        (state,) = (
            each
            for each in json.loads(show("--format", "json").out)["migrations"]
            if each["migration"] == STAFF
        )
        assert (state["state"], state["open_relations"]) == ("partial", {"store": 3})
        migrate(STORES, "--commit")
        assert "wait for" not in show().out

    def test_check_in_json(self, shop: Keyed) -> None:
        migrate(STAFF, "--commit")
        document = json.loads(migrate(STAFF, "--check", "--format", "json").out)
        assert document == {"pending": [STAFF], "open_relations": {STAFF: {"store": 3}}}

    def test_a_value_of_a_sensitive_column_is_not_told(self, shop: Keyed) -> None:
        shop.set("Staff", sensitive_columns=("store",))
        migrate(STAFF, "--commit")
        assert not any("101" in text for message in warnings()[:1] for text in message[1:])

    def test_what_a_person_filled_meanwhile_stays(self, shop: Keyed) -> None:
        migrate(STAFF, "--commit")
        other = Store.objects.create(name="other")
        Staff.objects.filter(name="Ada").update(store=other)
        migrate(STORES, "--commit")
        assert stores() == {**ALL, "Ada": "other"}


class TestConsequences:
    """A row that fails since its target has failed."""

    @pytest.fixture(autouse=True)
    def _stores_are_needed(self, shop: Keyed) -> None:
        shop.set("Staff", column_description=_staff(Store, legacy=True, skip_missing=False))
        shop.change("UPDATE stores SET name = NULL WHERE nr = 102")

    def test_it_says_so_and_is_counted(self, shop: Keyed) -> None:
        result = migrate(*BOTH, "--commit", "--on-error", "continue")
        (store, cause), (key, follows) = failures()
        assert (store, key) == ("102", "9002")
        assert follows == f"store 102 has failed: {cause}"
        sentence = f"{STAFF}: 1 of 1 failed rows only follows from the failure of its target"
        assert sentence in result.out
        document = json.loads(
            migrate(*BOTH, "--commit", "--on-error", "continue", "--format", "json").out
        )
        counted = [each.get("consequences", 0) for each in document["migrations"]]
        assert counted == [0, 1]

    def test_a_retry_of_the_cause_tries_it_again(self, shop: Keyed) -> None:
        migrate(*BOTH, "--commit", "--on-error", "continue")
        shop.change("UPDATE stores SET name = 'South' WHERE nr = 102")
        assert migrate(STORES, "--retry-failed", "--commit").code == 0
        assert stores() == ALL
        assert failures(is_open=True) == []

    def test_a_rehearsal_knows_it_too(self, shop: Keyed) -> None:
        migrate(*BOTH, "--on-error", "continue")
        assert failures()[1][1].startswith("store 102 has failed: ")

    def test_of_a_chain_the_first_link_is_told(self, keyed: Keyed) -> None:
        keyed.change("UPDATE nodes SET name = NULL WHERE nr = 504")
        migrate("ledger.NodeMigration", "--commit", "--on-error", "continue")
        told = dict(failures(migration__label="ledger.NodeMigration"))
        assert set(told) == {"501", "502", "503", "504"}
        root = f"node 504 has failed: {told['504']}"
        assert [told["501"], told["502"], told["503"]] == [root] * 3

    def test_one_that_was_not_read_says_so(self, shop: Keyed) -> None:
        migrate(STAFF, "--commit", "--on-error", "continue")
        assert failures()[0][1] == (
            "the legacy key 101 matches no ledger.Store: ledger.StoreMigration has not run yet"
        )

    def test_a_limit_that_left_it_unread_is_named(self, shop: Keyed) -> None:
        shop.change("UPDATE staff SET store = 103 WHERE nr = 9001")
        result = migrate(*BOTH, "--limit", "1", "--on-error", "continue")
        assert failures() == [
            (
                "9001",
                "the legacy key 103 matches no ledger.Store: only the first rows of"
                " ledger.StoreMigration were read (--limit 1)",
            )
        ]
        sentence = f"{STAFF}: 1 of 1 failed rows only misses a target that --limit left unread"
        assert sentence in result.out

    def test_such_a_row_does_not_end_a_rehearsal(self, shop: Keyed) -> None:
        shop.change("UPDATE staff SET store = 103 WHERE nr = 9001")
        result = migrate(*BOTH, "ledger.NodeMigration", "--limit", "1")
        assert result.code == 1
        statuses = dict(RunStep.objects.values_list("migration", "status"))
        assert statuses[STAFF] == "partial"
        assert "2 rows failed" in result.err
        assert migrate(*BOTH, "--limit", "1", "--commit").code == 1
        assert RunStep.objects.filter(migration=STAFF).latest("pk").status == "failed"
