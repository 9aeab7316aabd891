"""Relations filled in the second pass: when, with what, and what is told of the rest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from data_migration import Migration, is_a
from data_migration.ledger import Ledger
from data_migration.models import (
    BeforeImage,
    DeferredRelation,
    MigrationState,
    RowError,
    RowLink,
    Run,
    RunStep,
)
from data_migration.outcomes import MessageKind, Unsettled
from data_migration.spec.columns import Column
from data_migration.step import deferral
from tests.apps.ledger.data_migration_spec import NodeMigration as Nodes
from tests.apps.ledger.data_migration_spec import OrderMigration as Orders
from tests.apps.ledger.data_migration_spec import ParcelMigration as Parcels
from tests.apps.ledger.data_migration_spec import StoreMigration as Stores
from tests.apps.ledger.data_migration_spec import TermMigration as Terms
from tests.apps.ledger.fixtures import Keyed, keyed_fixture  # noqa: F401
from tests.apps.ledger.models import Node, Order, Parcel, Staff, Store, Term
from tests.apps.library.testing import Result, give, migrate
from tests.support.engine import statements

pytestmark = pytest.mark.django_db
BOTH = ("ledger.StoreMigration", "ledger.StaffMigration")


def deferred(migration: type[Migration], column: str) -> dict[str, Column]:
    """The migration's description with one relation filled later."""
    described = dict(migration.column_description)
    return described | {column: replace(described[column], deferred=True)}


def defer(store: Store, value: str) -> None:
    """Leave a manager open, as a run does that is killed before its second pass."""
    state = MigrationState.objects.get(label="ledger.StoreMigration")
    link = RowLink.objects.get(migration=state, object_pk=str(store.pk))
    DeferredRelation.objects.create(
        migration=state,
        column="manager",
        object_pk=str(store.pk),
        value=value,
        key_hash=link.key_hash,
        key=link.key,
        row_number=1,
    )


def unsettled(label: str) -> dict[str, int]:
    links = RowLink.objects.filter(migration__label=label)
    return dict(links.values_list("key", "unsettled"))


def parents() -> dict[str, list[str]]:
    return {t.name: sorted(p.name for p in t.parents.all()) for t in Term.objects.all()}


def managers() -> dict[str, str | None]:
    return dict(Store.objects.values_list("name", "manager__name"))


def test_a_cycle_is_filled_at_the_end_of_the_run(keyed: Keyed) -> None:
    result = migrate(*BOTH, "--commit")
    assert result.code == 0, result.everything
    assert managers() == {"North": "Bela", "South": "Ada", "Closed": None}
    assert dict(Staff.objects.values_list("name", "store__name")) == {
        "Ada": "North",
        "Bela": "South",
        "Carlo": "North",
        "Dora": None,
    }


# ---------------------------------------------------------------- which run fills it


def test_a_rehearsal_fills_and_takes_back(keyed: Keyed) -> None:
    result = migrate(*BOTH)
    assert result.code == 0, result.everything
    assert "  0         0  " in result.out.splitlines()[1]  # no warning
    assert (Store.objects.count(), DeferredRelation.objects.count()) == (0, 0)


@pytest.mark.parametrize("options", [(), ("--atomic",)])
def test_what_waits_for_another_migration_is_filled_when_that_has_run(
    keyed: Keyed, options: tuple[str, ...]
) -> None:
    first = migrate("ledger.StoreMigration", "--commit", *options)
    assert first.code == 0, first.everything
    assert managers() == {"North": None, "South": None, "Closed": None}
    assert [row.value for row in DeferredRelation.objects.all()] == ["9002", "9001"]
    assert RowError.objects.count() == 0
    assert migrate("ledger.StaffMigration", "--commit", *options).code == 0
    assert managers() == {"North": "Bela", "South": "Ada", "Closed": None}
    assert DeferredRelation.objects.count() == 0


def test_a_run_that_ended_before_the_second_pass_is_made_up_for(keyed: Keyed) -> None:
    migrate(*BOTH, "--commit")
    store = Store.objects.get(name="North")
    Store.objects.filter(pk=store.pk).update(manager=None)
    defer(store, "9002")
    assert migrate(*BOTH, "--commit").code == 0
    assert managers()["North"] == "Bela"


