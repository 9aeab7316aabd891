"""Children of multi-table inheritance whose rows in the parents' tables are there before them."""

from __future__ import annotations

from typing import Any

import pytest

from data_migration import Migration, is_a
from data_migration.exceptions import LedgerError
from data_migration.ledger import Ledger
from data_migration.plan.graph import build_plan
from data_migration.undo import Selection, roll_back
from tests.apps.shop.models import Place, Restaurant
from tests.support.engine import Rows, label_of, migrate, migrate_fine

pytestmark = pytest.mark.django_db


class PlaceMigration(Migration):
    model = Place


class RestaurantMigration(Migration):
    model = Restaurant
    legacy_key = "place_ptr"
    column_description = {"place_ptr": is_a(Place, "id", fk=True)}
    removed_limit = 100


PLACES: Rows = [{"id": n, "name": f"place {n}"} for n in (1, 2, 3)]
RESTAURANTS: Rows = [{"place_ptr": 1, "stars": 5}, {"place_ptr": 2, "stars": 4}]


def names() -> dict[int, str]:
    return dict(Place.objects.values_list("pk", "name"))


def stars() -> dict[int, int]:
    return dict(Restaurant.objects.values_list("pk", "stars"))


def back(*labels: str, run: int | None = None) -> None:
    migrations = (PlaceMigration, RestaurantMigration)
    plan = build_plan({label_of(each): each for each in migrations})
    roll_back(Selection(labels=labels, run=run), plan, Ledger("default"))


@pytest.fixture(autouse=True)
def places() -> None:
    migrate_fine(PlaceMigration, PLACES)


def test_what_the_row_does_not_name_stays_as_it_is_in_the_parent() -> None:
    assert migrate_fine(RestaurantMigration, RESTAURANTS).counts == {"created": 2}
    assert names() == {1: "place 1", 2: "place 2", 3: "place 3"}
    assert stars() == {1: 5, 2: 4}


def test_so_it_does_whatever_the_key_is_called() -> None:
    for column in ("place_ptr_id", "id", "pk"):
        plain = {"legacy_key": column, "column_description": {}}
        migration = type("RestaurantMigration", (RestaurantMigration,), plain)
        migrate_fine(migration, [{column: 1, "stars": 5}])
        assert (names()[1], stars()) == ("place 1", {1: 5})
        back(label_of(migration))
        assert (names()[1], stars()) == ("place 1", {})


def test_a_hook_sees_what_the_parent_has() -> None:
    seen: list[str] = []

    def hook_before_save(self: Any, instance: Restaurant, row: dict[str, Any]) -> None:
        seen.append(instance.name)

    hooked = {"hook_before_save": hook_before_save}
    migrate_fine(type("RestaurantMigration", (RestaurantMigration,), hooked), RESTAURANTS)
    assert seen == ["place 1", "place 2"]


def test_what_the_row_names_is_written_and_taken_back_by_a_rollback() -> None:
    migrate_fine(RestaurantMigration, [row | {"name": "new"} for row in RESTAURANTS])
    assert names() == {1: "new", 2: "new", 3: "place 3"}
    back(label_of(RestaurantMigration))
    assert names() == {1: "place 1", 2: "place 2", 3: "place 3"}
    assert stars() == {}


def test_a_new_parent_goes_with_its_child_and_an_old_one_stays() -> None:
    described = {"column_description": {}, "legacy_key": "id"}
    migration = type("RestaurantMigration", (RestaurantMigration,), described)
    data: Rows = [{"id": 1, "name": "place 1", "stars": 5}, {"id": 9, "name": "new", "stars": 1}]
    run = migrate_fine(migration, data).run.pk
    back(run=run)
    assert (names(), stars()) == ({1: "place 1", 2: "place 2", 3: "place 3"}, {})


def test_everything_can_be_rolled_back_and_imported_again() -> None:
    for _ in "ab":
        migrate_fine(RestaurantMigration, RESTAURANTS)
        back()
        assert (names(), stars()) == ({}, {})
        migrate_fine(PlaceMigration, PLACES)


def test_an_edit_of_the_parent_that_the_row_does_not_name_is_no_matter() -> None:
    migrate_fine(RestaurantMigration, RESTAURANTS)
    Place.objects.filter(pk=1).update(name="mine")
    back(label_of(RestaurantMigration))
    assert (names()[1], stars()) == ("mine", {})


def test_an_edit_of_what_goes_is_refused() -> None:
    migrate_fine(RestaurantMigration, RESTAURANTS)
    Restaurant.objects.filter(pk=1).update(stars=1)
    with pytest.raises(LedgerError, match="changed since: stars"):
        back(label_of(RestaurantMigration))


def test_a_row_that_is_gone_takes_its_child_and_leaves_the_parent() -> None:
    removing = {"removed": "delete"}
    migration = type("RestaurantMigration", (RestaurantMigration,), removing)
    migrate_fine(migration, RESTAURANTS)
    run = migrate(migration, RESTAURANTS[:1]).run.pk
    assert (names()[2], stars()) == ("place 2", {1: 5})
    back(run=run)
    assert (names()[2], stars()) == ("place 2", {1: 5, 2: 4})
