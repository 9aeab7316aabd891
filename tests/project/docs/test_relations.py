"""The examples of relations by legacy key, of cycles, and of redirects for old addresses."""

from __future__ import annotations

import pytest
from django.db import connection

from tests.project.docs.test_examples import Examples

pytestmark = pytest.mark.skipif(
    connection.vendor != "sqlite", reason="the examples have a database of their own"
)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Examples:
    examples = Examples(tmp_path_factory.mktemp("stores"))
    examples.build()
    steps = examples.run("stores")
    assert {label: (each["failed"], each["warnings"]) for label, each in steps.items()} == {
        "stores.StateMigration": (0, 0),
        "stores.TownMigration": (0, 0),
        "stores.StoreMigration": (0, 1),
        "stores.PersonMigration": (0, 0),
        "stores.ShelfMigration": (0, 0),
        "stores.ItemMigration": (0, 0),
    }
    return examples


def test_stores_and_their_managers(examples: Examples) -> None:
    query = """
        SELECT s.name, p.name, state.code FROM stores_store s
        LEFT JOIN stores_person p ON manager_id = p.id
        JOIN stores_town t ON t.id = town_id JOIN stores_state state ON state.id = t.state_id
        ORDER BY s.name
    """
    assert examples.new(query) == [("North", "Ada", "SN"), ("South", None, "BY")]
    shown = examples.manage("show_legacy", "--messages", "stores.StoreMigration").stdout
    assert "the legacy key 999 matches no stores.Person" in shown


def test_items_on_their_shelves(examples: Examples) -> None:
    query = """
        SELECT i.name, s.name, place FROM stores_item i LEFT JOIN stores_shelf ON shelf_id =
        stores_shelf.id LEFT JOIN stores_store s ON store_id = s.id ORDER BY i.id
    """
    assert examples.new(query) == [
        ("ladder", "North", "1"),
        ("lamp", "South", "01"),
        ("van", None, None),
    ]


def test_old_addresses_lead_to_the_new_ones(examples: Examples) -> None:
    ((number,),) = examples.new("SELECT id FROM stores_store WHERE name = 'South'")
    asked = """
from django.test import Client
for number in ("20", "99", "x", ""):
    answer = Client().get("/filiale.php", {"nr": number})
    print(answer.status_code, answer.headers.get("Location"))
"""
    told = examples.manage("shell", "-v", "0", "-c", asked).stdout.splitlines()
    assert told == [f"301 /stores/{number}/", "404 None", "404 None", "404 None"]


def test_the_key_of_an_object(examples: Examples) -> None:
    asked = """
from data_migration import legacy
from stores.models import Shelf, Store
print(legacy.legacy_key_of(Store.objects.get(name="South")))
print(legacy.resolve("stores.ShelfMigration", 10, "01").place)
print(legacy.legacy_key_of(Shelf.objects.get(store__name="North", place="01")))
"""
    told = examples.manage("shell", "-v", "0", "-c", asked)
    assert told.stdout.splitlines() == ["20", "01", "(10, '01')"], told.stderr