def test_more_rows_than_a_chunk(keyed: Keyed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deferral, "CHUNK", 2)
    for number in range(5):
        keyed.change(f"INSERT INTO stores VALUES ({200 + number}, 'More {number}', 9003)")
    assert migrate(*BOTH, "--commit").code == 0
    assert [name for name in managers().values() if name == "Carlo"] == ["Carlo"] * 5
    assert DeferredRelation.objects.count() == 0


# ---------------------------------------------------------------- what cannot be filled


def test_a_target_that_does_not_come_is_a_counted_warning(keyed: Keyed) -> None:
    keyed.change("UPDATE stores SET manager = 9999 WHERE nr = 101")
    result = migrate(*BOTH, "--commit")
    assert result.code == 0, result.everything
    step = RunStep.objects.get(migration="ledger.StoreMigration")
    assert (step.created, step.failed, step.warnings) == (3, 0, 1)
    (message,) = RowError.objects.all()
    assert (message.kind, message.key) == (MessageKind.WARNING, "101")
    assert (message.column, message.value) == ("manager", "9999")
    assert message.cause == "the legacy key 9999 matches no ledger.Staff"
    assert managers()["North"] is None
    assert unsettled("ledger.StoreMigration") == {
        "101": Unsettled.WARNED,
        "102": Unsettled.NOTHING,
        "103": Unsettled.NOTHING,
    }
    assert DeferredRelation.objects.count() == 0


def test_the_rehearsal_tells_the_warning_too(keyed: Keyed) -> None:
    keyed.change("UPDATE stores SET manager = 9999 WHERE nr = 101")
    assert migrate(*BOTH).code == 0
    assert RunStep.objects.get(migration="ledger.StoreMigration").warnings == 1
    assert RowError.objects.get().value == "9999"


def test_the_warning_goes_to_the_last_run_of_a_migration_that_is_not_run(keyed: Keyed) -> None:
    keyed.change("UPDATE stores SET manager = 9999 WHERE nr = 101")
    migrate("ledger.StoreMigration", "--commit")
    migrate("ledger.StaffMigration", "--commit")
    step = RunStep.objects.get(migration="ledger.StoreMigration")
    assert (step.warnings, step.messages.get().value) == (1, "9999")


def test_a_target_whose_row_failed_is_waited_for(keyed: Keyed) -> None:
    keyed.change("UPDATE staff SET name = NULL WHERE nr = 9002")
    migrate(*BOTH, "--commit", "--on-error", "continue")
    assert managers() == {"North": None, "South": "Ada", "Closed": None}
    assert RowError.objects.filter(kind=MessageKind.WARNING).count() == 0
    keyed.change("UPDATE staff SET name = 'Bela' WHERE nr = 9002")
    assert migrate("ledger.StaffMigration", "--commit").code == 0
    assert managers()["North"] == "Bela"


def test_a_sensitive_value_is_not_told(keyed: Keyed) -> None:
    keyed.set("Store", sensitive_columns=("manager",))
    keyed.change("UPDATE stores SET manager = 9999 WHERE nr = 101")
    migrate(*BOTH, "--commit")
    message = RowError.objects.get()
    assert "9999" not in f"{message.value} {message.cause}"


def test_one_that_the_database_refuses_is_a_warning_and_the_others_are_filled(
    keyed: Keyed,
) -> None:
    described = {
        **Parcels.column_description,
        "replaces": is_a(
            Parcel,
            o2o=True,
            legacy=True,
            deferred=True,
            columns=("continent", "code", "replaces"),
        ),
    }
    keyed.set("Parcel", column_description=described)
    keyed.change("INSERT INTO parcels VALUES ('EU', '01', '8', '7'), ('EU', '01', '9', '0007')")
    result = migrate("ledger.CountryMigration", "ledger.ParcelMigration", "--commit")
    assert result.code == 0, result.everything
    austrian = Parcel.objects.filter(country__name="Austria")
    replaced = dict(austrian.values_list("number", "replaces__number"))
    assert (replaced["0007"], replaced["8"], replaced["9"]) == ("7", None, "0007")
    (message,) = RowError.objects.all()
    assert "refuses it" in message.cause


# ---------------------------------------------------------------- people's edits


def test_a_field_that_a_person_filled_meanwhile_is_kept(keyed: Keyed) -> None:
    migrate("ledger.StoreMigration", "--commit")
    boss = Staff.objects.create(name="Boss")
    Store.objects.filter(name="North").update(manager=boss)
    migrate("ledger.StaffMigration", "--commit")
    assert managers() == {"North": "Boss", "South": "Ada", "Closed": None}
    assert DeferredRelation.objects.count() == 0


def test_an_object_that_a_person_deleted_is_let_go(keyed: Keyed) -> None:
    keyed.change("UPDATE staff SET store = NULL")
    migrate("ledger.StoreMigration", "--commit")
    Store.objects.get(name="North").delete()
    assert migrate("ledger.StaffMigration", "--commit").code == 0
    assert (DeferredRelation.objects.count(), RowError.objects.count()) == (0, 0)


def test_what_was_filled_counts_as_written(keyed: Keyed) -> None:
    """A rerun changes nothing and sees no conflict; an edit after it is a conflict."""
    keyed.set("Store", allow_updates=True)
    migrate(*BOTH, "--commit")
    with statements() as seen:
        again = migrate("ledger.StoreMigration", "--commit")
    assert again.code == 0
    assert seen.writing("ledger_") == []
    Store.objects.filter(name="North").update(manager=Staff.objects.get(name="Dora"))
    keyed.change("UPDATE stores SET manager = 9003 WHERE nr = 101")
    migrate("ledger.StoreMigration", "--commit")
    assert managers()["North"] == "Dora"
    assert RowError.objects.get().kind == MessageKind.CONFLICT


# ---------------------------------------------------------------- trees and many-to-manys


def test_a_tree_may_defer_instead_of_waiting(keyed: Keyed) -> None:
    keyed.set("Node", column_description=deferred(Nodes, "parent"))
    result = migrate("ledger.NodeMigration", "--commit", "--batch-size", "1")
    assert result.code == 0, result.everything
    assert dict(Node.objects.values_list("name", "parent__name")) == {
        "leaf": "branch",
        "twig": "root",
        "branch": "root",
        "root": None,
        "stone": None,
    }


def test_a_many_to_many_is_completed_and_the_rest_warned_of(keyed: Keyed) -> None:
    keyed.set("Term", column_description=deferred(Terms, "parents"))
    keyed.change("UPDATE terms SET parents = '72,73,99' WHERE nr = 71")
    assert migrate("ledger.TermMigration", "--commit", "--batch-size", "1").code == 0
    assert parents() == {
        "spork": ["fork", "spoon"],
        "spoon": ["cutlery"],
        "fork": ["cutlery"],
        "cutlery": [],
    }
    (message,) = RowError.objects.all()
    assert (message.key, message.value) == ("71", "'99'")


def test_a_target_that_a_person_took_out_meanwhile_does_not_come_back(keyed: Keyed) -> None:
    described = deferred(Orders, "tags")
    keyed.set("Order", column_description=described)
    keyed.set("Tag", query="SELECT nr, name FROM tags WHERE nr < 32 ORDER BY nr")
    migrate("ledger.CustomerMigration", "ledger.TagMigration", "--commit")
    keyed.change("UPDATE orders SET tags = '31,32'")
    state = MigrationState.objects.filter(label="ledger.TagMigration")
    state.update(is_read=False)  # more of them will come
    migrate("ledger.OrderMigration", "--commit")
    assert {row.value for row in DeferredRelation.objects.all()} == {'["32"]'}
    order = Order.objects.order_by("pk")[0]
    order.tags.clear()
    keyed.set("Tag", query="SELECT nr, name FROM tags ORDER BY nr")
    assert migrate("ledger.TagMigration", "--commit").code == 0
    assert [tag.name for tag in order.tags.all()] == ["late"]
    assert DeferredRelation.objects.count() == 0


def test_a_natural_key_of_several_attributes(keyed: Keyed) -> None:
    described = {
        **Nodes.column_description,
        "parent": is_a(
            Node,
            fk=True,
            search_attr=("name", "parent"),
            columns=("above", "its_parent"),
            deferred=True,
            skip_missing=True,
        ),
        "its_parent": is_a(exclude=True),
    }
    root = Node.objects.create(name="root")
    Node.objects.create(name="trunk", parent=root)
    keyed.set(
        "Node",
        column_description=described,
        query=f"SELECT 1 AS nr, 'twig' AS name, 'trunk' AS above, {root.pk} AS its_parent"
        f" UNION SELECT 2, 'leaf', 'twig', (SELECT {root.pk} + 1)",
    )
    assert migrate("ledger.NodeMigration", "--commit").code == 0
    assert Node.objects.get(name="twig").parent.name == "trunk"
    assert Node.objects.get(name="leaf").parent.name == "twig"


def test_rows_without_a_key_are_filled_by_their_objects(keyed: Keyed) -> None:
    described = {"manager": Stores.column_description["manager"]}
    query = "SELECT name, manager FROM stores"
    keyed.set("Store", legacy_key=None, column_description=described, query=query)
    staff = {"nr": is_a(exclude=True)}
    keyed.set("Staff", query="SELECT nr, name FROM staff", column_description=staff)
    keyed.change("UPDATE stores SET manager = 9999 WHERE nr = 102")
    result = migrate(*BOTH, "--commit")
    assert result.code == 0, result.everything
    assert managers() == {"North": "Bela", "South": None, "Closed": None}
    assert RowError.objects.get().value == "9999"


def test_an_update_by_a_hook_leaves_it_open(keyed: Keyed) -> None:
    migrate("ledger.StoreMigration", "--commit")

    def hook_update_existing(self: Any, instance: Store, row: Any) -> None:
        Store.objects.filter(pk=instance.pk).update(name=row["name"].upper())

    keyed.set("Store", allow_updates=True, hook_update_existing=hook_update_existing)
    assert migrate(*BOTH, "--commit").code == 0
    assert managers() == {"NORTH": "Bela", "SOUTH": "Ada", "CLOSED": None}


def test_a_row_that_a_hook_skips_leaves_nothing_open(keyed: Keyed) -> None:
    keyed.set("Store", hook_before_save=lambda self, instance, row: row["nr"] != 101)
    keyed.change("UPDATE staff SET store = NULL")
    assert migrate(*BOTH, "--commit").code == 0
    assert managers() == {"South": "Ada", "Closed": None}
    assert (DeferredRelation.objects.count(), RowError.objects.count()) == (0, 0)


# ---------------------------------------------------------------- undone


def undo(*arguments: str) -> Result:
    return give("rollback_legacy", *arguments, "--no-input")


def last_run() -> str:
    return str(Run.objects.latest("pk").pk)


def remembered() -> list[Any]:
    """The stores, and all that the ledger knows of their migration but for numbers of rows."""
    state = MigrationState.objects.filter(label="ledger.StoreMigration")
    links = RowLink.objects.filter(migration__in=state)
    open_rows = DeferredRelation.objects.order_by("column", "key")
    kept = ("column", "object_pk", "value", "key_hash", "key", "row_number")
    return [
        list(Store.objects.order_by("pk").values()),
        list(state.values("is_read", "pass_run", "fingerprint", "high_water")),
        list(links.order_by("key_hash").values()),
        list(open_rows.values(*kept)),
        list(BeforeImage.objects.filter(migration__in=state).values()),
    ]


@pytest.mark.parametrize("options", [(), ("--atomic",)])
def test_undoing_the_run_that_filled_it_leaves_it_open_again(
    keyed: Keyed, options: tuple[str, ...]
) -> None:
    migrate("ledger.StoreMigration", "--commit")
    before = remembered()
    assert migrate("ledger.StaffMigration", "--commit", *options).code == 0

    result = undo("--run", last_run())

    assert result.code == 0, result.everything
    lines = [line.split() for line in result.out.splitlines()]
    assert lines[1:3] == [
        ["ledger.StaffMigration", "4", "0", "0"],
        ["ledger.StoreMigration", "0", "2", "0"],
    ]
    assert remembered() == before
    assert not Staff.objects.exists()
    assert Ledger("default").states()["ledger.StoreMigration"].status == "done"
    assert migrate("ledger.StaffMigration", "--commit").code == 0
    assert managers() == {"North": "Bela", "South": "Ada", "Closed": None}
    assert DeferredRelation.objects.count() == 0
    result = undo("ledger")
    assert (result.code, Store.objects.count(), Staff.objects.count()) == (0, 0, 0)


def test_the_run_that_made_the_object_is_undone_after_the_one_that_filled_it(
    keyed: Keyed,
) -> None:
    migrate("ledger.StoreMigration", "--commit")
    first = last_run()
    migrate("ledger.StaffMigration", "--commit")
    second = last_run()

    refused = undo("--run", first, "--force")

    assert f"run {second} wrote it later; roll back run {second} first" in refused.err
    assert undo("--run", second).code == 0
    assert undo("--run", first).code == 0
    assert (Store.objects.count(), DeferredRelation.objects.count()) == (0, 0)


def test_an_object_that_its_own_run_filled_needs_no_image(keyed: Keyed) -> None:
    migrate(*BOTH, "--commit")
    assert BeforeImage.objects.count() == 0
    assert undo("--run", last_run()).code == 0
    assert (Store.objects.count(), Staff.objects.count()) == (0, 0)


def test_an_object_that_the_run_took_over_and_filled_is_as_it_was(keyed: Keyed) -> None:
    keyed.set("Store", allow_updates=True, search_attr="name")
    north = Store.objects.create(name="North")
    migrate(*BOTH, "--commit")
    assert managers()["North"] == "Bela"

    result = undo("--run", last_run())

    assert result.code == 0, result.everything
    assert list(Store.objects.values()) == [{"id": north.pk, "name": "North", "manager_id": None}]


def test_what_an_update_left_open_is_open_again_when_it_is_undone(keyed: Keyed) -> None:
    keyed.set("Store", allow_updates=True)
    migrate("ledger.StoreMigration", "--commit")
    before = remembered()
    keyed.change("UPDATE stores SET name = 'Polar', manager = 9003 WHERE nr = 101")
    migrate("ledger.StoreMigration", "--commit")
    assert DeferredRelation.objects.filter(value="9003").exists()

    assert undo("--run", last_run()).code == 0

    # A run that read the query is undone so that the next one reads it from its start.
    before[1][0]["is_read"] = False
    assert remembered() == before


def test_an_open_relation_of_a_deleted_object_comes_back_with_it(keyed: Keyed) -> None:
    keyed.set("Store", removed="delete", removed_limit=100, allow_updates=True)
    migrate("ledger.StoreMigration", "--commit")
    before = remembered()
    keyed.change("DELETE FROM stores WHERE nr = 101")
    migrate("ledger.StoreMigration", "--commit")
    assert [row.key for row in DeferredRelation.objects.all()] == ["102"]

    assert undo("--run", last_run()).code == 0

    before[1][0]["is_read"] = False
    assert remembered() == before


def test_what_was_given_up_is_waited_for_again(keyed: Keyed) -> None:
    keyed.change("UPDATE stores SET manager = 9999 WHERE nr = 101")
    migrate("ledger.StoreMigration", "--commit")
    before = remembered()
    migrate("ledger.StaffMigration", "--commit")
    assert unsettled("ledger.StoreMigration")["101"] == Unsettled.WARNED

    assert undo("--run", last_run()).code == 0

    assert remembered() == before
    keyed.change("INSERT INTO staff VALUES (9999, 'Nina', NULL)")
    migrate("ledger.StaffMigration", "--commit")
    assert managers() == {"North": "Nina", "South": "Ada", "Closed": None}


def test_a_many_to_many_that_a_later_run_completed_is_open_again(keyed: Keyed) -> None:
    keyed.set("Order", column_description=deferred(Orders, "tags"))
    keyed.set("Tag", query="SELECT nr, name FROM tags WHERE nr < 32 ORDER BY nr")
    keyed.change("UPDATE orders SET tags = '31,32'")
    migrate("ledger.CustomerMigration", "ledger.TagMigration", "--commit")
    MigrationState.objects.filter(label="ledger.TagMigration").update(is_read=False)
    migrate("ledger.OrderMigration", "--commit")

    def orders() -> list[Any]:
        links = RowLink.objects.filter(migration__label="ledger.OrderMigration")
        return [
            sorted(Order.objects.values_list("pk", "tags__name")),
            sorted(DeferredRelation.objects.values_list("key", "column", "value")),
            list(links.order_by("key_hash").values()),
        ]

    before = orders()
    keyed.set("Tag", query="SELECT nr, name FROM tags ORDER BY nr")
    migrate("ledger.TagMigration", "--commit")
    assert orders() != before

    result = undo("--run", last_run())

    assert result.code == 0, result.everything
    assert orders() == before
    assert migrate("ledger.TagMigration", "--commit").code == 0
    assert {order.tags.count() for order in Order.objects.all()} == {2}


def test_only_the_relation_that_the_run_filled_is_opened(keyed: Keyed) -> None:
    """Another one of the same row, that waits for something else, stays as it is."""
    migrate("ledger.StoreMigration", "--commit")
    state = MigrationState.objects.get(label="ledger.StoreMigration")
    other = DeferredRelation.objects.filter(key="101").get()
    DeferredRelation.objects.create(
        migration=state,
        column="gone_from_the_spec",
        object_pk=other.object_pk,
        value="1",
        key_hash=other.key_hash,
        key=other.key,
        row_number=1,
    )
    before = remembered()
    migrate("ledger.StaffMigration", "--commit")

    assert undo("--run", last_run()).code == 0

    assert remembered() == before


def test_a_person_who_changed_what_was_filled_is_not_overruled(keyed: Keyed) -> None:
    migrate("ledger.StoreMigration", "--commit")
    migrate("ledger.StaffMigration", "--commit")
    Store.objects.filter(name="North").update(manager=Staff.objects.create(name="Boss"))

    assert "changed since: manager" in undo("--run", last_run()).err


def test_one_side_of_a_cycle_is_refused_and_the_other_named(keyed: Keyed) -> None:
    migrate("ledger.StoreMigration", "--commit")
    migrate("ledger.StaffMigration", "--commit")
    north, bela = Store.objects.get(name="North"), Staff.objects.get(name="Bela")

    for selection in (["ledger.StaffMigration"], ["ledger.StaffMigration", "--run", last_run()]):
        result = undo(*selection)
        assert result.code == 1
        assert (
            f"  ledger.StaffMigration, key 9002: ledger.Staff {bela.pk}: ledger.Store {north.pk}"
            " of ledger.StoreMigration refers to it (manager).\n"
        ) in result.err


def test_one_side_of_a_cycle_goes_by_force_and_leaves_the_other_empty(keyed: Keyed) -> None:
    migrate("ledger.StoreMigration", "--commit")
    migrate("ledger.StaffMigration", "--commit")

    assert undo("ledger.StaffMigration", "--force").code == 0

    assert set(managers().values()) == {None}
    assert not Staff.objects.exists()
    assert DeferredRelation.objects.count() == 0
    refused = undo("ledger.StoreMigration")
    assert refused.err.count("changed since: manager") == 2
    assert undo("ledger.StoreMigration", "--force").code == 0
    assert migrate(*BOTH, "--commit").code == 0
    assert managers() == {"North": "Bela", "South": "Ada", "Closed": None}


def test_what_has_no_key_is_not_taken_back(keyed: Keyed) -> None:
    described = {"manager": Stores.column_description["manager"]}
    query = "SELECT name, manager FROM stores"
    keyed.set("Store", legacy_key=None, column_description=described, query=query)
    keyed.set("Staff", query="SELECT nr, name FROM staff")
    keyed.set("Staff", column_description={"nr": is_a(exclude=True)})
    migrate("ledger.StoreMigration", "--commit")
    migrate("ledger.StaffMigration", "--commit")
    assert managers()["North"] == "Bela"
    assert BeforeImage.objects.count() == 0

    second = last_run()

    refused = undo("--run", second)

    north = Store.objects.get(name="North")
    assert f": ledger.Store {north.pk} refers to it (manager).\n" in refused.err
    assert undo("--run", second, "--force").code == 0
    assert (managers()["North"], Staff.objects.count()) == (None, 0)
